"""Whether a stop would reach a task and a program could run in it.

Not while it sleeps where only a fatal signal wakes it, as the parent of a vfork(2) does: who has seized such a task cannot let it go
again, because PTRACE_DETACH needs a stop and PTRACE_INTERRUPT waits for the sleep to end. And never where it is a thread that the kernel
made in the process to work for it: it stops, but runs no program. So this is asked before.

Source:  ptrace(2), "Detaching of the tracee"; vfork(2); Linux kernel/fork.c wait_for_vfork_done, create_io_thread
"""

from __future__ import annotations

import time

from holdfast.errors import Refused, TargetChanged

PATIENCE_S = 10.0
VFORK_PATIENCE_S = 1.0  # the child needs the time of an execve(2)
VFORK, CLONE, CLONE3 = 58, 56, 435
CLONE_VFORK = 0x4000
PF_IO_WORKER, PF_USER_WORKER = 0x10, 0x4000  # include/linux/sched.h


def wait_until_reachable(pid: int, tid: int) -> None:
    """Return when a stop would reach a task, or when it is gone; at once as a rule. One that only waits for a disk goes on in between.

    Raises:  refused.task.vfork: it waits for a child that does not go on
             refused.task.kernel_worker: it is no thread of the program's
             target_changed.unstoppable: it sleeps uninterruptibly for 10 s
    """
    first = began = 0.0
    ran = b""
    while (seen := _stat(pid, tid))[:1] == [b"D"]:
        now = time.monotonic()
        if not first:
            first, began, ran = now, now, _switches(pid, tid)
        elif _switches(pid, tid) != ran:
            if not _in_vfork(pid, tid):
                break
            began, ran = now, _switches(pid, tid)  # for another child
        if now - began > VFORK_PATIENCE_S and _in_vfork(pid, tid):
            raise Refused(
                "task.vfork",
                f"task {tid} cannot be dumped: it waits for a child that it made by vfork",
                where=f"/proc/{pid}/task/{tid}/syscall",
                why="until the child ends or executes a program no stop reaches its parent, vfork(2), and both use one stack",
                do="wait until the child has executed a program or ended, and retry",
            )
        if now - first > PATIENCE_S:
            raise unstoppable(tid, PATIENCE_S)
        time.sleep(0.001)
    if len(seen) > 6 and int(seen[6]) & (PF_IO_WORKER | PF_USER_WORKER):
        raise Refused(
            "task.kernel_worker",
            f"pid {pid} cannot be dumped: its thread {tid} is one in which the kernel works for it",
            where=f"/proc/{pid}/task/{tid}/stat",
            why="io_uring(7) and vhost make such threads; no program can run in them, and a restore cannot make them",
            do="close the io_uring or vhost descriptor and retry",
        )


def unstoppable(tid: int, patience_s: float) -> TargetChanged:
    """The error for a task that no stop reached."""
    return TargetChanged(
        "unstoppable",
        f"task {tid} did not stop within {patience_s:g} s",
        where=f"/proc/{tid}/stack",
        why="it is in an uninterruptible sleep, such as a vfork parent or a hung disk; ptrace(2) PTRACE_INTERRUPT waits for it",
        do="wait until the call has ended and try again",
    )


def _stat(pid: int, tid: int) -> list[bytes]:
    # from the state on; nothing where it is gone
    try:
        with open(f"/proc/{pid}/task/{tid}/stat", "rb", 0) as f:
            return f.read(1024).rpartition(b")")[2].split()
    except OSError:
        return []


def _switches(pid: int, tid: int) -> bytes:
    # how often it gave up the processor: another number, and it has run
    try:
        with open(f"/proc/{pid}/task/{tid}/status", "rb", 0) as f:
            return f.read(8192).partition(b"\nvoluntary_ctxt_switches:")[2].partition(b"\n")[0]
    except OSError:
        return b""


def _in_vfork(pid: int, tid: int) -> bool:
    try:
        with open(f"/proc/{pid}/task/{tid}/syscall", "rb", 0) as f:
            words = f.read(512).split()
    except OSError:
        return False
    if not words[:1] or not words[0].isdigit():
        return False
    call = int(words[0])
    return call in (VFORK, CLONE3) or (call == CLONE and bool(int(words[1], 16) & CLONE_VFORK))
