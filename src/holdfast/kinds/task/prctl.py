"""task.prctl: small settings of a thread that prctl(2) and arch_prctl(2) hold.

Carries:  access to the time stamp counter and to the cpuid instruction, speculation controls that the thread may choose, the
          policy for memory errors, that the thread serves I/O (PR_SET_IO_FLUSHER).
Loses:    where Yama guards ptrace(2), whom the process let trace it (PR_SET_PTRACER): no call shows it, and without it fewer may. A
          core scheduling cookie is refused.
Sources:  prctl(2), arch_prctl(2), Linux kernel/sys.c, arch/x86/kernel/process.c, Documentation/userspace-api/spec_ctrl.rst.
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, StatusKey, verbs
from holdfast.model.record import Record, field
from holdfast.prog.call import ANY, Out, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.prog.call import Answers

PR_GET_TSC, PR_SET_TSC = 25, 26
PR_MCE_KILL, PR_MCE_KILL_GET, PR_MCE_KILL_SET = 33, 34, 1
PR_GET_SPECULATION_CTRL, PR_SET_SPECULATION_CTRL = 52, 53
PR_SET_IO_FLUSHER, PR_GET_IO_FLUSHER = 57, 58
PR_SCHED_CORE, PR_SCHED_CORE_GET = 62, 0
ARCH_GET_CPUID, ARCH_SET_CPUID = 0x1011, 0x1012
EPERM = 1

PR_SPEC_PRCTL = 1
SPECULATION = {"store_bypass": 0, "indirect_branch": 1, "l1d_flush": 2}
SPECULATION_STATES = {"enabled": 2, "disabled": 4, "disabled_for_good": 8, "disabled_until_exec": 16}
_SPECULATION_NAMES = {n: name for name, n in SPECULATION_STATES.items()}
TSC = {"allowed": 1, "sigsegv": 2}
MEMORY_ERRORS = ("late", "early", "default")
# PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE of task_struct.flags: what PR_SET_IO_FLUSHER sets; PR_GET_IO_FLUSHER needs CAP_SYS_RESOURCE
IO_FLUSHER = 0x00180000


class Prctl(Record):
    """A thread's small settings; a speculation control that the thread cannot choose is empty."""

    tsc: str = field(default="allowed")
    cpuid_faults: bool = False
    memory_errors: str = field(default="default")
    io_flusher: bool = False
    store_bypass: str = field(default="")
    indirect_branch: str = field(default="")
    l1d_flush: str = field(default="")


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def dump(ev: ThreadEvidence) -> Generator[Program, Answers, Prctl]:
    program = Program()
    tsc, cookie = Out(4), Out(8)
    program.call("prctl", PR_GET_TSC, tsc, 0, 0, 0)
    # what follows may be unknown to a kernel or a processor, which then holds no such setting
    cpuid = program.call("arch_prctl", ARCH_GET_CPUID, 0, check=ANY)
    errors = program.call("prctl", PR_MCE_KILL_GET, 0, 0, 0, 0, check=ANY)
    spec = [program.call("prctl", PR_GET_SPECULATION_CTRL, n, 0, 0, 0, check=ANY) for n in SPECULATION.values()]
    flusher = program.call("prctl", PR_GET_IO_FLUSHER, 0, 0, 0, 0, check=ANY)
    program.call("prctl", PR_SCHED_CORE, PR_SCHED_CORE_GET, 0, 0, cookie, check=ANY)
    answers = yield program
    if any(answers.data(cookie)):
        raise tasks.refused(
            "task.sched_core",
            ev,
            "it has a core scheduling cookie",
            why="prctl(2) PR_SCHED_CORE makes new cookies only: which tasks share one could not be brought back",
            do="start it without core scheduling",
        )
    asked = answers.value(flusher)
    return Prctl(
        next(name for name, n in TSC.items() if n == tasks.number(answers.data(tsc))),
        answers.value(cpuid) == 0,
        MEMORY_ERRORS[answers.value(errors)] if answers.value(errors) >= 0 else "default",
        asked > 0 or (asked == -EPERM and ev.stat.flags & IO_FLUSHER == IO_FLUSHER),
        *(_speculation(ev, name, answers.value(c)) for name, c in zip(SPECULATION, spec, strict=True)),
    )


def _speculation(ev: ThreadEvidence, what: str, value: int) -> str:
    if value < 0 or not value & PR_SPEC_PRCTL:
        return ""
    name = _SPECULATION_NAMES.get(value & ~PR_SPEC_PRCTL)
    if name is None:
        raise tasks.refused(
            "task.speculation",
            ev,
            f"its speculation control {what} is {value:#x}, which has no name",
            why="prctl(2)",
            do="teach it to task.prctl",
        )
    return name


def restore(rec: Prctl, steps: Steps) -> None:
    part = steps.part(needs=("mm", "fds", "caps"))
    part.call("prctl", PR_SET_TSC, TSC[rec.tsc], 0, 0, 0)
    if rec.cpuid_faults:
        part.call("arch_prctl", ARCH_SET_CPUID, 0)
    # a kernel without memory error handling has only the default
    part.call(
        "prctl",
        PR_MCE_KILL,
        PR_MCE_KILL_SET,
        MEMORY_ERRORS.index(rec.memory_errors),
        0,
        0,
        check=ANY if rec.memory_errors == "default" else "ok",
    )
    if rec.io_flusher:
        part.call("prctl", PR_SET_IO_FLUSHER, 1, 0, 0, 0)
    for name, number in SPECULATION.items():
        state = getattr(rec, name)
        if state:
            part.call("prctl", PR_SET_SPECULATION_CTRL, number, SPECULATION_STATES[state], 0, 0)


KIND = Kind(
    "task.prctl",
    record=Prctl,
    subject="thread",
    watches=(StatusKey("Speculation_Store_Bypass"), StatusKey("SpeculationIndirectBranch")),
    verbs=verbs(__name__),
)
