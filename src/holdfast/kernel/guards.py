"""Which pages of a process are guards: to touch one is a fault, although the area around it allows it.

Source:  madvise(2) MADV_GUARD_INSTALL (Linux 6.13), ioctl_pagemap_scan(2) PAGE_IS_GUARD (6.16). Which areas may have some is shown by the
         letters `gu` of VmFlags; kernels before that letter show nothing, and there a guard page fails a dump when it is read.
"""

from __future__ import annotations

import os
from struct import Struct as Format

from holdfast.kernel.libc import INT, LONG, POINTER, addressof, buffer, function, refused

SCAN = 0xC0606610
GUARD = 1 << 8
ROOM = 256
# struct pm_scan_arg: size flags start end walk_end vec vec_len max_pages category_inverted category_mask category_anyof_mask return_mask
_ARGS = Format("<12Q")
_REGION = Format("<3Q")  # struct page_region: start, end, categories
_ioctl = function("ioctl", LONG, LONG, POINTER, returns=INT)


def guards(pid: int, areas: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The guard pages within areas of a process.

    Shape:   start and end addresses, sorted, neighbours joined within an area
    Raises:  OSError: it is gone or may not be looked into; EINVAL, a kernel that does not tell
    """
    out: list[tuple[int, int]] = []
    args, regions = buffer(_ARGS.size), buffer(ROOM * _REGION.size)
    fd = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for first, end in areas:
            start = first
            while start < end:
                _ARGS.pack_into(args, 0, _ARGS.size, 0, start, end, 0, addressof(regions), ROOM, 0, 0, GUARD, 0, GUARD)
                got = _ioctl(fd, SCAN, addressof(args))
                if got < 0:
                    raise refused(f"looking for guard pages of pid {pid}")
                for a, b, _ in _REGION.iter_unpack(memoryview(regions)[: got * _REGION.size]):
                    if out and out[-1][1] == a and a > first:
                        out[-1] = (out[-1][0], b)
                    else:
                        out.append((a, b))
                if got < ROOM:
                    break
                start = max(_ARGS.unpack_from(args)[4], out[-1][1])
    finally:
        os.close(fd)
    return out
