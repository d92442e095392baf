"""task.tid_address: where the kernel clears a thread's id when the thread ends (clear_child_tid).

Carries:  the address.
Loses:    nothing.
Sources:  set_tid_address(2), prctl(2) PR_GET_TID_ADDRESS (CONFIG_CHECKPOINT_RESTORE).
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, verbs
from holdfast.model.ids import RemoteAddr
from holdfast.model.record import Record
from holdfast.prog.call import ANY, Out, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.prog.call import Answers

PR_GET_TID_ADDRESS = 40


class TidAddress(Record):
    """The address of an int that becomes 0, and whose futex is woken, when the thread ends."""

    address: RemoteAddr


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def dump(ev: ThreadEvidence) -> Generator[Program, Answers, TidAddress | None]:
    program = Program()
    out = Out(8)
    asked = program.call("prctl", PR_GET_TID_ADDRESS, out, 0, 0, 0, check=ANY)  # a refusal says more than a failed call
    answers = yield program
    if answers.value(asked) < 0:
        raise tasks.refused(
            "task.tid_address",
            ev,
            "this kernel does not tell where it clears the thread's id",
            why="prctl(2) PR_GET_TID_ADDRESS needs CONFIG_CHECKPOINT_RESTORE",
            do="use a kernel with CONFIG_CHECKPOINT_RESTORE=y",
        )
    address = tasks.WORD.unpack(answers.data(out))[0]
    return TidAddress(RemoteAddr(address)) if address else None


def restore(rec: TidAddress, steps: Steps) -> None:
    steps.part().call("set_tid_address", int(rec.address))  # gives the thread's id


KIND = Kind("task.tid_address", record=TidAddress, subject="thread", verbs=verbs(__name__))
