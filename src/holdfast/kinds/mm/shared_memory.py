"""mm.shared_memory: anonymous memory that relatives share (mmap MAP_SHARED|MAP_ANONYMOUS before a fork).

Carries:  size, contents, and that it is one object, however many areas of however many processes map it.
Loses:    pages beyond the end of every mapping, which nobody can reach any more.
Sources:  mmap(2), Linux mm/shmem.c shmem_zero_setup: the kernel names it `/dev/zero (deleted)`.
"""

from __future__ import annotations

from holdfast.kinds.contract import Claim, Kind, Struct, verbs
from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import InodeEvidence

LINK = b"/dev/zero (deleted)"


class SharedMemory(Record):
    """One object of shared anonymous memory."""

    size: int = field(unit="bytes")


def detect(ev: InodeEvidence) -> Claim | None:
    """The kernel's own name for it, and only mappings lead there."""
    return Claim() if ev.link == LINK and not ev.files else None


def dump(ev: InodeEvidence) -> SharedMemory:
    """How far its mappings reach; its pages are moved by the engine."""
    return SharedMemory(max(a.vma.offset + a.vma.size for a in ev.vmas))


def restore(rec: SharedMemory, steps: Steps) -> None:
    """Nothing to emit: the engine maps it in the first process, before there are others, so that all inherit it."""


KIND: Any = Kind(
    "mm.shared_memory",
    record=SharedMemory,
    subject="inode",
    claims=True,
    watches=(Struct("shmem_inode_info"), Struct("address_space")),
    verbs=verbs(__name__),
)
