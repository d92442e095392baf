"""task.rlimits: the resource limits of a process.

Carries:  the soft and hard value of all 16.
Loses:    the CPU time already counted against RLIMIT_CPU and RLIMIT_RTTIME: it starts at nothing.
Sources:  getrlimit(2), proc_pid_limits(5), Linux kernel/sys.c do_prlimit.
"""

from __future__ import annotations

from struct import Struct as Format

from holdfast.kernel.procfs.limits import INFINITY
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Loss, Refusal, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Host, Probes, Steps, Verdict
    from holdfast.kinds.evidence import ProcessEvidence

PAIR = Format("<QQ")
NUMBERS = {
    name: n
    for n, name in enumerate(
        "RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC RLIMIT_NOFILE RLIMIT_MEMLOCK RLIMIT_AS "
        "RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_RTTIME".split()
    )
}
CAP_SYS_RESOURCE = 24
RAISED = "RLIMIT_NOFILE"  # by the engine, where it needs more descriptors than that (engine/execute.py)


class Limit(Record):
    """One limit; None is no limit."""

    name: str
    soft: int | None
    hard: int | None


class Rlimits(Record):
    """A process's limits, sorted by name."""

    limits: tuple[Limit, ...]


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def refuse(ev: ProcessEvidence, kernel: Probes) -> Iterator[Verdict]:
    found = ev.limits
    for name in found.keys() - NUMBERS.keys():
        yield Refusal(
            "task.rlimit",
            f"{tasks.who(ev)} has a resource limit that Holdfast does not know: {name}",
            tasks.where(ev, "limits"),
            "getrlimit(2)",
            "see `holdfast drift`; teach the limit to task.rlimits",
        )
    soft = found.get("RLIMIT_CPU", (INFINITY, INFINITY))[0]
    if soft != INFINITY:
        yield Loss(
            "task.rlimits",
            ev.id,
            f"its limit of {soft} s CPU time starts anew",
            "the time that a restored process has used starts at 0, Linux kernel/fork.c",
        )


def dump(ev: ProcessEvidence) -> Rlimits:
    found = ev.limits
    return Rlimits(tuple(Limit(name, *(None if v == INFINITY else v for v in pair)) for name, pair in sorted(found.items())))


def ready(rec: Rlimits, host: Host) -> Iterator[Refusal]:
    import resource  # a restore alone pays for it

    above = [
        (limit, ours)
        for limit in rec.limits
        if (ours := resource.getrlimit(NUMBERS[limit.name])[1]) != resource.RLIM_INFINITY and (limit.hard is None or limit.hard > ours)
    ]
    if above and not _privileged():
        for limit, ours in above:
            yield Refusal(
                "task.rlimit_above",
                f"the hard limit {limit.name} of {'infinity' if limit.hard is None else limit.hard} is above the restorer's {ours}",
                "/proc/self/limits",
                "raising a hard limit needs CAP_SYS_RESOURCE, getrlimit(2)",
                f"raise the restorer's limit ({limit.name}) or give it CAP_SYS_RESOURCE",
            )


def _privileged() -> bool:
    with open("/proc/self/status", "rb") as f:
        effective = next(line for line in f if line.startswith(b"CapEff:"))
    return bool(int(effective.split()[1], 16) >> CAP_SYS_RESOURCE & 1)


def restore(rec: Rlimits, steps: Steps) -> None:
    import resource  # as above

    part = steps.part(needs=("mm", "fds", "caps"), ends=("limits",))
    for limit in rec.limits:
        wanted = tuple(resource.RLIM_INFINITY if v is None else v for v in (limit.soft, limit.hard))
        if limit.name != RAISED and resource.getrlimit(NUMBERS[limit.name]) == wanted:
            continue  # what a restorer starts has its limits
        values = PAIR.pack(*(INFINITY if v is None else v for v in (limit.soft, limit.hard)))
        part.call("prlimit64", 0, NUMBERS[limit.name], values, 0)


KIND = Kind("task.rlimits", record=Rlimits, subject="process", verbs=verbs(__name__))
