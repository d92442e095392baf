"""fd.owner: who is signalled when an open file is ready, and by which signal (F_SETOWN, F_SETSIG, O_ASYNC).

Carries:  the thread, process or process group of the tree, or that it was a process or group and has ended; the signal; O_ASYNC.
Loses:    nothing.
Sources:  fcntl(2) F_SETOWN_EX, F_SETSIG, F_GETOWNER_UIDS (linux/fcntl.h), Linux fs/fcntl.c.
"""

from __future__ import annotations

import struct
from errno import EBADF, EINVAL

from holdfast.kinds import files
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, compare_fields, verbs
from holdfast.model.ids import NsPid
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId

F_SETSIG, F_GETSIG, F_SETOWN_EX, F_GETOWN_EX, F_GETOWNER_UIDS = 10, 11, 15, 16, 17
SORTS = ("thread", "process", "group")  # F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP


class Owner(Record):
    """Who is signalled."""

    sort: str  # thread, process, group; empty where nobody is
    number: NsPid  # 0: it has ended
    signal: int = 0  # 0: SIGIO
    is_async: bool = False  # O_ASYNC
    flags: tuple[str, ...] = ()  # the others that go with O_ASYNC whenever it is set


def _asked(ev: FileEvidence) -> tuple[int, int, int]:
    # sort, our pid, signal
    if ev.flags & files.PATH:
        return 0, 0, 0
    try:
        raw = ev.borrowed.fcntl(F_GETOWN_EX, bytes(8))
        signal = int(ev.borrowed.fcntl(F_GETSIG))
    except OSError as e:
        if e.errno in (EINVAL, EBADF):
            return 0, 0, 0
        raise
    assert isinstance(raw, bytes)
    sort, pid = struct.unpack("ii", raw)
    return sort, pid, signal


def detect(ev: FileEvidence) -> Claim | None:
    sort, pid, signal = _asked(ev)
    return Claim() if sort or pid or signal or ev.flags & files.ASYNC else None


def _number(ev: FileEvidence, sort: int, pid: int) -> int | None:
    tree = ev.tree
    if sort == 0:
        return next((int(t.nstid) for p in tree.processes for t in p.threads if int(t.tid) == pid), None)
    if sort == 1:
        return next((int(p.nspid) for p in tree.processes if int(p.pid) == pid), None)
    for p in tree.processes:
        if p.stat.pgrp == pid:
            inner = p.status.ns_pgids
            return inner[-1] if inner else pid
    return None


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    sort, pid, _ = _asked(ev)
    if not pid:
        return
    if _number(ev, sort, pid) is None:
        yield Refusal(
            "fd.owner.outside",
            f"{files.who(ev)} signals {SORTS[sort]} {pid}, which is not in the tree",
            ev.where,
            "fcntl(2) F_GETOWN_EX; nobody would be signalled after a restore",
            "take the owner away (F_SETOWN 0) or dump the tree that holds it",
        )
    try:
        raw = ev.borrowed.fcntl(F_GETOWNER_UIDS, bytes(8))
    except OSError:
        return  # without CONFIG_CHECKPOINT_RESTORE the kernel does not tell
    assert isinstance(raw, bytes)
    set_by, mine = struct.unpack("II", raw), ev.process.status
    if set_by != (mine.uids[0], mine.uids[1]):
        yield Refusal(
            "fd.owner.credentials",
            f"{files.who(ev)} signals with the rights of user {set_by[0]} (effective {set_by[1]}), not of its holder",
            ev.where,
            "the rights are those of who called F_SETOWN, and it would be called by the restored process; Linux fs/fcntl.c sigio_perm",
            "let the process set the owner again with its own rights",
        )


def dump(ev: FileEvidence) -> Owner:
    sort, pid, signal = _asked(ev)
    number = _number(ev, sort, pid) if pid else None
    return Owner(
        SORTS[sort] if number or sort else "",
        NsPid(number or 0),
        signal,
        bool(ev.flags & files.ASYNC),
        files.names(ev.flags & files.SETTABLE),
    )


def restore(rec: Owner, steps: Steps) -> None:
    process, fd = steps.holders(steps.subject)[0]
    # with the rights of the process, for the kernel keeps those of who calls
    part = steps.part(task=process, needs=("fds", "creds"))
    if rec.sort:
        part.call("fcntl", fd, F_SETOWN_EX, struct.pack("ii", SORTS.index(rec.sort), rec.number), check=0)
    if rec.signal:
        part.call("fcntl", fd, F_SETSIG, rec.signal, check=0)
    if rec.is_async:
        part.call("fcntl", fd, files.F_SETFL, files.bits(rec.flags) | files.ASYNC)


def compare(before: Owner, after: Owner, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.owner", where, before, after)


KIND = Kind("fd.owner", record=Owner, subject="file", watches=(Struct("fown_struct"),), verbs=verbs(__name__))
