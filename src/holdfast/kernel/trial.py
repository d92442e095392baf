"""What only a try can tell: single harmless system calls of ours, and children of ours that live for a moment.

A child is forked, does one thing, ends and is reaped here. One that waits to be traced waits on a pipe whose other end is ours,
so that it ends with us whatever happens.
"""

from __future__ import annotations

import ctypes
import os

from holdfast.kernel.answer import LOST
from holdfast.kernel.uapi import constants as c
from holdfast.kernel.uapi.structs import CLONE_ARGS, IOVEC, PTRACE_PEEKSIGINFO_ARGS
from holdfast.kernel.uapi.syscalls import X86_64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# By a name that Python does not mangle inside a class.
_WALL = getattr(c, "__WALL")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """What a system call returns: a value, or minus its errno."""
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = _libc.syscall(ctypes.c_long(X86_64[name]), *words)
    return -ctypes.get_errno() if result == -1 else int(result)


def in_child(work: Callable[[], int]) -> int:
    """What `work` returned in a child of ours: 0, or an errno; LOST when the child did not come to say it.

    Needs:   SIGCHLD not ignored, else LOST
    """
    pid = os.fork()
    if pid == 0:
        code = LOST
        try:
            code = work()
        finally:
            os._exit(code)
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return LOST
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else LOST


def unshare(flags: int) -> int:
    """The errno with which unshare(2) of these flags fails, 0 when it works; tried in a child."""
    return in_child(lambda: -syscall("unshare", flags))


def set_tid_here() -> int:
    """The errno with which clone3 refuses to make a process with our own pid: EEXIST when we may choose pids.

    No process is made: the kernel looks at the right to choose before it finds the number taken.

    Source:  Linux kernel/pid.c alloc_pid
    """
    return -_clone_with_tid(os.getpid())


def set_tid_in_new_namespaces() -> int:
    """The errno with which a new user and pid namespace's first process cannot be given a pid, 0 when it can; tried in a child."""

    def work() -> int:
        failed = -syscall("unshare", c.CLONE_NEWUSER | c.CLONE_NEWPID)
        if failed:
            return failed
        made = _clone_with_tid(1)
        if made < 0:
            return -made
        os.waitpid(made, 0)
        return 0

    return in_child(work)


def _clone_with_tid(tid: int) -> int:
    wanted = ctypes.create_string_buffer(tid.to_bytes(4, "little"), 4)
    args = CLONE_ARGS.pack(exit_signal=c.SIGCHLD, set_tid=ctypes.addressof(wanted), set_tid_size=1)
    made = syscall("clone3", args, CLONE_ARGS.offset("cgroup"))
    if made == 0:
        os._exit(0)
    return made


class Traced:
    """What ptrace said of a child of ours that was seized and stopped; each an errno as a negative number, or a value."""

    __slots__ = ("answers", "seized")

    def __init__(self) -> None:
        self.answers: dict[str, int] = {}
        self.seized = -LOST
        end, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(ours)
                os.read(end, 1)
            finally:
                os._exit(0)
        os.close(end)
        handle = os.pidfd_open(pid)
        try:
            self.seized = _ptrace(c.PTRACE_SEIZE, pid)
            if self.seized == 0:
                _ptrace(c.PTRACE_INTERRUPT, pid)
                os.waitpid(pid, _WALL)
                self._ask(pid)
        except ChildProcessError:
            self.seized = -LOST
        finally:
            syscall("pidfd_send_signal", handle, c.SIGKILL, None, 0)
            os.close(handle)
            os.close(ours)
            try:
                os.waitpid(pid, _WALL)
            except ChildProcessError:
                pass  # SIGCHLD is ignored: the kernel has reaped it

    def _ask(self, pid: int) -> None:
        room = ctypes.create_string_buffer(1 << 16)
        for name, request, address in (
            ("rseq", c.PTRACE_GET_RSEQ_CONFIGURATION, 24),
            ("syscall_user_dispatch", c.PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, 32),
            ("syscall_info", c.PTRACE_GET_SYSCALL_INFO, len(room)),
            ("sigmask", c.PTRACE_GETSIGMASK, 8),
            ("seccomp_filter", c.PTRACE_SECCOMP_GET_FILTER, 0),
        ):
            self.answers[name] = _ptrace(request, pid, address, room)
        self.answers["peeksiginfo"] = _ptrace(
            c.PTRACE_PEEKSIGINFO, pid, ctypes.create_string_buffer(PTRACE_PEEKSIGINFO_ARGS.pack(nr=1)), room
        )
        for name, note in (("xstate", c.NT_X86_XSTATE), ("shadow_stack", c.NT_X86_SHSTK)):
            vector = ctypes.create_string_buffer(IOVEC.pack(iov_base=ctypes.addressof(room), iov_len=len(room)))
            failed = _ptrace(c.PTRACE_GETREGSET, pid, note, vector)
            self.answers[name] = failed or IOVEC.unpack(vector.raw)["iov_len"]
        self.answers["suspend_seccomp"] = _ptrace(c.PTRACE_SETOPTIONS, pid, 0, c.PTRACE_O_SUSPEND_SECCOMP)


def _ptrace(request: int, pid: int, address: int | ctypes.Array[ctypes.c_char] = 0, data: int | ctypes.Array[ctypes.c_char] = 0) -> int:
    return syscall("ptrace", request, pid, address, data)
