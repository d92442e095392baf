"""fd.pidfd: a descriptor that stands for a process or a thread of the tree.

Carries:  whom it stands for, status flags.
Loses:    inode number.
Sources:  pidfd_open(2), proc_pid_fdinfo(5), Linux fs/pidfs.c.
"""

from __future__ import annotations

from holdfast.kernel.procfs import fdinfo
from holdfast.kinds import files
from holdfast.kinds.contract import Claim, FdinfoKey, Kind, Link, Refusal, Struct, compare_fields, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId

PIDFD_THREAD = 0o200  # O_EXCL; Linux 6.9


class Pidfd(Record):
    """A pidfd."""

    target: ObjectId  # a process, or with `thread` a thread
    thread: bool = False  # PIDFD_THREAD
    flags: tuple[str, ...] = ()


LINK = b"anon_inode:[pidfd]"
WATCHES = (Link("anon_inode:[pidfd]"), FdinfoKey("Pid"), FdinfoKey("NSpid"), Struct("pid"))


def detect(ev: FileEvidence) -> Claim | None:
    return Claim() if ev.link == LINK else None


def _target(ev: FileEvidence) -> tuple[ObjectId, bool] | None:
    pid = fdinfo.pidfd(ev.info).pid
    if ev.flags & PIDFD_THREAD:
        threads = (t for p in ev.tree.processes for t in p.threads)
        return next(((t.id, True) for t in threads if int(t.tid) == pid), None)
    return next(((p.id, False) for p in ev.tree.processes if int(p.pid) == pid), None)


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    if ev.flags & ~(files.ACCESS | files.NONBLOCK | files.LARGEFILE | files.ASYNC | files.APPEND | files.NOATIME | PIDFD_THREAD):
        yield from files.unknown_flags(ev, "fd.pidfd")
    if _target(ev) is None:
        pid = fdinfo.pidfd(ev.info).pid
        gone = pid < 0
        yield Refusal(
            "fd.pidfd.gone" if gone else "fd.pidfd.outside",
            f"{files.who(ev)} stands for {'a process that has ended and was reaped' if gone else f'pid {pid}, which is not in the tree'}",
            ev.where,
            "nothing can be made to stand for it; pidfd_open(2)",
            "close it and retry" if gone else "dump a tree that holds that process, or close it and retry",
        )


def dump(ev: FileEvidence) -> Pidfd:
    found = _target(ev)
    assert found is not None
    return Pidfd(*found, files.names(ev.flags & ~PIDFD_THREAD))


def restore(rec: Pidfd, steps: Steps) -> None:
    part = steps.part(needs=("born", steps.key("born", rec.target)))
    made = files.bits(rec.flags) & files.NONBLOCK
    number = int(rec.target.partition(":")[2])
    fd = part.call("pidfd_open", number, made | (PIDFD_THREAD if rec.thread else 0))
    files.set_flags(part, fd, rec.flags, made=made)
    part.opened(fd)


def compare(before: Pidfd, after: Pidfd, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.pidfd", where, before, after)


KIND = Kind("fd.pidfd", record=Pidfd, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
