"""task.sigactions: what a process does on each signal.

Carries:  handler, flags, mask and return trampoline of every signal.
Loses:    nothing.
Sources:  rt_sigaction(2), signal(7), Linux arch/x86/include/uapi/asm/signal.h, kernel/signal.c do_sigaction.
"""

from __future__ import annotations

from struct import Struct as Format

from holdfast.kernel import flags
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, FlagSet, Kind, StatusKey, Struct, verbs
from holdfast.model.ids import RemoteAddr
from holdfast.model.record import Record
from holdfast.prog.call import At, Out, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.prog.call import Answers

ACTION = Format("<4Q")  # handler, flags, restorer, mask
MASK_SIZE = 8
SIGKILL, SIGSTOP = 9, 19
SIGNALS = tuple(n for n in range(1, 65) if n not in (SIGKILL, SIGSTOP))
LIBRARY = (32, 33)  # tracee/spawn.py cannot give them their defaults
DEFAULT = bytes(ACTION.size)


class Action(Record):
    """What happens on one signal; the handler 0 is the default, 1 ignores it."""

    signal: int
    handler: RemoteAddr
    flags: tuple[str, ...]
    restorer: RemoteAddr
    mask: int  # bit n-1: signal n is blocked meanwhile


class SigActions(Record):
    """A process's actions, sorted by signal; a signal that is not here has the default without flags or mask."""

    actions: tuple[Action, ...]


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def dump(ev: ProcessEvidence) -> Generator[Program, Answers, SigActions]:
    program = Program()
    out = Out(64 * ACTION.size)
    for signal in SIGNALS:
        program.call("rt_sigaction", signal, 0, At(out, (signal - 1) * ACTION.size), MASK_SIZE)
    answers = yield program
    data = answers.data(out)
    actions = []
    for signal in SIGNALS:
        raw = data[(signal - 1) * ACTION.size : signal * ACTION.size]
        if raw == DEFAULT:
            continue
        handler, held, restorer, mask = ACTION.unpack(raw)
        try:
            actions.append(Action(signal, RemoteAddr(handler), flags.names("sigaction", held), RemoteAddr(restorer), mask))
        except flags.UnknownFlag as e:
            raise tasks.refused(
                "task.sigaction_flags",
                ev,
                f"of the flags of its action on signal {signal}, {e}",
                why="sigaction(2)",
                do="teach the flag to kernel/flagtables.py",
            ) from e
    return SigActions(tuple(actions))


def restore(rec: SigActions, steps: Steps) -> None:
    # the process is born with the default for every signal but those of the C library, which may be ignored in what the restorer starts
    part = steps.part(gives=("actions",))
    wanted = dict.fromkeys(LIBRARY, DEFAULT)
    for a in rec.actions:
        wanted[a.signal] = ACTION.pack(int(a.handler), flags.bits("sigaction", a.flags), int(a.restorer), a.mask)
    for signal, raw in wanted.items():
        part.call("rt_sigaction", signal, raw, 0, MASK_SIZE)


KIND = Kind(
    "task.sigactions",
    record=SigActions,
    subject="process",
    watches=(Struct("sighand_struct"), Struct("k_sigaction"), StatusKey("SigIgn"), StatusKey("SigCgt"), FlagSet("sigaction")),
    verbs=verbs(__name__),
)
