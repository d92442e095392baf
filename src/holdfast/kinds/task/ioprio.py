"""task.ioprio: the I/O priority of a thread.

Carries:  class, level, hint.
Loses:    nothing: tasks that share one I/O context (CLONE_IO) are refused by task.sharing.
Sources:  ioprio_set(2), Linux block/ioprio.c, include/uapi/linux/ioprio.h.
"""

from __future__ import annotations

from holdfast.kernel.sched import own_io_priority
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Struct, verbs
from holdfast.model.record import Record, field
from holdfast.prog.call import Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.prog.call import Answers

IOPRIO_WHO_PROCESS = 1
CLASSES = ("none", "realtime", "best_effort", "idle")
CLASS_SHIFT, HINT_SHIFT, LEVEL_MASK, HINT_MASK = 13, 3, 7, 0x3FF


class IoPrio(Record):
    """An I/O priority; the class `none` follows the nice value."""

    io_class: str
    level: int = field(default=0)  # 0 .. 7, 0 is first
    hint: int = field(default=0)  # 0 .. 1023


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def dump(ev: ThreadEvidence) -> Generator[Program, Answers, IoPrio]:
    program = Program()
    asked = program.call("ioprio_get", IOPRIO_WHO_PROCESS, 0)
    answers = yield program
    value = answers.value(asked)
    number = value >> CLASS_SHIFT
    if number >= len(CLASSES):
        raise tasks.refused(
            "task.ioprio",
            ev,
            f"its I/O priority class {number} has no name",
            why="ioprio_set(2)",
            do="ionice -c 0 -p PID, or teach the class to task.ioprio",
        )
    return IoPrio(CLASSES[number], value & LEVEL_MASK, value >> HINT_SHIFT & HINT_MASK)


def restore(rec: IoPrio, steps: Steps) -> None:
    value = CLASSES.index(rec.io_class) << CLASS_SHIFT | rec.hint << HINT_SHIFT | rec.level
    if not value and not own_io_priority():
        return  # the new task inherits none; to set none would give it an I/O context
    steps.part(needs=("mm", "caps")).call("ioprio_set", IOPRIO_WHO_PROCESS, 0, value)


KIND = Kind("task.ioprio", record=IoPrio, subject="thread", watches=(Struct("io_context"),), verbs=verbs(__name__))
