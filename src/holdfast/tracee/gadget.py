"""Find a syscall instruction that a process has already, and one that is safe to be abandoned at.

A single system call is made at an existing syscall instruction. Where we are killed in the middle of it, the task runs on
behind that instruction. So one is looked for that is followed by nothing but register clearing and a return, and an
endless loop (`jmp .`) as the place to return to: the task then spins there until its guard puts it right.
"""

from __future__ import annotations

import os

from holdfast.errors import Refused
from holdfast.model.record import Record, field
from holdfast.tracee import ptrace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SYSCALL_RET = b"\x0f\x05\xc3"
SYSCALL = b"\x0f\x05"
SPIN = b"\xeb\xfe"
PIECE = 1 << 16  # of a file that is searched


class Gadget(Record):
    """Addresses in a target: a syscall instruction, and an endless loop to return to (0 where there is none)."""

    syscall: int
    spin: int = field(default=0)


_in_file: dict[tuple[int, int, int, int, int], tuple[int, int]] = {}


# Where both are in a part of a file, or -1. Read, not mapped: the module mmap alone is 0.3 ms.
def _search(fd: int, offset: int, size: int) -> tuple[int, int]:
    room = bytearray(2 + PIECE)  # the first two are the last of the piece before
    into = memoryview(room)[2:]
    call = spin = -1
    at = 0
    while at < size and (call < 0 or spin < 0):
        got = os.preadv(fd, [into[: size - at]], offset + at)
        if not got:
            break
        first, end = (0 if at else 2), 2 + got
        if call < 0 and (hit := room.find(SYSCALL_RET, first, end)) >= 0:
            call = at + hit - 2
        if spin < 0 and (hit := room.find(SPIN, first, end)) >= 0:
            spin = at + hit - 2
        room[:2] = room[end - 2 : end]
        at += got
    return call, spin


def _file_pair(path: str, offset: int, size: int) -> tuple[int, int]:
    # offsets within the mapping of `syscall; ret` and `jmp .`, or -1
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1, -1
    try:
        st = os.fstat(fd)
        key = (st.st_dev, st.st_ino, st.st_mtime_ns, offset, size)
        if key not in _in_file:
            size = min(size, st.st_size - offset)
            if size <= 0:
                return -1, -1
            _in_file[key] = _search(fd, offset, size)
        return _in_file[key]
    finally:
        os.close(fd)


def find(pid: int, areas: Iterable[tuple[int, int, int, str]]) -> Gadget:
    """A place to make single calls from.

    Shape:   `areas` are the executable mappings of a process: start, end, file offset, name
    Raises:  refused.mm.no_syscall: the process has no syscall instruction at all
    """
    spin = call = bare = 0
    best: tuple[int, int] | None = None
    for start, end, offset, name in areas:
        if name == "[vdso]":
            code = ptrace.read_memory(pid, start, end - start)
            at = code.find(SYSCALL)
            if at >= 0:
                bare = start + at
        elif name.startswith("/") and ("libc" in name or "ld-" in name or "musl" in name):
            a, b = _file_pair(f"/proc/{pid}/root{name}", offset, end - start)
            if a >= 0 and b >= 0:
                # the file may have been replaced since: believe only what the process itself has there
                best = (start + a, start + b)
                if _holds(pid, best):
                    call, spin = best
                    break
    if call:
        return Gadget(call, spin)
    if bare:
        return Gadget(bare)
    for start, end, _, name in areas:
        if name == "[vsyscall]":
            continue
        for at in range(start, end, 1 << 20):
            try:
                code = ptrace.read_memory(pid, at, min(end - at, (1 << 20) + 1))
            except OSError:
                continue
            hit = code.find(SYSCALL)
            if hit >= 0:
                return Gadget(at + hit)
    raise Refused(
        "mm.no_syscall",
        f"pid {pid} cannot be dumped: none of its executable memory holds a syscall instruction",
        where=f"/proc/{pid}/maps",
        why="remote calls are made at an instruction that the process has already",
        do="none known",
    )


def _holds(pid: int, pair: tuple[int, int]) -> bool:
    try:
        return ptrace.read_memory(pid, pair[0], 3) == SYSCALL_RET and ptrace.read_memory(pid, pair[1], 2) == SPIN
    except OSError:
        return False
