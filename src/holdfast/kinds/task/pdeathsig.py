"""task.pdeathsig: the signal that a thread gets when the thread that made it ends.

Carries:  the signal.
Loses:    nothing: which thread of the parent made it is carried by task.process.
Sources:  prctl(2) PR_SET_PDEATHSIG, Linux kernel/cred.c commit_creds (a change of credentials clears it).
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, verbs
from holdfast.model.record import Record
from holdfast.prog.call import Out, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.prog.call import Answers

PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2


class Pdeathsig(Record):
    """A signal to be sent when the parent ends."""

    signal: int


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def dump(ev: ThreadEvidence) -> Generator[Program, Answers, Pdeathsig | None]:
    program = Program()
    out = Out(4)
    program.call("prctl", PR_GET_PDEATHSIG, out, 0, 0, 0)
    answers = yield program
    signal = tasks.number(answers.data(out))
    return Pdeathsig(signal) if signal else None


def restore(rec: Pdeathsig, steps: Steps) -> None:
    steps.part(needs=("mm", "creds")).call("prctl", PR_SET_PDEATHSIG, rec.signal, 0, 0, 0)


KIND = Kind("task.pdeathsig", record=Pdeathsig, subject="thread", verbs=verbs(__name__))
