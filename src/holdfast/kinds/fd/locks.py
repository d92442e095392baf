"""fd.locks: locks on a file: of a process (fcntl F_SETLK), of an open file description (F_OFD_SETLK), and flock.

Carries:  kind, range, read or write, and for locks of a process which process.
Loses:    the order of waiters: a process that waits for a lock asks for it again; of a lock of an open file (flock, F_OFD_SETLK), which
          of the processes that share the file asked for it. A restore fails where somebody else has the lock by then.
Sources:  fcntl_locking(2), flock(2), proc_pid_fdinfo(5) `lock`, proc_locks(5), Linux fs/locks.c.
"""

from __future__ import annotations

import struct

from holdfast.kernel.procfs.fdinfo import parse_fdinfo
from holdfast.kinds import files
from holdfast.kinds.contract import Claim, FdinfoKey, Kind, Refusal, Struct, compare_fields, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kernel.procfs.locks import Lock as Line
    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence, ProcessEvidence
    from holdfast.model.ids import ObjectId

F_SETLK, F_OFD_SETLK = 6, 37
LOCK_SH, LOCK_EX, LOCK_NB = 1, 2, 4
KINDS = {"POSIX": "process", "OFDLCK": "description", "FLOCK": "flock"}
ACCESS = {"READ": "read", "WRITE": "write"}
TYPES = {"read": 0, "write": 1}  # F_RDLCK, F_WRLCK


class Lock(Record):
    """One lock; `process` is empty but for a lock of a process."""

    kind: str  # process, description, flock
    access: str  # read, write
    start: int
    end: int | None = None  # the last byte; None: the end of the file, wherever it comes to be
    process: ObjectId | None = None


class Locks(Record):
    """The locks held through one open file description, sorted."""

    locks: tuple[Lock, ...]


WATCHES = (Struct("file_lock"), FdinfoKey("lock"))


def _lines(ev: FileEvidence) -> list[tuple[Line, ProcessEvidence]]:
    # A process sees in fdinfo the locks of the description, and of its own those made through this description.
    out = [(lock, ev.process) for lock in ev.info.locks()]
    seen = {ev.process.id}
    for process, fd, _ in ev.holders:
        if process.id not in seen:
            seen.add(process.id)
            text = process.read(f"fdinfo/{int(fd)}")
            if b"\nlock:" in text:
                out += [(lock, process) for lock in parse_fdinfo(text).locks() if lock.kind == "POSIX"]
    return out


def detect(ev: FileEvidence) -> Claim | None:
    if ev.info.get("lock") is not None:
        return Claim()
    # others that hold it may have locks of their own; only what has a name is ever shared for locking
    if len(ev.holders) > 1 and ev.link[:1] == b"/" and _lines(ev):
        return Claim()
    return None


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    for line, process in _lines(ev):
        if line.kind not in KINDS or line.access not in ACCESS or line.mode != "ADVISORY" or line.waits:
            yield Refusal(
                "fd.locks.lease" if line.kind in ("LEASE", "DELEG") else "fd.locks.unknown",
                f"{files.who(ev)} has a lock that cannot be carried: {line.kind} {line.mode} {line.access}",
                ev.where,
                "a lease is lost when the file is opened again; fcntl(2) F_SETLEASE, proc_locks(5)",
                "give it up and retry",
            )
        elif line.kind == "POSIX" and line.pid != process.pid:
            yield Refusal(
                "fd.locks.shared",
                f"{files.who(ev)} has a lock that pid {line.pid} took, which shares its descriptor table",
                ev.where,
                "the lock belongs to the table, and would be taken by another; clone(2) CLONE_FILES",
                "report it",
            )


def dump(ev: FileEvidence) -> Locks:
    out = [
        Lock(KINDS[line.kind], ACCESS[line.access], line.start, line.end, process.id if line.kind == "POSIX" else None)
        for line, process in _lines(ev)
    ]
    return Locks(tuple(sorted(out, key=lambda lock: (lock.kind, lock.process or "", lock.start))))


def restore(rec: Locks, steps: Steps) -> None:
    holders = steps.holders(steps.subject)
    for lock in rec.locks:
        process, fd = next(h for h in holders if lock.process in (None, h[0]))
        # A process loses its locks on a file as soon as it closes any descriptor of it, so nobody may open and close files after this:
        # it ends what all who do need.
        part = steps.part(task=process, needs=("mm",), ends=("fds",))
        if lock.kind == "flock":
            part.call("flock", fd, (LOCK_SH if lock.access == "read" else LOCK_EX) | LOCK_NB, check=0)
            continue
        length = 0 if lock.end is None else lock.end - lock.start + 1
        flock = struct.pack("hhxxxxqqixxxx", TYPES[lock.access], files.SEEK_SET, lock.start, length, 0)
        part.call("fcntl", fd, F_SETLK if lock.kind == "process" else F_OFD_SETLK, flock, check=0)


def compare(before: Locks, after: Locks, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.locks", where, before, after)


KIND = Kind("fd.locks", record=Locks, subject="file", watches=WATCHES, verbs=verbs(__name__))
