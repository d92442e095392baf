"""Which pages of a process hold something of its own.

Source:  ioctl_pagemap_scan(2); commit 52526ca7fdb9 ("fs/proc/task_mmu: implement IOCTL to get and optionally clear info about PTEs")
         (v6.7); older kernels: /proc/PID/pagemap, proc_pid_pagemap(5)
"""

from __future__ import annotations

import os

from holdfast.kernel import pagescan
from holdfast.kernel.pagescan import FILE, PFNZERO, PRESENT, SWAPPED

PAGE = 4096


def own_pages(pid: int, areas: list[tuple[int, int]], shared: bool = False) -> list[tuple[int, int]]:
    """Ranges of pages, within the given areas, that are present or swapped and not the zero page.

    Shape:   start and end addresses, sorted, no overlaps, none crosses an area's border; `areas` sorted
             shared: pages of files count too (for shared memory)
    Raises:  OSError: the process is gone or may not be looked into
    """
    fd = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            low, high = (areas[0][0], areas[-1][1]) if areas else (0, 0)
            runs = pagescan.runs(fd, low, high, told=PRESENT, without=PFNZERO if shared else FILE | PFNZERO, any_of=PRESENT | SWAPPED)
        except OSError as e:
            if e.errno not in (25, 22):  # ENOTTY, EINVAL: no such ioctl here
                raise
            return _read(fd, areas, shared)
    finally:
        os.close(fd)
    out: list[tuple[int, int]] = []
    i = 0
    for a, b in runs:
        while i < len(areas) and areas[i][1] <= a:
            i += 1
        j = i
        while j < len(areas) and areas[j][0] < b:
            low, high = max(a, areas[j][0]), min(b, areas[j][1])
            if low < high:
                out.append((low, high))
            j += 1
    return out


def _read(fd: int, areas: list[tuple[int, int]], shared: bool) -> list[tuple[int, int]]:
    # bit 63 present, 62 swapped, 61 file page or shared anonymous
    out: list[tuple[int, int]] = []
    for start, end in areas:
        at = start
        while at < end:
            count = min((end - at) // PAGE, 1 << 16)
            words = memoryview(os.pread(fd, count * 8, at // PAGE * 8)).cast("Q")
            if not words:
                break
            for i, w in enumerate(words):
                if w >> 62 and (shared or not w >> 61 & 1):
                    a = at + i * PAGE
                    if out and out[-1][1] == a and a != start:
                        out[-1] = (out[-1][0], a + PAGE)
                    else:
                        out.append((a, a + PAGE))
            at += len(words) * PAGE
    return out
