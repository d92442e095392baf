"""mm.anon: private memory without a file: heap, stacks, what malloc maps.

Carries:  place, protection, contents, name (PR_SET_VMA_ANON_NAME), growth, reservation and accounting, locks, fork and dump advice, huge
          page and read-ahead advice, seals.
Loses:    that pages were shared copy-on-write with a relative (memory use may grow); contents of MAP_DROPPABLE areas, which the
          kernel may drop at any time, and on purpose: C libraries keep random numbers there that no two programs may share
          (getrandom(2) of the vdso); how the kernel had split equal neighbours.
Sources:  mmap(2), madvise(2), mlock(2), mseal(2), PR_SET_VMA(2const), proc_pid_smaps(5).
"""

from __future__ import annotations

from holdfast.kinds import areas
from holdfast.kinds.contract import Claim, Kind, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import VmaEvidence
    from holdfast.model.ids import ObjectId

LABELS = ("", "heap", "stack")


class Anon(Record):
    """One private anonymous area."""

    start: int
    end: int
    protection: tuple[str, ...]
    flags: tuple[str, ...] = ()
    name: bytes | None = None


def detect(ev: VmaEvidence) -> Claim | None:
    """No file, private, and not one of the kernel's own areas."""
    v = ev.vma
    return Claim() if not v.has_file and not v.shared and v.special in LABELS else None


def refuse(ev: VmaEvidence, kernel: Probes) -> Iterator[Verdict]:
    """Flags that cannot be brought back."""
    yield from areas.refusals(ev, areas.GUARDED)


def dump(ev: VmaEvidence) -> Anon:
    """The area; its pages are moved by the engine."""
    v = ev.vma
    return Anon(v.start, v.end, areas.words(v.prot), areas.names(ev), v.anon_name)


def restore(rec: Anon, steps: Steps) -> None:
    """Map it where it was, then advice and locks once it is filled."""
    flags = areas.MAP_ANONYMOUS | areas.MAP_FIXED_NOREPLACE
    flags |= areas.MAP_DROPPABLE if "droppable" in rec.flags else areas.MAP_PRIVATE
    if "grows_down" in rec.flags:
        flags |= areas.MAP_GROWSDOWN
    if "no_reserve" in rec.flags:
        flags |= areas.MAP_NORESERVE
    prot = areas.first_protection(rec, steps, steps.subject)
    part = steps.part(needs=("clear",), gives=("mapped",))
    part.call("mmap", rec.start, rec.end - rec.start, prot, flags, areas.NO_FD, 0, check=rec.start)
    if "accounted" in rec.flags and not steps.has_pages(steps.subject):
        # one that never had a page is no longer counted once it may not be written, mm/mprotect.c mprotect_fixup
        part.call("madvise", rec.start, areas.PAGE, areas.MADV_POPULATE_WRITE)
        part.call("madvise", rec.start, areas.PAGE, areas.MADV_DONTNEED)
    areas.mapped(part, rec)
    areas.finish(rec, steps, prot, steps.subject)


def compare(before: Anon, after: Anon, where: ObjectId) -> Iterator[Difference]:
    """Every field."""
    return areas.compare("mm.anon", where, before, after)


KIND: Any = Kind("mm.anon", record=Anon, subject="vma", claims=True, watches=areas.WATCHES, verbs=verbs(__name__))
