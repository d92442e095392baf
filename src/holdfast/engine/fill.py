"""Image to memory: put pages where they were.

Large anonymous areas are filled by UFFDIO_COPY from threads of ours, which needs no zeroing of the page first; everything else by
process_vm_writev from the mapped image.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from ctypes import addressof

from holdfast.errors import BadImage
from holdfast.model.ids import ObjectId
from holdfast.tracee import ptrace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.image.pages import Run
    from holdfast.image.read import Image
    from holdfast.tracee.inject import Hand

PAGE = 4096


class _Mapped:
    # one pages file, mapped for reading
    def __init__(self, fd: int) -> None:
        self.size = os.fstat(fd).st_size
        self.map = mmap.mmap(fd, self.size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        self.address = addressof(ctypes.c_char.from_buffer(self.map))


_maps: dict[tuple[int, int], _Mapped] = {}


def _mapped(image: Image, n: int) -> _Mapped:
    key = (id(image), n)
    if key not in _maps:
        _maps.clear()
        _maps[key] = _Mapped(image.pages_fd(n))
    return _maps[key]


def process(image: Image, owner: str, pid: int, hand: Hand) -> int:
    """Fill a process's private pages; the bytes filled.

    Needs:   every area with pages is mapped writable
    """
    total = 0
    batch: list[tuple[int, int]] = []
    begin = at = file = -1

    def flush() -> None:
        if batch:
            ptrace.transfer(pid, True, _mapped(image, file).address + begin, batch)
            batch.clear()

    for run in image.runs(ObjectId(owner)):
        size = run.pages * PAGE
        total += size
        if run.encoding != "raw":
            flush()
            ptrace.write_memory(pid, int(run.start), image.read_run(run))
            continue
        if not (batch and run.file == file and run.offset == at):
            flush()
            file, begin = run.file, run.offset
            if run.offset + size > _mapped(image, file).size:
                raise BadImage("truncated", f"{owner} has pages beyond the end of pages-{file}", where=f"pages-{file}")
        batch.append((int(run.start), size))
        at = run.offset + size
    flush()
    return total


def inode(image: Image, owner: str, pid: int, fd: int, address: int) -> None:
    """Fill a nameless file through a descriptor that a task has, or shared memory through a mapping that it has."""
    runs: list[Run] = image.runs(ObjectId(owner))
    if not runs:
        return
    if fd >= 0:
        pidfd = os.pidfd_open(pid)
        try:
            ours = ptrace.pidfd_getfd(pidfd, fd)
        finally:
            os.close(pidfd)
        try:
            size = os.fstat(ours).st_size
            for run in runs:
                data = image.read_run(run)
                start = int(run.start)
                os.pwrite(ours, data[: max(0, size - start)], start)
        finally:
            os.close(ours)
        return
    for run in runs:
        ptrace.write_memory(pid, address + int(run.start), image.read_run(run))
