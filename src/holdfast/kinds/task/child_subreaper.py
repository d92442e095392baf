"""task.child_subreaper: a process that gets the orphans among its descendants as children.

Carries:  that it is one.
Loses:    nothing.
Sources:  prctl(2) PR_SET_CHILD_SUBREAPER.
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
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.prog.call import Answers

PR_GET_CHILD_SUBREAPER = 37


class ChildSubreaper(Record):
    """A process that adopts orphans; one that does not has no record."""

    adopts: bool


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def dump(ev: ProcessEvidence) -> Generator[Program, Answers, ChildSubreaper | None]:
    program = Program()
    out = Out(4)
    program.call("prctl", PR_GET_CHILD_SUBREAPER, out, 0, 0, 0)
    answers = yield program
    return ChildSubreaper(adopts=True) if tasks.number(answers.data(out)) else None


def restore(rec: ChildSubreaper, steps: Steps) -> None:
    """Nothing to emit: the engine sets it while it makes the tree, so that orphans go where they went."""


KIND = Kind("task.child_subreaper", record=ChildSubreaper, subject="process", verbs=verbs(__name__))
