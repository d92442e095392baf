"""mm.guard: pages of a process's own memory that fault when they are touched (MADV_GUARD_INSTALL), as a C library puts below a stack.

Carries:  which pages.
Loses:    nothing: that an area had guards once, its own kind carries. Guards in shared memory, and in memory that is locked, are refused.
Sources:  madvise(2), ioctl_pagemap_scan(2), Linux mm/madvise.c madvise_guard_install.
"""

from __future__ import annotations

from holdfast.kernel.guards import guards
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import ProcessEvidence

LETTERS, LOCKED = "gu", "lo"


class Range(Record):
    """Pages that follow each other."""

    start: int
    end: int


class Guard(Record):
    """A process's guard pages, sorted; one without any has no record."""

    ranges: tuple[Range, ...]


def detect(ev: ProcessEvidence) -> Claim | None:
    return Claim() if any(LETTERS in a.flags for a in ev.vmas) else None


def refuse(ev: ProcessEvidence, kernel: Probes) -> Iterator[Verdict]:
    for area in ev.vmas:
        if LETTERS in area.flags and LOCKED in area.flags:
            yield Refusal(
                "mm.guard.locked",
                f"pid {int(ev.pid)} memory {area.vma.start:#x}-{area.vma.end:#x} cannot be dumped: it may hold guard pages and is locked",
                f"/proc/{int(ev.pid)}/smaps",
                "locking brings every page in, which a guard page fails; madvise(2) MADV_GUARD_INSTALL",
                "munlock it and retry",
            )


def dump(ev: ProcessEvidence) -> Guard | None:
    areas = [(a.vma.start, a.vma.end) for a in ev.vmas if LETTERS in a.flags]
    found = guards(int(ev.pid), areas)
    return Guard(tuple(Range(a, b) for a, b in found)) if found else None


def restore(rec: Guard, steps: Steps) -> None:
    """Nothing to emit: each area's kind puts its guards in once its other pages are filled (areas.finish)."""


KIND = Kind("mm.guard", record=Guard, subject="process", watches=(Struct("vm_area_struct"),), verbs=verbs(__name__))
