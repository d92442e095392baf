"""task.syscall_dispatch: a thread whose system calls are handed to a signal handler.

Carries:  nothing.
Loses:    nothing: a thread that has it switched on is refused.
Sources:  prctl(2) PR_SET_SYSCALL_USER_DISPATCH, Linux Documentation/admin-guide/syscall-user-dispatch.rst.
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, Unchecked, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Verdict
    from holdfast.kinds.evidence import ThreadEvidence

OFF = 0
# The ptrace request came with v6.4 (3f67987cdc09, "ptrace: Provide set/get interface for syscall user dispatch"); x86 before 6.4 has the
# feature without it. A program that our own calls go through untouched shows nothing either.


class SyscallDispatch(Record):
    """Nothing: a thread with it is refused."""


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim() if ev.stopped is not None and ev.stopped.dispatch_mode != OFF else None


def refuse(ev: ThreadEvidence, kernel: Probes) -> Iterator[Verdict]:
    if ev.stopped is None or ev.stopped.dispatch_mode is None:
        yield Unchecked(
            "task.syscall_dispatch",
            f"whether {tasks.who(ev)} hands system calls to a handler",
            "PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG needs Linux 6.4",
            "task_struct.syscall_dispatch",
        )
        return
    yield Refusal(
        "task.syscall_dispatch",
        f"{tasks.who(ev)} cannot be dumped: its system calls go to a handler",
        tasks.where(ev, ""),
        "prctl(2) PR_SET_SYSCALL_USER_DISPATCH; an emulator does this",
        "none known",
    )


KIND = Kind(
    "task.syscall_dispatch", record=SyscallDispatch, subject="thread", watches=(Struct("syscall_user_dispatch"),), verbs=verbs(__name__)
)
