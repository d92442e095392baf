"""task.sched: how the kernel shares out the processor to a thread.

Carries:  policy, real-time priority, nice value, reset-on-fork, deadline parameters, utilization clamps, a time slice that differs
          from the dumper's own.
Loses:    how much of a deadline task's budget is used; a clamp that has the default's value counts as the default.
Sources:  sched(7), sched_setattr(2), setpriority(2), proc_pid_stat(5), Linux kernel/sched/syscalls.c.
"""

from __future__ import annotations

from struct import Struct as Format

from holdfast.kernel import flags
from holdfast.kernel.sched import EVERY, own_slice_ns
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, FlagSet, Kind, Refusal, Struct, verbs
from holdfast.model.record import Record, field
from holdfast.prog.call import Out, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.prog.call import Answers

ATTR = Format("<IIQiIQQQII")
POLICIES = {"normal": 0, "fifo": 1, "rr": 2, "batch": 3, "idle": 5, "deadline": 6, "ext": 7}
_POLICY_NAMES = {n: name for name, n in POLICIES.items()}
SCHED_FLAG_UTIL_CLAMP = 96
FAIR = ("normal", "batch")
CLAMP_DEFAULT = (0, 1024)
PRIO_PROCESS = 0
SOURCE = "sched(7)"


class Sched(Record):
    """A thread's scheduling; runtime, deadline and period are those of the deadline policy."""

    policy: str
    nice: int  # -20 .. 19
    priority: int = field(default=0)  # 1 .. 99 for fifo and rr
    flags: tuple[str, ...] = field(default=())
    runtime_ns: int = field(default=0, unit="ns")
    deadline_ns: int = field(default=0, unit="ns")
    period_ns: int = field(default=0, unit="ns")
    slice_ns: int = field(default=0, unit="ns")  # 0: the kernel's own choice
    clamp_min: int | None = None  # None: not clamped
    clamp_max: int | None = None


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def refuse(ev: ThreadEvidence, kernel: Probes) -> Iterator[Verdict]:
    policy = ev.stat.policy
    if policy not in _POLICY_NAMES:
        yield Refusal(
            "task.policy",
            f"{tasks.who(ev)} has the scheduling policy {policy}, which Holdfast does not know",
            tasks.where(ev, "stat"),
            SOURCE,
            "chrt -o -p 0 PID, or teach the policy to task.sched",
        )


def dump(ev: ThreadEvidence) -> Generator[Program, Answers, Sched]:
    program = Program()
    out = Out(ATTR.size)
    program.call("sched_getattr", 0, out, ATTR.size, 0)
    answers = yield program
    _, policy, held, _, priority, runtime, deadline, period, low, high = ATTR.unpack(answers.data(out))
    name = _POLICY_NAMES[policy]
    try:
        chosen = flags.names("sched", held)
    except flags.UnknownFlag as e:
        raise tasks.refused(
            "task.sched_flags",
            ev,
            str(e),
            why="sched_setattr(2)",
            do="see `holdfast drift`; teach the flag to kernel/flagtables.py",
        ) from e
    nice = ev.stat.nice  # a real-time task keeps one too, and sched_getattr does not show it
    custom = runtime if name in FAIR and runtime != own_slice_ns() else 0
    # a kernel without clamps leaves zeros; as a clamp they would mean a task held to the lowest speed
    clamped = (low, high) != CLAMP_DEFAULT and ((low, high) != (0, 0) or _has_clamps(ev))
    budget = name == "deadline"
    return Sched(
        name,
        nice,
        priority,
        chosen,
        runtime if budget else 0,
        deadline if budget else 0,
        period if budget else 0,
        custom,
        low if clamped else None,
        high if clamped else None,
    )


def _has_clamps(ev: ThreadEvidence) -> bool:
    try:
        ev.tree.host.read("sys/kernel/sched_util_clamp_max")
    except OSError:
        return False
    return True


def restore(rec: Sched, steps: Steps) -> None:
    part = steps.part(needs=("mm", "fds", "caps", "limits"))
    chosen = flags.bits("sched", rec.flags)
    if rec.clamp_min is not None or rec.clamp_max is not None:
        chosen |= SCHED_FLAG_UTIL_CLAMP
    if rec.policy not in POLICIES:
        raise ValueError(f"unknown scheduling policy {rec.policy!r}")
    attr = ATTR.pack(
        ATTR.size,
        POLICIES[rec.policy],
        chosen,
        rec.nice,
        rec.priority,
        rec.runtime_ns or rec.slice_ns,
        rec.deadline_ns,
        rec.period_ns,
        rec.clamp_min or 0,
        1024 if rec.clamp_max is None else rec.clamp_max,
    )
    if rec.policy == "deadline":  # only who may run on every CPU of its domain is admitted (sched_setscheduler(2), EPERM)
        part.call("sched_setaffinity", 0, len(EVERY), EVERY)
    part.call("sched_setattr", 0, attr, 0)
    if rec.policy not in FAIR:
        part.call("setpriority", PRIO_PROCESS, 0, rec.nice)


KIND = Kind(
    "task.sched",
    record=Sched,
    subject="thread",
    watches=(Struct("sched_entity"), Struct("sched_rt_entity"), Struct("sched_dl_entity"), FlagSet("sched")),
    verbs=verbs(__name__),
)
