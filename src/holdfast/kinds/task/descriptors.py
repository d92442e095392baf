"""task.descriptors: a process's descriptor table: which open file stands at which number.

Carries:  every number, which open file description it leads to (shared ones stay shared), close-on-exec.
Loses:    FDSize of /proc/PID/status.
Sources:  open(2), fcntl(2) F_GETFD, kcmp(2) KCMP_FILE.
"""

from __future__ import annotations

from holdfast.kinds.contract import Claim, Kind, Struct, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.model.ids import Fd, ObjectId


class Descriptor(Record):
    """One number of the table."""

    fd: Fd
    file: ObjectId
    cloexec: bool = False


class Descriptors(Record):
    """A table, sorted by number."""

    table: tuple[Descriptor, ...]


def detect(ev: ProcessEvidence) -> Claim | None:
    """Every process that lives."""
    return None if ev.zombie else Claim()


def dump(ev: ProcessEvidence) -> Descriptors:
    """The table."""
    out = []
    for fd, file in sorted(ev.fds.items()):
        cloexec = next(c for p, n, c in file.holders if p is ev and n == fd)
        out.append(Descriptor(fd, file.id, cloexec))
    return Descriptors(tuple(out))


def restore(rec: Descriptors, steps: Steps) -> None:
    """Nothing to emit: the engine puts the files at their numbers once all are open."""


KIND: Any = Kind(
    "task.descriptors", record=Descriptors, subject="process", watches=(Struct("files_struct"), Struct("fdtable")), verbs=verbs(__name__)
)
