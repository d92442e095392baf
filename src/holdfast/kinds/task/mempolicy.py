"""task.mempolicy: from which memory nodes a thread takes its pages.

Carries:  mode, mode flags, nodes.
Loses:    where an interleaving policy had got to.
Sources:  set_mempolicy(2), get_mempolicy(2), numa(7), Linux mm/mempolicy.c.
"""

from __future__ import annotations

from holdfast.kernel import flags
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, FlagSet, Kind, StatusKey, Struct, verbs
from holdfast.model.record import Record
from holdfast.prog.call import ANY, Out, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.prog.call import Answers

MODES = ("default", "preferred", "bind", "interleave", "local", "preferred_many", "weighted_interleave")
MODE_MASK = (1 << 13) - 1
NODES = 1024  # the kernel wants at least as many as it can have (CONFIG_NODES_SHIFT is at most 10)
ENOSYS = 38


class MemPolicy(Record):
    """A thread's memory policy; a kernel without NUMA has none, and no record."""

    mode: str
    flags: tuple[str, ...]
    nodes: tuple[int, ...]


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def dump(ev: ThreadEvidence) -> Generator[Program, Answers, MemPolicy | None]:
    program = Program()
    mode, nodes = Out(4), Out(NODES // 8)
    asked = program.call("get_mempolicy", mode, nodes, NODES + 1, 0, 0, check=ANY)  # ENOSYS without NUMA
    answers = yield program
    if answers.value(asked) == -ENOSYS:
        return None
    value = tasks.number(answers.data(mode))
    number = value & MODE_MASK
    try:
        if answers.value(asked) < 0 or number >= len(MODES):
            raise ValueError(f"mode {number} has no name" if answers.value(asked) == 0 else f"get_mempolicy gives {answers.value(asked)}")
        chosen = flags.names("mempolicy", value & ~MODE_MASK)
    except ValueError as e:
        raise tasks.refused(
            "task.mempolicy", ev, f"its memory policy is not known: {e}", why="get_mempolicy(2)", do="teach it to task.mempolicy"
        ) from e
    bits = int.from_bytes(answers.data(nodes), "little")
    return MemPolicy(MODES[number], chosen, tuple(i for i in range(NODES) if bits >> i & 1) if bits else ())


def restore(rec: MemPolicy, steps: Steps) -> None:
    mode = MODES.index(rec.mode) | flags.bits("mempolicy", rec.flags)
    part = steps.part(needs=("mm", "caps"))
    if rec.nodes:
        part.call("set_mempolicy", mode, sum(1 << n for n in rec.nodes).to_bytes(NODES // 8, "little"), NODES + 1)
    else:
        part.call("set_mempolicy", mode, 0, 0)


KIND = Kind(
    "task.mempolicy",
    record=MemPolicy,
    subject="thread",
    watches=(Struct("mempolicy"), FlagSet("mempolicy"), StatusKey("Mems_allowed"), StatusKey("Mems_allowed_list")),
    verbs=verbs(__name__),
)
