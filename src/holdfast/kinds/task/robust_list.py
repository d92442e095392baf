"""task.robust_list: the locks that the kernel releases when a thread ends.

Carries:  the address of the list's head.
Loses:    a list that 32-bit code registered, which nothing shows.
Sources:  set_robust_list(2), Linux kernel/futex/core.c exit_robust_list.
"""

from __future__ import annotations

from holdfast.kinds.contract import Claim, Kind, Struct, verbs
from holdfast.model.ids import RemoteAddr
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ThreadEvidence


class RobustList(Record):
    """A registered list of robust futexes."""

    head: RemoteAddr
    size: int  # of the head, bytes


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim() if ev.stopped is not None and ev.stopped.robust[0] else None


def dump(ev: ThreadEvidence) -> RobustList:
    assert ev.stopped is not None
    head, size = ev.stopped.robust
    return RobustList(RemoteAddr(head), size)


def restore(rec: RobustList, steps: Steps) -> None:
    steps.part().call("set_robust_list", int(rec.head), rec.size)


KIND = Kind("task.robust_list", record=RobustList, subject="thread", watches=(Struct("robust_list_head"),), verbs=verbs(__name__))
