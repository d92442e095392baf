"""The pages of a process by category, as PAGEMAP_SCAN tells them: one call for many, where a page is asked for by what it is.

Source:  ioctl_pagemap_scan(2); commit 52526ca7fdb9 ("fs/proc/task_mmu: implement IOCTL to get and optionally clear info about PTEs")
         (v6.7); PAGE_IS_GUARD since v6.16
"""

from __future__ import annotations

from struct import Struct as Format

from holdfast.kernel.libc import INT, LONG, POINTER, addressof, buffer, function, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SCAN = 0xC0606610
WPALLOWED, FILE, PRESENT, SWAPPED, PFNZERO, HUGE, GUARD = 1, 4, 8, 16, 32, 64, 256
FEW, MANY = 256, 8192  # most processes have few regions, and each page of room costs a fault
# struct pm_scan_arg: size flags start end walk_end vec vec_len max_pages category_inverted category_mask category_anyof_mask return_mask
_ARGS = Format("<12Q")
_REGION = Format("<3Q")  # struct page_region: start, end, categories
_ioctl = function("ioctl", LONG, LONG, POINTER, returns=INT)


def regions(
    fd: int, start: int, end: int, *, told: int, without: int = 0, all_of: int = 0, any_of: int = 0
) -> Iterator[Iterator[tuple[int, int, int]]]:
    """Start, end and categories of each region, a call's worth at a time, each to be used before the next.

    Shape:   `fd` is /proc/PID/pagemap; pages are wanted with none of `without`, all of `all_of` and any of `any_of`; `told` is what of them
             is told, and where it changes a region ends
    Raises:  OSError: the process is gone; EINVAL or ENOTTY, a kernel that has no scan or not these categories
    """
    room = FEW
    args, found = buffer(_ARGS.size), buffer(room * _REGION.size)
    while start < end:
        asked = without | all_of
        _ARGS.pack_into(args, 0, _ARGS.size, 0, start, end, 0, addressof(found), room, 0, without, asked, any_of, told)
        got = _ioctl(fd, SCAN, addressof(args))
        if got < 0:
            raise refused("PAGEMAP_SCAN")
        yield _REGION.iter_unpack(memoryview(found)[: got * _REGION.size])
        if got < room:
            return
        # the kernel says where it last ran out of room of its own (512 regions), which may be before what it has reported since
        start = max(_ARGS.unpack_from(args)[4], _REGION.unpack_from(found, (got - 1) * _REGION.size)[1])
        if room < MANY:
            room = MANY
            found = buffer(room * _REGION.size)


def runs(fd: int, start: int, end: int, *, told: int, without: int = 0, all_of: int = 0, any_of: int = 0) -> list[tuple[int, int]]:
    """Start and end of each run of such pages, sorted, neighbours joined.

    Raises:  as regions()
    """
    out: list[tuple[int, int]] = []
    for batch in regions(fd, start, end, told=told, without=without, all_of=all_of, any_of=any_of):
        for a, b, _ in batch:
            if out and out[-1][1] == a:
                out[-1] = (out[-1][0], b)
            else:
                out.append((a, b))
    return out
