"""Which pages of a process are guards: to touch one is a fault, although the area around it allows it.

Source:  madvise(2) MADV_GUARD_INSTALL (Linux 6.13), ioctl_pagemap_scan(2) PAGE_IS_GUARD (6.16). Which areas may have some is shown by the
         letters `gu` of VmFlags; kernels before that letter show nothing, and there a guard page fails a dump when it is read.
"""

from __future__ import annotations

import os

from holdfast.kernel.pagescan import GUARD, runs


def guards(pid: int, areas: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The guard pages within areas of a process.

    Shape:   start and end addresses, sorted, neighbours joined within an area
    Raises:  OSError: it is gone or may not be looked into; EINVAL, a kernel that does not tell
    """
    fd = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return [run for start, end in areas for run in runs(fd, start, end, told=GUARD, all_of=GUARD)]
    finally:
        os.close(fd)
