"""task.coredump_filter: which memory of a process goes into a core dump.

Carries:  every bit.
Loses:    nothing.
Sources:  core(5), proc_pid_coredump_filter(5), include/linux/sched/coredump.h.
"""

from __future__ import annotations

from holdfast.kernel import flags
from holdfast.kernel.procfs.scalar import parse_number
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, FlagSet, Kind, Refusal, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import ProcessEvidence

FILE = "coredump_filter"


class CoredumpFilter(Record):
    """The sorts of memory that a core dump holds."""

    memory: tuple[str, ...]


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def refuse(ev: ProcessEvidence, kernel: Probes) -> Iterator[Verdict]:
    try:
        dump(ev)
    except flags.UnknownFlag as e:
        yield Refusal(
            "task.coredump_filter",
            f"{tasks.who(ev)} cannot be dumped: {e}",
            tasks.where(ev, FILE),
            "core(5)",
            "teach the bit to kernel/flagtables.py",
        )


def dump(ev: ProcessEvidence) -> CoredumpFilter:
    return CoredumpFilter(flags.names(FILE, parse_number(FILE, ev.read(FILE))))


def restore(rec: CoredumpFilter, steps: Steps) -> None:
    steps.part(needs=("mm", "caps")).write_proc(FILE, b"%#x\n" % flags.bits(FILE, rec.memory))


KIND = Kind("task.coredump_filter", record=CoredumpFilter, subject="process", watches=(FlagSet(FILE),), verbs=verbs(__name__))
