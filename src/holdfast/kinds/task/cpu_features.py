"""task.cpu_features: processor features that a task switched on for itself.

Carries:  nothing.
Loses:    what no call of the task itself shows: descriptors that 32-bit code set by set_thread_area(2). A shadow stack, tagged
          addresses (LAM), a local descriptor table, permission for large register state (AMX) and protection keys are refused.
Sources:  arch_prctl(2), modify_ldt(2), pkeys(7), Linux Documentation/arch/x86/shstk.rst, xstate.rst, arch/x86/kernel/ldt.c.
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Refusal, StatusKey, Struct, verbs
from holdfast.model.record import Record
from holdfast.prog.call import ANY, Out, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.prog.call import Answers

ARCH_GET_XCOMP_PERM = 0x1022
DYNAMIC = 1 << 18  # XFEATURE_XTILE_DATA: what must be asked for
READ_LDT = 0
UNTAGGED = (1 << 64) - 1
# asked about an address that no area can have: EINVAL says that the key is free, ENOMEM that there is no area (mm/mprotect.c)
NOWHERE, PAGE, PROT_NONE, KEYS, EINVAL = 0xFFFF_8000_0000_0000, 4096, 0, range(1, 16), 22
XFEATURES_AT, PKRU = 464, 1 << 9  # of the XSAVE area: the features that the kernel saves


class CpuFeatures(Record):
    """Nothing: a process that uses one of these is refused."""


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def refuse(ev: ProcessEvidence, kernel: Probes) -> Iterator[Verdict]:
    for thread in tasks.tasks(ev):
        features = (*thread.status.thread_features, *thread.status.thread_features_locked)
        if features:
            yield Refusal(
                "task.shadow_stack",
                f"{tasks.who(thread)} cannot be dumped: it uses {', '.join(sorted(set(features)))}",
                tasks.where(thread, "status x86_Thread_features"),
                "a shadow stack can only be made by the kernel, and features that are locked cannot be set; arch_prctl(2)",
                "start it with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off",
            )
    mask = ev.status.keys.get("untag_mask")
    if mask is not None and int(mask, 16) != UNTAGGED:
        yield Refusal(
            "task.tagged_addresses",
            f"{tasks.who(ev)} cannot be dumped: it uses tagged addresses (LAM)",
            tasks.where(ev, "status untag_mask"),
            "arch_prctl(2) ARCH_ENABLE_TAGGED_ADDR",
            "start it without tagged addresses",
        )


def dump(ev: ProcessEvidence) -> Generator[Program, Answers, None]:
    program = Program()
    ldt, permitted = Out(8), Out(8)
    # a kernel without these has no such state
    used = program.call("modify_ldt", READ_LDT, ldt, 8, check=ANY)
    program.call("arch_prctl", ARCH_GET_XCOMP_PERM, permitted, check=ANY)
    stopped = ev.leader.stopped
    xstate = b"" if stopped is None else stopped.xstate
    keys = []
    if int.from_bytes(xstate[XFEATURES_AT : XFEATURES_AT + 8], "little") & PKRU:
        keys = [program.call("pkey_mprotect", NOWHERE, PAGE, PROT_NONE, key, check=ANY) for key in KEYS]
    answers = yield program
    found = []
    if answers.value(used) > 0:
        why = "modify_ldt(2); 16- and 32-bit code uses one"
        found.append(tasks.refused("task.ldt", ev, "it has a local descriptor table", why=why, do="none known"))
    if tasks.WORD.unpack(answers.data(permitted))[0] & DYNAMIC:
        why = "arch_prctl(2) ARCH_REQ_XCOMP_PERM; not carried yet"
        found.append(tasks.refused("task.amx", ev, "it may use the AMX tiles", why=why, do="start it without AMX"))
    taken = [str(key) for key, call in zip(KEYS, keys, strict=False) if answers.value(call) != -EINVAL]
    if taken:
        has = f"it has the protection keys {', '.join(taken)}"
        found.append(tasks.refused("task.pkeys", ev, has, why="pkeys(7); not carried yet", do="start it without them"))
    if found:
        raise tasks.together(ev, found)


def restore(rec: CpuFeatures, steps: Steps) -> None:
    """Nothing to emit: there is never a record."""


KIND = Kind(
    "task.cpu_features",
    record=CpuFeatures,
    subject="process",
    watches=(Struct("ldt_struct"), StatusKey("x86_Thread_features"), StatusKey("x86_Thread_features_locked"), StatusKey("untag_mask")),
    verbs=verbs(__name__),
)
