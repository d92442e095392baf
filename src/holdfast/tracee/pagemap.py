"""Which pages of a process hold something of its own.

Source:  ioctl_pagemap_scan(2); commit 52526ca7fdb9 ("fs/proc/task_mmu: implement IOCTL to get and optionally clear info about PTEs")
         (v6.7); older kernels: /proc/PID/pagemap, proc_pid_pagemap(5)
"""

from __future__ import annotations

import os
from struct import Struct as Format

from holdfast.kernel.libc import addressof, buffer
from holdfast.tracee import ptrace

PAGE = 4096
SCAN = 0xC0606610
WRITTEN, FILE, PRESENT, SWAPPED, PFNZERO = 2, 4, 8, 16, 32
TOP = 0x7FFFFFFFF000
# struct pm_scan_arg: size flags start end walk_end vec vec_len max_pages category_inverted category_mask category_anyof_mask return_mask
_ARGS = Format("<12Q")
_REGION = Format("<3Q")  # struct page_region: start, end, categories


def own_pages(pid: int, areas: list[tuple[int, int]], shared: bool = False) -> list[tuple[int, int]]:
    """Ranges of pages, within the given areas, that are present or swapped and not the zero page.

    Shape:   start and end addresses, sorted, no overlaps, none crosses an area's border; `areas` sorted
             shared: pages of files count too (for shared memory)
    Raises:  OSError: the process is gone or may not be looked into
    """
    fd = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            runs = _scan(fd, areas[0][0] if areas else 0, areas[-1][1] if areas else 0, shared)
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


def _scan(fd: int, start: int, end: int, shared: bool) -> list[tuple[int, int]]:
    unwanted = PFNZERO if shared else FILE | PFNZERO
    room = 256  # most processes have fewer; each page of room costs a fault
    args, regions = buffer(_ARGS.size), buffer(room * _REGION.size)
    out: list[tuple[int, int]] = []
    while start < end:
        _ARGS.pack_into(args, 0, 96, 0, start, end, 0, addressof(regions), room, 0, unwanted, unwanted, PRESENT | SWAPPED, PRESENT)
        got = ptrace.ioctl(fd, SCAN, addressof(args))
        for a, b, _ in _REGION.iter_unpack(memoryview(regions)[: got * _REGION.size]):
            if out and out[-1][1] == a:
                out[-1] = (out[-1][0], b)
            else:
                out.append((a, b))
        if got < room:
            break
        # the kernel says where it last ran out of room of its own (512 regions), which may be before what it has reported since
        start = max(_ARGS.unpack_from(args)[4], out[-1][1])
        if room < 8192:
            room = 8192
            regions = buffer(room * _REGION.size)
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
