"""What else is there: lists of sockets, the kernel's own types, settings."""

from __future__ import annotations

import ctypes
import errno
import os

from holdfast.errors import KernelLacks
from holdfast.kernel import sockdiag, trial
from holdfast.kernel.answer import NO, QUESTIONS, YES, Answer, judged, opened, question, setting


def _listed(family: str, ask_for: str, arguments: tuple[int, ...] = ()) -> None:
    def asked() -> Answer:
        try:
            fd = sockdiag.open_socket()
        except OSError as cause:
            return judged(-(cause.errno or 0), "a NETLINK_SOCK_DIAG socket", lacks=(errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT))
        try:
            getattr(sockdiag, ask_for)(fd, *arguments)
        except KernelLacks as lacking:
            return Answer(NO, lacking.why)
        finally:
            os.close(fd)
        return Answer(YES, f"sock_diag lists {family} sockets")

    QUESTIONS[f"sock_diag_{family}"] = asked


_listed("unix", "unix_sockets")
_listed("tcp", "inet_sockets", (2, 6, 0))  # no state: the table is not walked
_listed("udp", "inet_sockets", (2, 17, 0))
_listed("netlink", "netlink_sockets")
_listed("packet", "packet_sockets")


@question
def btf() -> Answer:
    """The kernel's own types: /sys/kernel/btf/vmlinux."""
    return opened("/sys/kernel/btf/vmlinux")


@question
def seccomp() -> Answer:
    """seccomp(2) with filters."""
    action = ctypes.create_string_buffer((0x7FFF0000).to_bytes(4, "little"), 4)  # SECCOMP_RET_ALLOW
    return judged(trial.syscall("seccomp", 2, 0, action), "seccomp(2)")  # SECCOMP_GET_ACTION_AVAIL


@question
def io_uring() -> Answer:
    """io_uring_setup(2), asked for no ring: EFAULT or EINVAL means that it would look at a real request."""
    result = trial.syscall("io_uring_setup", 0, None)
    if -result in {errno.EFAULT, errno.EINVAL}:
        return Answer(YES, "io_uring_setup(2) is there")
    return judged(result, "io_uring_setup(2)", lacks=(errno.ENOSYS,))


@question
def landlock() -> Answer:
    """The version of Landlock's interface."""
    version = trial.syscall("landlock_create_ruleset", None, 0, 1)  # LANDLOCK_CREATE_RULESET_VERSION
    return judged(version, "landlock_create_ruleset(2)", lacks=(errno.ENOSYS, errno.EOPNOTSUPP), value=version)


def _setting(name: str, path: str) -> None:
    QUESTIONS[name] = lambda: setting(path)


for _name, _path in (
    ("max_map_count", "/proc/sys/vm/max_map_count"),
    ("overcommit_memory", "/proc/sys/vm/overcommit_memory"),
    ("unprivileged_userfaultfd", "/proc/sys/vm/unprivileged_userfaultfd"),
    ("pid_max", "/proc/sys/kernel/pid_max"),
    ("core_pattern", "/proc/sys/kernel/core_pattern"),
    ("ptrace_scope", "/proc/sys/kernel/yama/ptrace_scope"),
    ("randomize_va_space", "/proc/sys/kernel/randomize_va_space"),
    ("max_user_namespaces", "/proc/sys/user/max_user_namespaces"),
):
    _setting(_name, _path)
