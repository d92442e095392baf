"""mm.policy: from which memory nodes one area takes its pages (mbind).

Carries:  nothing: an area with a policy of its own is refused by name. The policy of a thread is carried by task.mempolicy.
Loses:    nothing.
Sources:  mbind(2), get_mempolicy(2) MPOL_F_ADDR, Linux mm/mempolicy.c do_get_mempolicy: an area without policy says MPOL_DEFAULT.
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Struct, verbs
from holdfast.model.record import Record
from holdfast.prog.call import ANY, Out, Program, in_turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.prog.call import Answers

MPOL_F_ADDR = 2
MPOL_DEFAULT = 0
ENOSYS = 38
NODES = 1024
KERNELS_OWN = ("vdso", "vvar", "vvar_vclock", "vsyscall")


class Policy(Record):
    """Nothing: an area's policy is refused."""


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def dump(ev: ProcessEvidence) -> Generator[Program, Answers, None]:
    areas = [a for a in ev.vmas if a.vma.special not in KERNELS_OWN]
    found = []
    for some in in_turn(areas):
        program, mask, asked = Program(), Out(NODES // 8), []
        for area in some:
            mode = Out(8)
            # ENOSYS without NUMA
            asked.append((area, mode, program.call("get_mempolicy", mode, mask, NODES + 1, area.vma.start, MPOL_F_ADDR, check=ANY)))
        answers = yield program
        for area, mode, call in asked:
            result = answers.value(call)
            if result == -ENOSYS:
                return
            policy = int.from_bytes(answers.data(mode)[:4], "little")
            if result < 0 or policy != MPOL_DEFAULT:
                said = f"policy {policy:#x}" if result == 0 else f"get_mempolicy gives {result}"
                found.append(
                    tasks.refused(
                        "mm.policy",
                        ev,
                        f"its memory {area.vma.start:#x}-{area.vma.end:#x} has a memory policy of its own: {said}",
                        why="mbind(2); no kind carries the policy of an area",
                        do="start the program without mbind, or set the policy for its threads with numactl",
                    )
                )
    if found:
        raise tasks.together(ev, found)


def restore(rec: Policy, steps: Steps) -> None:
    """Nothing: there is never a record."""


KIND = Kind("mm.policy", record=Policy, subject="process", watches=(Struct("mempolicy"), Struct("vm_area_struct")), verbs=verbs(__name__))
