"""How large an object of shared anonymous memory is: a grown mapping reaches beyond its end, a shrunk one does not reach it.

Kinds may not import each other; what several need beside the contract stands here.
"""

from __future__ import annotations

import os
from errno import EFAULT, EIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kinds.evidence import InodeEvidence, VmaEvidence

PAGE = 4096


def size(ev: InodeEvidence) -> int:
    """The object's size in bytes; where it may not be opened, how far it can be reached.

    Source:  proc_pid_map_files(5), proc_pid_mem(5); mm/shmem.c shmem_fault: beyond its end there is no page
    """
    for area in ev.vmas:
        try:
            return os.stat(f"/proc/{int(area.process.pid)}/map_files/{area.vma.start:x}-{area.vma.end:x}").st_size
        except OSError:
            continue  # map_files asks for CAP_CHECKPOINT_RESTORE of the whole machine
    return max(_reach(area) for area in ev.vmas)


def _reach(area: VmaEvidence) -> int:
    # the object's end is where the first page of a mapping is that cannot be read
    v = area.vma
    memory = os.open(f"/proc/{int(area.process.pid)}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        low, high = 0, v.size // PAGE  # so many pages can be read; from here on none can
        while low < high:
            middle = (low + high + 1) // 2
            if _readable(memory, v.start + (middle - 1) * PAGE):
                low = middle
            else:
                high = middle - 1
    finally:
        os.close(memory)
    return v.offset + low * PAGE if low else 0


def _readable(memory: int, address: int) -> bool:
    try:
        return bool(os.pread(memory, 1, address))
    except OSError as cause:
        if cause.errno not in (EFAULT, EIO):
            raise
        return False
