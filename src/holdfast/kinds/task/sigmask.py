"""task.sigmask: the signals that a thread blocks.

Carries:  the mask; for a thread inside sigsuspend, ppoll and the like the one that it goes back to, and the call is made again.
Loses:    nothing.
Sources:  sigprocmask(2), ptrace(2) PTRACE_GETSIGMASK.
"""

from __future__ import annotations

from holdfast.kinds.contract import Claim, Kind, StatusKey, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ThreadEvidence


class SigMask(Record):
    """A thread's blocked signals: bit n-1 is signal n."""

    blocked: int


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def dump(ev: ThreadEvidence) -> SigMask:
    assert ev.stopped is not None
    return SigMask(ev.stopped.sigmask)


def restore(rec: SigMask, steps: Steps) -> None:
    """Nothing to emit: the engine sets it through ptrace, last of all."""


KIND = Kind("task.sigmask", record=SigMask, subject="thread", watches=(StatusKey("SigBlk"),), verbs=verbs(__name__))
