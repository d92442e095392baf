"""File locks: /proc/locks, and the lock lines of /proc/PID/fdinfo/FD, which have the same form."""

from __future__ import annotations

from holdfast.kernel.procfs.malformed import malformed
from holdfast.model.record import Record

_SOURCE = "proc_locks(5), Linux fs/locks.c lock_get_status"


class Lock(Record):
    """One lock held, or waited for, on one file."""

    kind: str  # POSIX, OFDLCK, FLOCK, LEASE, DELEG, ACCESS, or a word that is new
    mode: str  # ADVISORY, MANDATORY; a lease: ACTIVE, BREAKING, BREAKER
    access: str  # READ, WRITE, UNLCK
    pid: int  # the owner as this /proc counts; -1 for a lock of an open file description, 0 for an owner not to be seen
    major: int
    minor: int
    inode: int
    start: int
    end: int | None  # the last byte; None is the end of the file, wherever it comes to be
    waits: bool  # the line began with `->`: blocked by the lock of the same number above it


def parse_lock(line: bytes) -> Lock:
    """One lock from its line, `1: POSIX  ADVISORY  WRITE 412 fe:00:2173163 0 EOF`.

    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  proc_locks(5), Linux fs/locks.c lock_get_status
    """
    words = line.split()
    try:
        waits = words[1] == b"->"
        if waits:
            del words[1]
        kind, mode, access = (word.decode("ascii") for word in words[1:4])
        if words[5] == b"<none>:0":
            major = minor = inode = 0
        else:
            first, second, third = words[5].split(b":")
            major, minor, inode = int(first, 16), int(second, 16), int(third)
        end = None if words[7] == b"EOF" else int(words[7])
        if len(words) != 8 or words[0][-1:] != b":":
            raise ValueError(line)
        return Lock(kind, mode, access, int(words[4]), major, minor, inode, int(words[6]), end, waits)
    except (ValueError, IndexError) as cause:
        raise malformed("locks", line, _SOURCE) from cause


def parse_locks(data: bytes) -> list[Lock]:
    """The locks of /proc/locks, in the kernel's order: waiters after the lock that they wait for.

    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  proc_locks(5)
    """
    return [parse_lock(line) for line in data.split(b"\n") if line]
