"""mm.shared: one process's mapping of anonymous memory that relatives share.

Carries:  place, protection, offset, locks and advice.
Loses:    nothing of its own; the contents are carried by mm.shared_memory.
Sources:  mmap(2), mremap(2): an old size of 0 makes a second mapping of shared pages.
"""

from __future__ import annotations

from holdfast.kinds import areas, shared, tasks
from holdfast.kinds.contract import Claim, Kind, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import VmaEvidence
    from holdfast.model.ids import ObjectId

LINK = b"/dev/zero (deleted)"
MREMAP_MAYMOVE, MREMAP_FIXED = 1, 2


class Shared(Record):
    """One mapping of shared anonymous memory."""

    start: int
    end: int
    protection: tuple[str, ...]
    inode: ObjectId
    offset: int
    flags: tuple[str, ...] = ()
    name: bytes | None = None


def detect(ev: VmaEvidence) -> Claim | None:
    """A mapping of what mm.shared_memory claims."""
    return Claim() if ev.inode is not None and ev.vma.name == LINK and not ev.inode.files else None


def refuse(ev: VmaEvidence, kernel: Probes) -> Iterator[Verdict]:
    """Flags that cannot be brought back."""
    yield from areas.refusals(ev)


def dump(ev: VmaEvidence) -> Shared:
    """The mapping.

    Raises:  refused.mm.shared.beyond: no page of the object is in it
    """
    v = ev.vma
    assert ev.inode is not None
    if v.offset and v.offset >= shared.size(ev.inode):
        raise tasks.refused(
            "mm.shared.beyond",
            ev.process,
            f"its memory {v.start:#x}-{v.end:#x} maps only what lies beyond the end of shared memory",
            why="it is made again from a mapping of the memory, mremap(2), which begins within it",
            do="unmap it and retry",
            at=areas.where(ev),
        )
    return Shared(v.start, v.end, areas.words(v.prot), ev.inode.id, v.offset, areas.names(ev), v.anon_name)


def restore(rec: Shared, steps: Steps) -> None:
    """A second mapping of the inherited object, at the place where it was."""
    part = steps.part(needs=("clear",), gives=("mapped",))
    source = steps.staging(rec.inode) + rec.offset
    part.call("mremap", source, 0, rec.end - rec.start, MREMAP_MAYMOVE | MREMAP_FIXED, rec.start, check=rec.start)
    areas.finish(rec, steps, areas.READ | areas.WRITE, steps.subject)


def compare(before: Shared, after: Shared, where: ObjectId) -> Iterator[Difference]:
    """Every field."""
    return areas.compare("mm.shared", where, before, after)


KIND: Any = Kind("mm.shared", record=Shared, subject="vma", claims=True, watches=areas.WATCHES, verbs=verbs(__name__))
