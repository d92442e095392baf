"""task.posix_timers: the timers that a process made with timer_create(2).

Carries:  each timer's id, clock, signal, value, target thread, what remains, interval; a signal that a timer sent between the stop and
          the look.
Loses:    the time from the stop to the restore: a timer goes on with what remained; that a timer was set for an absolute time (setting
          the clock will not move it); the overrun count of the last signal taken, and of one that waits (told); the id that the next
          timer would have got, also of a process without timers.
Sources:  timer_create(2), timer_settime(2), proc_pid_timers(5), prctl(2) PR_TIMER_CREATE_RESTORE_IDS, Linux kernel/time/posix-timers.c.
"""

from __future__ import annotations

from struct import Struct as Format

from holdfast.errors import TargetChanged
from holdfast.kernel.procfs.status import parse_status
from holdfast.kernel.procfs.timers import parse_timers
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Difference, Kind, Loss, Refusal, Struct, Unchecked, verbs
from holdfast.model.ids import NsPid, ObjectId
from holdfast.model.record import Record, field
from holdfast.prog.call import Out, Program, Word, in_turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kernel.procfs.timers import PosixTimer
    from holdfast.kinds.contract import Part, Probes, Steps, Verdict
    from holdfast.kinds.evidence import ProcessEvidence, ThreadEvidence
    from holdfast.prog.call import Answers

VALUE = Format("<4q")  # interval then value, seconds and nanoseconds
EVENT = Format("<Qiii44x")  # sigev_value, sigev_signo, sigev_notify, sigev_notify_thread_id
INFO = Format("<iiixxxxiiQ")  # signal, errno, code, timer id, overrun, value
SIGEV_NONE, SIGEV_THREAD_ID = 1, 4
NOTIFY = {"signal": 0, "none": 1, "thread": 2}
_NOTIFY_NAMES = {n: name for name, n in NOTIFY.items()}
SI_TIMER, INFO_SIZE = -2, 128
PR_TIMER_CREATE_RESTORE_IDS, OFF, ON = 77, 0, 1
# Ids count up from 0 in a new process. Up to this many are passed over one by one; beyond, the kernel must take the id from us (v6.16).
STRIDE = 512
S = 1_000_000_000
PATIENCE_NS = 60 * S  # a timer that ran longer cannot have fired during a restore
# a CPU clock is named by a process or thread and two bits (include/linux/posix-timers_types.h)
CPUCLOCK_THREAD = 4
CLOCKS = {"realtime": 0, "monotonic": 1, "boottime": 7, "realtime_alarm": 8, "boottime_alarm": 9, "tai": 11}
_CLOCK_NAMES = {n: name for name, n in CLOCKS.items()}
CPU_CLOCKS = {"prof": 0, "virtual": 1, "sched": 2}
_CPU_CLOCK_NAMES = {n: name for name, n in CPU_CLOCKS.items()}


class Timer(Record):
    """One timer. Its clock is a named one, or the CPU time of the process, or of one of its threads."""

    id: int
    clock: str  # `realtime` ..., or `prof`, `virtual`, `sched` CPU time
    clock_task: NsPid | None  # None: not a CPU clock; 0: the process's, named by no number; else process or thread
    clock_of_thread: bool
    notify: str  # `signal`, `none`, `thread`
    signal: int
    value: int  # sigev_value
    thread: NsPid | None  # the thread that gets the signal, None: the process
    remaining_ns: int = field(default=0, unit="ns")  # 0: it does not run
    interval_ns: int = field(default=0, unit="ns")
    fired: bool = field(default=False)  # since the stop: its signal is not in task.sigpending


class PosixTimers(Record):
    """A process's timers, sorted by id."""

    timers: tuple[Timer, ...]


def _listed(ev: ProcessEvidence) -> list[PosixTimer] | None:
    # None: this kernel does not list them
    try:
        return parse_timers(ev.read("timers"))
    except FileNotFoundError:
        return None


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie or _listed(ev) == [] else Claim()


def refuse(ev: ProcessEvidence, kernel: Probes) -> Iterator[Verdict]:
    listed = _listed(ev)
    if listed is None:
        yield Unchecked(
            "task.posix_timers", f"whether {tasks.who(ev)} has POSIX timers", "/proc/PID/timers needs CONFIG_CHECKPOINT_RESTORE"
        )
        return
    tids = {int(t.tid): int(t.nstid) for t in ev.threads}
    for timer in listed:
        why = _not_carried(ev, timer, tids)
        if why:
            yield Refusal(
                "task.posix_timer",
                f"{tasks.who(ev)} cannot be dumped: its timer {timer.id} {why}",
                tasks.where(ev, "timers"),
                "timer_create(2); the timer could not be made again",
                "delete the timer and retry",
            )
        elif _waits(ev, timer):
            yield Loss(
                "task.posix_timers",
                ev.id,
                f"the signal of timer {timer.id} waits to be taken: if it repeats, how often it has run out since is counted anew",
                "no interface reads the count before the signal is taken; timer_getoverrun(2)",
            )


# Whether a signal with the timer's number waits where it would be.
def _waits(ev: ProcessEvidence, timer: PosixTimer) -> bool:
    if timer.notify & ~SIGEV_THREAD_ID == SIGEV_NONE:
        return False
    if timer.notify & SIGEV_THREAD_ID:
        waiting = next((t.status.pending for t in ev.threads if int(t.tid) == timer.target), 0)
    else:
        waiting = ev.status.shared_pending
    return bool(waiting >> (timer.signal - 1) & 1)


def _not_carried(ev: ProcessEvidence, timer: PosixTimer, tids: dict[int, int]) -> str:
    if timer.more:
        return f"has something that Holdfast does not know: {timer.more[0][0]}"
    if timer.notify & SIGEV_THREAD_ID and timer.target not in tids:
        return "sends its signal to a thread that is gone"
    if timer.notify & ~SIGEV_THREAD_ID not in _NOTIFY_NAMES:
        return f"notifies in the unknown way {timer.notify}"
    if timer.clockid >= 0:
        return "" if timer.clockid in _CLOCK_NAMES else f"runs on the unknown clock {timer.clockid}"
    task, thread = ~(timer.clockid >> 3), bool(timer.clockid & CPUCLOCK_THREAD)
    if timer.clockid & 3 not in _CPU_CLOCK_NAMES:
        return "runs on a clock behind a descriptor"
    if task == 0 and thread and len(ev.threads) > 1:
        return "runs on the CPU time of the thread that made it, and nothing tells which that was"
    if task and task not in ({int(t.nstid) for t in ev.threads} if thread else {int(ev.nspid)}):
        return f"runs on the CPU time of another task ({task})"
    return ""


def dump(ev: ProcessEvidence) -> Generator[Program, Answers, PosixTimers | None]:
    listed = _listed(ev)
    if not listed:
        return None
    tids = {int(t.tid): NsPid(t.nstid) for t in ev.threads}
    timers = []
    for some in in_turn(listed):
        program, outs = Program(), [Out(VALUE.size) for _ in some]
        for timer, out in zip(some, outs, strict=True):
            program.call("timer_gettime", timer.id, out)
        answers = yield program
        timers += [_timer(t, answers.data(out), tids) for t, out in zip(some, outs, strict=True)]
    return PosixTimers(tuple(_with_fired(ev, timers)))


def _timer(timer: PosixTimer, data: bytes, tids: dict[int, NsPid]) -> Timer:
    interval_s, interval_ns, value_s, value_ns = VALUE.unpack(data)
    cpu = timer.clockid < 0
    return Timer(
        timer.id,
        _CPU_CLOCK_NAMES[timer.clockid & 3] if cpu else _CLOCK_NAMES[timer.clockid],
        NsPid(~(timer.clockid >> 3)) if cpu else None,
        cpu and bool(timer.clockid & CPUCLOCK_THREAD),
        _NOTIFY_NAMES[timer.notify & ~SIGEV_THREAD_ID],
        timer.signal,
        timer.value,
        tids[timer.target] if timer.notify & SIGEV_THREAD_ID else None,
        value_s * S + value_ns,
        interval_s * S + interval_ns,
    )


def _with_fired(ev: ProcessEvidence, timers: list[Timer]) -> list[Timer]:
    out = list(timers)
    for thread in ev.threads:
        for owner, signals in _arrived(ev, thread):
            for signal in range(1, 65):
                if not signals >> (signal - 1) & 1:
                    continue
                mine = [i for i, t in enumerate(out) if t.signal == signal and t.thread == owner and t.notify != "none"]
                if len(mine) > 1:
                    raise TargetChanged(
                        "timers",
                        f"one of {len(mine)} timers of {tasks.who(ev)} fired while it was stopped, and they look alike",
                        do="try again",
                    )
                for i in mine:
                    out[i] = out[i].replace(fired=True)
    return out


# The signals that came since the stop: for one thread, and with the first one for the process (None).
def _arrived(ev: ProcessEvidence, thread: ThreadEvidence) -> list[tuple[NsPid | None, int]]:
    status, then = parse_status(thread.source.read("status")), ev.status if thread is ev.leader else thread.status
    assert thread.stopped is not None
    found: list[tuple[NsPid | None, int]] = [(NsPid(thread.nstid), status.pending & ~(then.pending | _bits(thread.stopped.pending)))]
    if thread is ev.leader:
        found.append((None, status.shared_pending & ~(then.shared_pending | _bits(thread.stopped.shared_pending))))
    return [f for f in found if f[1]]


def _bits(infos: tuple[bytes, ...]) -> int:
    out = 0
    for info in infos:
        out |= 1 << (int.from_bytes(info[:4], "little") - 1)
    return out


def restore(rec: PosixTimers, steps: Steps) -> None:
    # a timer that fires at once must not come before the signals that waited already
    part = steps.part(needs=("mm", "fds", "limits", "caps"), ends=("actions",))
    timers = sorted(rec.timers, key=lambda t: t.id)
    exact = timers[-1].id - len(timers) > STRIDE
    settings = steps.record_of(steps.subject, "task.mm_prctl")
    if exact:
        part.call("prctl", PR_TIMER_CREATE_RESTORE_IDS, ON, 0, 0, 0)
    following = 0
    for timer in timers:
        while not exact and following < timer.id:
            unused = Out(8)
            part.call("timer_create", CLOCKS["monotonic"], EVENT.pack(0, 0, SIGEV_NONE, 0), unused)
            part.call("timer_delete", Word(unused))
            following += 1
        _make(part, timer)
        following += 1
    exact_before = settings is not None and settings.exact_timer_ids
    if exact != exact_before:
        part.call("prctl", PR_TIMER_CREATE_RESTORE_IDS, ON if exact_before else OFF, 0, 0, 0)
    _queue_fired(timers, part, steps)


def _make(part: Part, timer: Timer) -> None:
    if timer.clock_task is None:
        clock = CLOCKS[timer.clock]
    else:
        clock = ~int(timer.clock_task) << 3 | CPU_CLOCKS[timer.clock] | (CPUCLOCK_THREAD if timer.clock_of_thread else 0)
    notify = NOTIFY[timer.notify] | (0 if timer.thread is None else SIGEV_THREAD_ID)
    event = EVENT.pack(timer.value, timer.signal, notify, int(timer.thread or 0))
    part.call("timer_create", clock, event, Out(8, timer.id.to_bytes(4, "little")))
    if timer.remaining_ns:
        part.call("timer_settime", timer.id, 0, VALUE.pack(*divmod(timer.interval_ns, S), *divmod(timer.remaining_ns, S)), 0)


def _queue_fired(timers: list[Timer], part: Part, steps: Steps) -> None:
    for timer in timers:
        if not timer.fired:
            continue
        info = INFO.pack(timer.signal, 0, SI_TIMER, timer.id, 0, timer.value).ljust(INFO_SIZE, b"\0")
        if timer.thread is None:
            part.call("rt_sigqueueinfo", part.call("getpid"), timer.signal, info)
        else:
            own = steps.part(task=ObjectId(f"thread:{int(timer.thread)}"), needs=("mm", "actions", "limits"))
            own.call("rt_tgsigqueueinfo", own.call("getpid"), own.call("gettid"), timer.signal, info)


def compare(before: PosixTimers, after: PosixTimers, where: ObjectId) -> Iterator[Difference]:
    """Time goes on: less may remain, and a timer that ran once may have fired."""
    old, new = {t.id: t for t in before.timers}, {t.id: t for t in after.timers}
    if old.keys() != new.keys():
        yield Difference("task.posix_timers", where, "timers", tuple(old), tuple(new))
        return
    for number, was in old.items():
        now = new[number]
        plain = {"remaining_ns": 0, "interval_ns": 0, "fired": False}
        periodic = bool(was.remaining_ns and was.interval_ns)
        same = was.replace(**plain) == now.replace(**plain)
        gone = was.remaining_ns > PATIENCE_NS and not now.remaining_ns
        if not same or gone or (periodic and (now.interval_ns != was.interval_ns or not now.remaining_ns)):
            yield Difference("task.posix_timers", where, f"timer {number}", was, now)
        elif now.remaining_ns > max(was.remaining_ns, was.interval_ns):
            yield Difference("task.posix_timers", where, f"timer {number} remaining_ns", was.remaining_ns, now.remaining_ns)


KIND = Kind("task.posix_timers", record=PosixTimers, subject="process", watches=(Struct("k_itimer"),), verbs=verbs(__name__))
