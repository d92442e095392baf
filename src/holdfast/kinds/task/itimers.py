"""task.itimers: the three interval timers of a process, and with the first one alarm(2).

Carries:  what remains and the interval of each; a signal that a timer sent between the stop and the look.
Loses:    the time from the stop to the restore: a timer goes on with what remained.
Sources:  getitimer(2), alarm(2), Linux kernel/time/itimer.c.
"""

from __future__ import annotations

from struct import Struct as Format

from holdfast.kinds.contract import Claim, Difference, Kind, Struct, verbs
from holdfast.model.record import Record, field
from holdfast.prog.call import Out, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Answers

VALUE = Format("<4q")  # interval then value, seconds and microseconds
TIMERS = ("real", "virtual", "prof")
SIGNALS = {"real": 14, "virtual": 26, "prof": 27}
SI_KERNEL = 0x80
INFO_SIZE = 128
US = 1000
ROUNDING_NS = 20_000_000  # CPU timers are counted in ticks
PATIENCE_NS = 60_000_000_000  # a timer that ran longer cannot have fired during a restore


class Itimers(Record):
    """A process's interval timers; what remains is 0 for one that does not run."""

    real_ns: int = field(default=0, unit="ns")
    real_interval_ns: int = field(default=0, unit="ns")
    virtual_ns: int = field(default=0, unit="ns")
    virtual_interval_ns: int = field(default=0, unit="ns")
    prof_ns: int = field(default=0, unit="ns")
    prof_interval_ns: int = field(default=0, unit="ns")
    fired: tuple[str, ...] = field(default=())  # since the stop: their signals are not in task.sigpending


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def dump(ev: ProcessEvidence) -> Generator[Program, Answers, Itimers | None]:
    program = Program()
    outs = [Out(VALUE.size) for _ in TIMERS]
    for which, out in enumerate(outs):
        program.call("getitimer", which, out)
    waiting = Out(8)
    program.call("rt_sigpending", waiting, 8)  # every signal is blocked meanwhile
    answers = yield program
    numbers: dict[str, int] = {}
    for name, out in zip(TIMERS, outs, strict=True):
        interval_s, interval_us, value_s, value_us = VALUE.unpack(answers.data(out))
        numbers[f"{name}_ns"] = _ns(value_s, value_us)
        numbers[f"{name}_interval_ns"] = _ns(interval_s, interval_us)
    known = ev.status.pending | ev.status.shared_pending
    for info in () if ev.leader.stopped is None else ev.leader.stopped.shared_pending:
        known |= 1 << (int.from_bytes(info[:4], "little") - 1)
    new = int.from_bytes(answers.data(waiting), "little") & ~known
    fired = tuple(name for name, signal in SIGNALS.items() if new >> (signal - 1) & 1)
    return Itimers(fired=fired, **numbers) if any(numbers.values()) or fired else None


def _ns(seconds: int, microseconds: int) -> int:
    return (seconds * 1_000_000 + microseconds) * US


def restore(rec: Itimers, steps: Steps) -> None:
    # a timer that fires at once must not come before the signals that waited already
    part = steps.part(needs=("mm", "fds", "limits"), ends=("actions",))
    for which, name in enumerate(TIMERS):
        remaining, interval = getattr(rec, f"{name}_ns"), getattr(rec, f"{name}_interval_ns")
        # The kernel starts ITIMER_REAL again only when its signal is taken (Linux kernel/signal.c dequeue_signal), so one that waits
        # for that shows an interval and nothing that remains. Set to 0 it would be off for ever: it is made to run out once more, at once.
        # The others keep an interval without running (kernel/time/itimer.c set_cpu_itimer).
        if interval and not remaining and name == "real":
            remaining = US
        if remaining or interval:
            part.call("setitimer", which, VALUE.pack(*_pair(interval), *_pair(remaining)), 0)
    if rec.fired:
        me = part.call("getpid")
        for name in rec.fired:
            info = SIGNALS[name].to_bytes(4, "little") + bytes(4) + SI_KERNEL.to_bytes(4, "little")
            part.call("rt_sigqueueinfo", me, SIGNALS[name], info.ljust(INFO_SIZE, b"\0"))


def _pair(ns: int) -> tuple[int, int]:
    return divmod(ns // US, 1_000_000)


def compare(before: Itimers, after: Itimers, where: ObjectId) -> Iterator[Difference]:
    """Time goes on: less may remain, and a timer that ran once may have fired."""
    for name in TIMERS:
        remaining, interval = (f"{name}_ns", f"{name}_interval_ns")
        was, now = getattr(before, remaining), getattr(after, remaining)
        longest = max(was, getattr(before, interval)) + ROUNDING_NS
        repeats = getattr(before, interval)
        # one that repeats and waits for its signal to be taken shows nothing that remains, before as well as after
        gone = was > PATIENCE_NS and not now and not repeats
        if now > longest or gone or (now and not was and not repeats):
            yield Difference("task.itimers", where, remaining, was, now)
        if repeats != getattr(after, interval):
            yield Difference("task.itimers", where, interval, getattr(before, interval), getattr(after, interval))


KIND = Kind("task.itimers", record=Itimers, subject="process", watches=(Struct("cpu_itimer"),), verbs=verbs(__name__))
