"""Can this kernel make, trace and describe processes as a checkpoint needs it."""

from __future__ import annotations

import ctypes
import errno
import os

from holdfast.kernel import trial
from holdfast.kernel.answer import NO, QUESTIONS, UNKNOWN, YES, Answer, judged, opened, question, shared
from holdfast.kernel.procfs.auxv import parse_auxv
from holdfast.kernel.uapi import constants as c


def _traced() -> trial.Traced:
    # One child answers all questions of tracing.
    found = shared.get("traced")
    if not isinstance(found, trial.Traced):
        found = shared["traced"] = trial.Traced()
    return found


@question
def clone3_set_tid() -> Answer:
    """The right to choose the pid of a new process here: clone3(2) with set_tid."""
    failed = trial.set_tid_here()
    if failed == errno.EEXIST:
        return Answer(YES, "clone3(2) with set_tid was refused only because the pid is in use, as it is: ours")
    return judged(-failed, "clone3(2) with set_tid", lacks=(errno.ENOSYS, errno.EINVAL, errno.E2BIG))


@question
def user_namespace() -> Answer:
    """A user namespace of our own."""
    return judged(-trial.unshare(c.CLONE_NEWUSER), "unshare(2) of a user namespace")


@question
def clone3_set_tid_new_namespaces() -> Answer:
    """The right to choose pids inside a user and pid namespace of our own: restore without privilege rests on it."""
    return judged(-trial.set_tid_in_new_namespaces(), "clone3(2) with set_tid in new namespaces")


@question
def time_namespace() -> Answer:
    """A time namespace, inside a user namespace of our own."""
    return judged(-trial.unshare(c.CLONE_NEWUSER | c.CLONE_NEWTIME), "unshare(2) of a time namespace")


@question
def checkpoint_restore_capability() -> Answer:
    """CAP_CHECKPOINT_RESTORE, or CAP_SYS_ADMIN which includes it, in force; its value is every capability in force."""
    with open("/proc/self/status", "rb") as file:
        held = next(int(line.split()[1], 16) for line in file if line.startswith(b"CapEff:"))
    has = [name for name in ("CAP_CHECKPOINT_RESTORE", "CAP_SYS_ADMIN") if held >> getattr(c, name) & 1]
    with open("/proc/self/uid_map", "rb") as file:
        initial = file.read().split() == [b"0", b"0", b"4294967295"]
    where = "" if initial else ", within this user namespace only"
    if has:
        return Answer(YES, f"{' and '.join(has)} in force{where}", held)
    return Answer(NO, f"neither CAP_CHECKPOINT_RESTORE nor CAP_SYS_ADMIN is in force{where}", held)


@question
def ns_last_pid() -> Answer:
    """/proc/sys/kernel/ns_last_pid, which chooses the next pid where clone3 cannot. Opened and not written: that would change it."""
    there, allowed = opened("/proc/sys/kernel/ns_last_pid", os.O_WRONLY), checkpoint_restore_capability()
    return there if not there.yes or allowed.yes else Answer(NO, allowed.reason)


@question
def ptrace_seize() -> Answer:
    """PTRACE_SEIZE, tried on a child of ours; another's process may be out of reach all the same."""
    return judged(_traced().seized, "PTRACE_SEIZE of a child")


def _told(name: str, key: str, what: str, lacks: tuple[int, ...] = (errno.EIO, errno.EINVAL), fine: tuple[int, ...] = ()) -> None:
    def asked() -> Answer:
        if _traced().seized:
            return Answer(UNKNOWN, ptrace_seize().reason)
        result = _traced().answers[key]
        if -result in fine:
            return Answer(YES, f"{what} works; the child has none")
        return judged(result, what, lacks, result if result > 0 else None)

    QUESTIONS[name] = asked


_told("ptrace_rseq_configuration", "rseq", "PTRACE_GET_RSEQ_CONFIGURATION")
_told("ptrace_syscall_user_dispatch", "syscall_user_dispatch", "PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG")
_told("ptrace_syscall_info", "syscall_info", "PTRACE_GET_SYSCALL_INFO")
_told("ptrace_sigmask", "sigmask", "PTRACE_GETSIGMASK")
_told("ptrace_peeksiginfo", "peeksiginfo", "PTRACE_PEEKSIGINFO")
_told("ptrace_seccomp_filter", "seccomp_filter", "PTRACE_SECCOMP_GET_FILTER", lacks=(errno.EIO,), fine=(errno.EINVAL,))
_told("ptrace_suspend_seccomp", "suspend_seccomp", "PTRACE_O_SUSPEND_SECCOMP")
_told("xstate", "xstate", "the register set NT_X86_XSTATE")
_told("ptrace_shadow_stack", "shadow_stack", "the register set NT_X86_SHSTK", lacks=(errno.EINVAL,), fine=(errno.ENODEV,))


@question
def shadow_stack() -> Answer:
    """User shadow stacks: built in, and the CPU has them; its value is what is on for us.

    Source:  Linux arch/x86/kernel/shstk.c shstk_prctl; 98cfa4630912 ("x86: Introduce userspace API for shadow stack") (v6.6)
    """
    status = ctypes.create_string_buffer(8)
    failed = trial.syscall("arch_prctl", c.ARCH_SHSTK_STATUS, status)
    if failed:
        return judged(failed, "ARCH_SHSTK_STATUS")
    with open("/proc/cpuinfo", "rb") as file:
        flags = next((line.split() for line in file if line.startswith(b"flags")), [])
    if b"user_shstk" not in flags:
        return Answer(NO, "the kernel has user shadow stacks, this CPU or its hypervisor does not")
    return Answer(YES, "ARCH_SHSTK_STATUS works and the CPU has user_shstk", int.from_bytes(status.raw, "little"))


@question
def rseq_feature_size() -> Answer:
    """How many bytes of struct rseq the kernel fills, from the auxiliary vector; before 6.3 it did not say, and it was 20.

    Source:  ee3e3ac05c26 ("rseq: Introduce extensible rseq ABI") (v6.3)
    """
    with open("/proc/self/auxv", "rb") as file:
        found = dict(parse_auxv(file.read())).get(c.AT_RSEQ_FEATURE_SIZE)
    if found is None:
        return Answer(YES, "the auxiliary vector has no AT_RSEQ_FEATURE_SIZE: the first form of rseq", 20)
    return Answer(YES, f"AT_RSEQ_FEATURE_SIZE is {found}", found)


@question
def timer_restore_ids() -> Answer:
    """PR_TIMER_CREATE_RESTORE_IDS, which gives a timer back its number.

    Source:  Linux kernel/time/posix-timers.c posixtimer_create_prctl; new in v6.15
    """
    result = trial.syscall("prctl", c.PR_TIMER_CREATE_RESTORE_IDS, c.PR_TIMER_CREATE_RESTORE_IDS_GET, 0, 0, 0)
    return judged(result, "PR_TIMER_CREATE_RESTORE_IDS")


@question
def kcmp() -> Answer:
    """kcmp(2), tried on ourselves."""
    return judged(trial.syscall("kcmp", os.getpid(), os.getpid(), c.KCMP_VM, 0, 0), "kcmp(2)")


@question
def pidfd_getfd() -> Answer:
    """pidfd_getfd(2), tried on ourselves."""
    try:
        own = os.pidfd_open(os.getpid())
    except OSError as cause:
        return judged(-(cause.errno or 0), "pidfd_open(2)")
    try:
        copy = trial.syscall("pidfd_getfd", own, own, 0)
        if copy >= 0:
            os.close(copy)
    finally:
        os.close(own)
    return judged(copy, "pidfd_getfd(2)")


@question
def proc_children() -> Answer:
    """/proc/PID/task/TID/children."""
    return opened("/proc/thread-self/children")


@question
def proc_timers() -> Answer:
    """/proc/PID/timers."""
    return opened("/proc/self/timers")
