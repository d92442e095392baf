"""task.autogroup: the nice value of a session's scheduling group.

Carries:  the value, for a session that the tree makes.
Loses:    the value of a session that lies outside the tree: it is the restorer's.
Sources:  sched(7) "The autogroup feature", proc_pid_autogroup(5), Linux kernel/sched/autogroup.c.
"""

from __future__ import annotations

from holdfast.kinds.contract import Claim, Kind, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ProcessEvidence

FILE = "autogroup"
NICE = b" nice "


class Autogroup(Record):
    """The nice value of the scheduling group of the session that a process leads; a session with 0 has no record."""

    nice: int


def _nice(ev: ProcessEvidence) -> int:
    try:
        text = ev.read(FILE)
    except FileNotFoundError:  # no CONFIG_SCHED_AUTOGROUP
        return 0
    return int(text.rpartition(NICE)[2]) if NICE in text else 0


def detect(ev: ProcessEvidence) -> Claim | None:
    return Claim() if not ev.zombie and ev.stat.session == ev.stat.pid and _nice(ev) else None


def dump(ev: ProcessEvidence) -> Autogroup:
    return Autogroup(_nice(ev))


def restore(rec: Autogroup, steps: Steps) -> None:
    steps.part(needs=("mm", "caps")).write_proc(FILE, b"%d\n" % rec.nice)


KIND = Kind("task.autogroup", record=Autogroup, subject="process", verbs=verbs(__name__))
