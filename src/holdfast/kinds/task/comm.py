"""task.comm: the name of a thread.

Carries:  all 15 bytes, whatever they are.
Loses:    nothing.
Sources:  prctl(2) PR_SET_NAME, proc_pid_status(5), Linux fs/proc/array.c proc_task_name.
"""

from __future__ import annotations

from holdfast.kinds.contract import Claim, Kind, StatusKey, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ThreadEvidence

PR_SET_NAME = 15


class Comm(Record):
    """A thread's name."""

    name: bytes  # at most 15


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def dump(ev: ThreadEvidence) -> Comm:
    return Comm(ev.status.name)


def restore(rec: Comm, steps: Steps) -> None:
    steps.part().call("prctl", PR_SET_NAME, rec.name + b"\0", 0, 0, 0)


KIND = Kind("task.comm", record=Comm, subject="thread", watches=(StatusKey("Name"),), verbs=verbs(__name__))
