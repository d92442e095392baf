"""mm.shared_memory: anonymous memory that relatives share (mmap MAP_SHARED|MAP_ANONYMOUS before a fork).

Carries:  size, contents, reservation (MAP_NORESERVE), and that it is one object, however many areas of however many processes map it.
Loses:    for who may not open /proc/PID/map_files: pages beyond the end of every mapping, which a mapping reaches only if it is grown.
Sources:  mmap(2), mremap(2), proc_pid_map_files(5), Linux mm/shmem.c shmem_zero_setup: the kernel names it `/dev/zero (deleted)`.
"""

from __future__ import annotations

from holdfast.kinds import shared
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
    no_reserve: bool = False


def detect(ev: InodeEvidence) -> Claim | None:
    """The kernel's own name for it, and only mappings lead there."""
    return Claim() if ev.link == LINK and not ev.files else None


def dump(ev: InodeEvidence) -> SharedMemory:
    """How large it is; its pages are moved by the engine."""
    return SharedMemory(shared.size(ev), all("nr" in a.flags for a in ev.vmas))


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
