"""task.oom: how likely the kernel ends a process when memory runs out.

Carries:  oom_score_adj.
Loses:    the lowest value that the process may set without CAP_SYS_RESOURCE, which nothing shows.
Sources:  proc_pid_oom_score_adj(5), Linux fs/proc/base.c __set_oom_adj.
"""

from __future__ import annotations

from holdfast.kernel.procfs.scalar import parse_number
from holdfast.kinds.contract import Claim, Kind, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ProcessEvidence

FILE = "oom_score_adj"


class Oom(Record):
    """A process's weight for the out-of-memory killer."""

    score_adj: int  # -1000 .. 1000


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def dump(ev: ProcessEvidence) -> Oom:
    return Oom(parse_number(FILE, ev.read(FILE)))


def restore(rec: Oom, steps: Steps) -> None:
    steps.part(needs=("mm", "caps")).write_proc(FILE, b"%d\n" % rec.score_adj)


KIND = Kind("task.oom", record=Oom, subject="process", verbs=verbs(__name__))
