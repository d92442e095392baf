"""Start the stub that a restored tree grows from, and make tasks with chosen ids."""

from __future__ import annotations

import os
from fcntl import F_DUPFD_CLOEXEC, fcntl
from struct import Struct as Format

from holdfast.kernel.sched import Beside
from holdfast.tracee import ptrace
from holdfast.tracee.arch.x86_64 import guard_elf, init_elf, stub_elf
from holdfast.tracee.seize import Thread

SIGNALS = (*range(1, 32), *range(34, 65))  # 32 and 33 are the C library's own; the stub never has them set
CLONE_ARGS = Format("<11Q")
CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND = 0x100, 0x200, 0x400, 0x800
CLONE_PTRACE, CLONE_PARENT, CLONE_THREAD, CLONE_SYSVSEM = 0x2000, 0x8000, 0x10000, 0x40000
THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM


def clone_args(flags: int, set_tid: int, exit_signal: int) -> bytes:
    """Struct clone_args of 88 bytes, asking for one chosen id; `set_tid` is the address of that id.

    Source:  clone(2), Linux include/uapi/linux/sched.h CLONE_ARGS_SIZE_VER2
    """
    return CLONE_ARGS.pack(flags, 0, 0, 0, exit_signal, 0, 0, 0, set_tid, 1, 0)


def stub_file(name: str, elf: bytes) -> int:
    """A descriptor of the stub's ELF in memory.

    Source:  memfd_create(2); MFD_EXEC since 105ff5339f49 ("mm/memfd: add MFD_NOEXEC_SEAL and MFD_EXEC") (v6.3)
    """
    try:
        fd = os.memfd_create(name, os.MFD_CLOEXEC | 0x10)
    except OSError:
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
    os.write(fd, elf)
    return fd


def held_stub(avoid: frozenset[int]) -> int:
    """Start a stub whose pid is none of those to be restored, and hold it, stopped; its pid.

    Raises:  OSError: no process can be started, or none may be traced
    """
    with Beside():
        pid = _spawn_stub(avoid)
        try:
            hold_stub(pid)
            ptrace.request(ptrace.INTERRUPT, pid)
            first_stop(Thread(pid))
        except BaseException:
            os.kill(pid, 9)
            os.waitpid(pid, ptrace.WALL)
            raise
    return pid


def _spawn_stub(avoid: frozenset[int]) -> int:
    fd = stub_file("holdfast-stub", stub_elf(os.getpid()))
    failed: list[int] = []
    try:
        while True:
            pid = os.posix_spawn(f"/proc/self/fd/{fd}", ["holdfast-stub"], {}, setsigmask=[], setsigdef=SIGNALS)
            if pid not in avoid:
                return pid
            failed.append(pid)
    finally:
        os.close(fd)
        for pid in failed:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def spawn_init(words: list[bytes]) -> int:
    """Start what is to become the init of a job's namespaces; its pid. It only pauses, with every signal blocked.

    Shape:   `words`: its argument list
    Raises:  OSError: no process can be started
    """
    fd = stub_file("holdfast-init", init_elf())
    try:
        return os.posix_spawn(f"/proc/self/fd/{fd}", words, {}, setsigmask=SIGNALS, setsigdef=SIGNALS)
    finally:
        os.close(fd)


def spawn_sentinel(start: str, files: dict[int, int]) -> tuple[int, int]:
    """Start what takes over if we are killed; its pid, and a pipe to it: a byte ends it, a close without one makes it run `start`.

    Shape:   `start`: Python, with the folder of this package as first argument; `files`: number there to number here, both none of
             0 to 2, the latter none of the former
    Raises:  OSError: no process can be started
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    image = stub_file("holdfast-guard", guard_elf())
    high = fcntl(read, F_DUPFD_CLOEXEC, 10)
    room = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    try:
        pid = os.posix_spawn(
            f"/proc/self/fd/{image}",
            ["holdfast-guard", os.readlink("/proc/self/exe"), "-IS", "-c", start, room],
            {},
            file_actions=[(os.POSIX_SPAWN_DUP2, high, 0), *((os.POSIX_SPAWN_DUP2, here, there) for there, here in files.items())],
            setsid=True,
            setsigmask=SIGNALS,
            setsigdef=SIGNALS,
        )
    except BaseException:
        os.close(write)
        raise
    finally:
        for fd in (read, image, high):
            os.close(fd)
    return pid, write


def hold_stub(pid: int) -> None:
    """Take a stub over as its tracer; it dies if we die.

    Needs:   the stub is our child or may be traced by us
    """
    ptrace.request(ptrace.SEIZE, pid, 0, ptrace.O_TRACESYSGOOD | ptrace.O_EXITKILL)


def first_stop(thread: Thread) -> None:
    """Wait for the stop of a task that is traced from birth, or that was told to stop; it has not made a step since.

    Source:  ptrace(2), PTRACE_O_TRACECLONE and automatic attach: it stops before its first instruction
    """
    status = thread.wait()
    while status >> 16 != ptrace.EVENT_STOP:
        ptrace.request(ptrace.CONT, thread.tid)
        status = thread.wait()
