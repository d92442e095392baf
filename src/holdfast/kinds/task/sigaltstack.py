"""task.sigaltstack: the other stack on which a thread's signal handlers run.

Carries:  address, size, automatic disarming, also of a stack that is switched off.
Loses:    nothing: that a handler runs on it now is in the thread's stack pointer.
Sources:  sigaltstack(2), Linux kernel/signal.c do_sigaltstack.
"""

from __future__ import annotations

from struct import Struct as Format

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, verbs
from holdfast.model.ids import RemoteAddr
from holdfast.model.record import Record, field
from holdfast.prog.call import Out, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.prog.call import Answers

STACK = Format("<QIxxxxQ")
SS_ONSTACK, SS_DISABLE, SS_AUTODISARM = 1, 2, 1 << 31


class SigAltStack(Record):
    """An alternate signal stack; size 0 is one that is switched off, and of that there is a record only where it has a setting."""

    address: RemoteAddr
    size: int
    autodisarm: bool = field(default=False)


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def dump(ev: ThreadEvidence) -> Generator[Program, Answers, SigAltStack | None]:
    program = Program()
    out = Out(STACK.size)
    program.call("sigaltstack", 0, out)
    answers = yield program
    address, flags, size = STACK.unpack(answers.data(out))
    if flags & ~(SS_ONSTACK | SS_DISABLE | SS_AUTODISARM):
        raise tasks.refused(
            "task.sigaltstack",
            ev,
            f"its signal stack has flags {flags:#x}, of which one has no name",
            why="sigaltstack(2)",
            do="teach it to task.sigaltstack",
        )
    if flags & SS_DISABLE and not flags & SS_AUTODISARM:
        return None
    return SigAltStack(RemoteAddr(address), size, bool(flags & SS_AUTODISARM))


def restore(rec: SigAltStack, steps: Steps) -> None:
    flags = (0 if rec.size else SS_DISABLE) | (SS_AUTODISARM if rec.autodisarm else 0)
    steps.part().call("sigaltstack", STACK.pack(int(rec.address), flags, rec.size), 0)


KIND = Kind("task.sigaltstack", record=SigAltStack, subject="thread", verbs=verbs(__name__))
