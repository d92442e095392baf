"""Which pages of a memory area there are, and of what sort, as runs.

Newest form first: PAGEMAP_SCAN tells all sorts in one call; before it, /proc/PID/pagemap tells some of them page by page. Whether a
page is in memory or in swap is the machine's business, so both are `there`; soft-dirty and written are trackers' marks, not state.

Source:  ioctl_pagemap_scan(2); commit 52526ca7fdb9 ("fs/proc/task_mmu: implement IOCTL to get and optionally clear info about PTEs")
         (v6.7); Documentation/admin-guide/mm/pagemap.rst
"""

from __future__ import annotations

import errno
import os
import struct

from holdfast.kernel import pagescan
from holdfast.kernel.pagescan import FILE, GUARD, HUGE, PFNZERO, PRESENT, SWAPPED, WPALLOWED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = 4096
_FIRST = WPALLOWED | FILE | PRESENT | SWAPPED | PFNZERO | HUGE
# what a scan may tell, newest first: guard pages (v6.16), then what the first form had
_MASKS = (_FIRST | GUARD, _FIRST)
_SORTS = (("there", PRESENT | SWAPPED), ("file", FILE), ("zero", PFNZERO), ("huge", HUGE), ("guard", GUARD))
# the same of /proc/PID/pagemap: bits 63, 62, 61 and 58 (guard, v6.15)
_ENTRY = (("there", 1 << 63 | 1 << 62), ("file", 1 << 61), ("guard", 1 << 58))
_MOST_RUNS, _MOST_PAGES = 100_000, 1 << 20


class TooMany(Exception):
    """The areas have more runs or pages than are worth telling."""


def sorts(pid: int, areas: Iterable[tuple[int, int]]) -> dict[int, dict[str, str]]:
    """Runs of pages by start of the area and by sort: `there`, `file`, `zero`, `huge`, `guard`.

    Shape:   `areas` are start and end addresses, sorted; a run is `first-last` or one number, in pages from the start of the area
    Raises:  OSError: the process is gone or may not be looked into; TooMany
    """
    wanted = list(areas)
    fd = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for mask in _MASKS:
            try:
                found = _scanned(fd, wanted, mask)
            except OSError as cause:
                if cause.errno not in {errno.EINVAL, errno.ENOTTY}:
                    raise
                continue
            if not mask & GUARD:  # this kernel has the scan, and tells of guards by pagemap only, or has none
                for start, runs in _entries(fd, wanted, _ENTRY[-1:]).items():
                    found[start].update(runs)
            return found
        return _entries(fd, wanted, _ENTRY)
    finally:
        os.close(fd)


def _scanned(fd: int, areas: list[tuple[int, int]], mask: int) -> dict[int, dict[str, str]]:
    out: dict[int, dict[str, str]] = {}
    total = 0
    for start, end in areas:
        runs: dict[str, list[tuple[int, int]]] = {}
        for batch in pagescan.regions(fd, start, end, told=mask, any_of=mask):
            for first, last, bits in batch:
                total += 1
                if total > _MOST_RUNS:
                    raise TooMany
                for name, any_of in _SORTS:
                    if bits & any_of:
                        _extend(runs.setdefault(name, []), (first - start) // PAGE, (last - start) // PAGE)
        out[start] = {name: _text(found) for name, found in runs.items()}
    return out


def _entries(fd: int, areas: list[tuple[int, int]], wanted: tuple[tuple[str, int], ...]) -> dict[int, dict[str, str]]:
    if sum(end - start for start, end in areas) // PAGE > _MOST_PAGES:
        raise TooMany
    out: dict[int, dict[str, str]] = {}
    for start, end in areas:
        data = os.pread(fd, (end - start) // PAGE * 8, start // PAGE * 8)
        runs: dict[str, list[tuple[int, int]]] = {}
        for page, (entry,) in enumerate(struct.iter_unpack("<Q", data)):
            for name, any_of in wanted:
                if entry & any_of:
                    _extend(runs.setdefault(name, []), page, page + 1)
        out[start] = {name: _text(found) for name, found in runs.items()}
    return out


def _extend(runs: list[tuple[int, int]], first: int, end: int) -> None:
    # regions of one sort may follow each other, where they differ in another
    if runs and runs[-1][1] == first:
        runs[-1] = (runs[-1][0], end)
    else:
        runs.append((first, end))


def _text(runs: list[tuple[int, int]]) -> str:
    return " ".join(str(first) if end == first + 1 else f"{first}-{end - 1}" for first, end in runs)
