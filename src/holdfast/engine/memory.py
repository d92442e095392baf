"""Move memory between a target and an image: which pages, by what way, and where in the file they are.

What stands still is copied by us (process_vm_readv): small amounts at once, large ones by several threads that each read a chunk, hash it
and write it, past the page cache (O_DIRECT) where the pages go to a disk. A twin writes its pages itself, with pwritev to a descriptor
that we gave it, because reading them from outside would copy each page first that it shares with the target.
"""

from __future__ import annotations

import _thread
import os
from _bisect import bisect_right
from errno import EFAULT, EINVAL, ENOSPC, EOPNOTSUPP

from holdfast.image.pages import CHUNK
from holdfast.kernel.libc import LONG, POINTER, addressof, buffer, function, refused, view_at
from holdfast.prog.call import Block, Program
from holdfast.tracee import handover, ptrace
from holdfast.tracee.inject import CallFailed
from holdfast.tracee.pagemap import PAGE, own_pages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _ctypes import Array
    from collections.abc import Callable, Sequence
    from typing import Any

    from holdfast.kinds.evidence import InodeEvidence, ProcessEvidence, VmaEvidence
    from holdfast.tracee.inject import Hand

SMALL = 8 << 20
BUFFER = 1 << 20
IOV_MAX = 1024
ONE_WRITE = 64 << 20
ONE_RUN = 64 << 20  # what the task writes between two words to us: as much as may be hashed meanwhile, and is told at once
O_DIRECT = 0o40000
TMPFS = 0x01021994  # Linux include/uapi/linux/magic.h TMPFS_MAGIC
THREADS = 4
PROT_RW, MAP_SHARED, MAP_ANONYMOUS = 3, 1, 0x22  # the last with MAP_PRIVATE

_mmap = function("mmap", POINTER, LONG, LONG, LONG, LONG, LONG)
_munmap = function("munmap", POINTER, LONG)
_fstatfs = function("fstatfs", LONG, POINTER)
# A run: owner, start address or offset, pages, pages file, offset in it, encoding.
Row = tuple[object, int, int, int, int, str]


def private_areas(process: ProcessEvidence) -> list[tuple[int, int]]:
    """The areas whose pages belong to the process: private, not the kernel's own, not droppable."""
    return [
        (a.vma.start, a.vma.end)
        for a in process.vmas
        if not a.vma.shared and (not a.vma.special or a.vma.special in ("heap", "stack")) and "dp" not in a.flags
    ]


# Whether an address is in an area that its process may not read; there are as many as threads, each with a page that nobody may touch.
def _unreadable(process: ProcessEvidence) -> Callable[[int], bool]:
    areas = sorted((a.vma.start, a.vma.end) for a in process.vmas if not a.vma.prot & 1)
    starts = [start for start, _ in areas]

    def inside(address: int) -> bool:
        i = bisect_right(starts, address)
        return i > 0 and address < areas[i - 1][1]

    return inside


class Pages:
    """The file pages-0 of an image, filled from the front."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.end = 0
        self.rows: list[Row] = []
        self.settled: Callable[[int], None] | None = None  # told up to where the file is final
        self.hashed: Callable[[int, bytes], None] | None = None  # told the digest of a whole chunk that is final
        self.progress: Callable[[int, int], None] | None = None  # told how many bytes are written, of how many
        self.total = 0
        self._buffer: Array[Any] | None = None

    def _place(self, owner: object, ranges: Sequence[tuple[int, int]]) -> int:
        start = at = self.end
        for a, b in ranges:
            self.rows.append((owner, a, (b - a) // PAGE, 0, at, "raw"))
            at += b - a
        self.end = at
        return start

    def copy(self, pid: int, process: ProcessEvidence, ranges: Sequence[tuple[int, int]], owner: object | None = None) -> None:
        """Copy ranges of a stopped process or of its twin ourselves."""
        at = self._place(process.id if owner is None else owner, ranges)
        unreadable = _unreadable(process)
        room = min(BUFFER, max(PAGE, sum(b - a for a, b in ranges)))
        if self._buffer is None or len(self._buffer) < room:
            self._buffer = buffer(room)
        view = memoryview(self._buffer)
        mem = -1
        batch: list[tuple[int, int]] = []
        size = 0

        def flush() -> None:
            nonlocal at, size
            if batch:
                assert self._buffer is not None
                ptrace.transfer(pid, False, addressof(self._buffer), batch)
                os.pwrite(self.fd, view[:size], at)
                at += size
                batch.clear()
                size = 0
                self.written(at)

        try:
            for a, b in ranges:
                if unreadable(a):
                    flush()
                    if mem < 0:
                        mem = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
                    while a < b:
                        n = min(b - a, BUFFER)
                        data = os.pread(mem, n, a)
                        os.pwrite(self.fd, data, at)
                        a += len(data)
                        at += len(data)
                    continue
                while a < b:
                    n = min(b - a, room - size)
                    batch.append((a, n))
                    size += n
                    a += n
                    if size == room:
                        flush()
            flush()
        finally:
            if mem >= 0:
                os.close(mem)

    def copy_much(self, pid: int, process: ProcessEvidence, ranges: Sequence[tuple[int, int]]) -> None:
        """Copy large ranges of a stopped process by several threads, and make the digests of all whole chunks.

        Raises:  OSError: the process is gone, or the disk is full
        """
        start = self._place(process.id, ranges)
        # what is hashed is what is written: the same buffer, or on tmpfs, which is memory, the file itself
        mapped = _is_tmpfs(self.fd)
        copying = _Copying(self, pid, _chunks(ranges, start))
        if mapped:
            os.ftruncate(self.fd, self.end)
            copying.to_memory(start // CHUNK * CHUNK)
        else:
            copying.to_disk(start)

    def self_write(self, hand: Hand, process: ProcessEvidence, ranges: Sequence[tuple[int, int]]) -> bool:
        """Let a twin write its own pages; False where it cannot, with nothing placed.

        Needs:   an area in the task
        """
        unreadable = _unreadable(process)
        if any(unreadable(start) for start, _ in ranges):
            return False
        flags_fd = os.open(f"/proc/self/fd/{self.fd}", os.O_RDWR | os.O_CLOEXEC)
        try:
            theirs = handover.give(hand, [flags_fd])[0]
        except (CallFailed, OSError):
            return False
        finally:
            os.close(flags_fd)
        end, rows = self.end, len(self.rows)
        try:
            at = self._place(process.id, ranges)
            room = hand.area.room // 2 if hand.area is not None else 0
            per_call = min(IOV_MAX, (room - 4096) // 16)
            todo = _pieces(ranges, per_call)
            while todo:
                program = Program()
                used, began = 4096, at
                while todo and used + len(todo[0]) * 16 + 200 < room and at - began < ONE_RUN:
                    piece = todo.pop(0)
                    blob = b"".join(a.to_bytes(8, "little") + n.to_bytes(8, "little") for a, n in piece)
                    total = sum(n for _, n in piece)
                    program.call("pwritev", theirs, Block(blob), len(piece), at, 0, check=total)
                    at += total
                    used += len(blob) + 200
                hand.run(program)
                self.written(at)
                if todo and self.settled is not None:
                    self.settled(at)
        except CallFailed:
            self.end = end
            del self.rows[rows:]
            return False
        finally:
            handover.drop(hand, [theirs])
        return True

    def written(self, end: int) -> None:
        """So much of the file is written."""
        if self.progress is not None:
            self.progress(end, max(end, self.total))


# What goes into each chunk of the file: where it goes, and what parts of memory it is.
def _chunks(ranges: Sequence[tuple[int, int]], at: int) -> list[tuple[int, list[tuple[int, int]]]]:
    out: list[tuple[int, list[tuple[int, int]]]] = []
    left = 0
    for a, b in ranges:
        while a < b:
            if not left:
                left = CHUNK - at % CHUNK
                out.append((at, []))
            n = min(b - a, left)
            out[-1][1].append((a, n))
            a += n
            at += n
            left -= n
    return out


def _is_tmpfs(fd: int) -> bool:
    room = buffer(120)  # struct statfs begins with the type
    return _fstatfs(fd, room) == 0 and int.from_bytes(room.raw[:8], "little") == TMPFS


class _Copying:
    # the work of several threads on one file: each takes the next chunk
    def __init__(self, pages: Pages, pid: int, chunks: list[tuple[int, list[tuple[int, int]]]]) -> None:
        self.pages, self.pid, self.chunks = pages, pid, chunks
        self.taken = self.done = 0
        self.failed: BaseException | None = None
        self.lock = _thread.allocate_lock()
        self.mem = -1

    def to_memory(self, first: int) -> None:
        fd, end = self.pages.fd, self.pages.end
        base = _mmap(None, end - first, PROT_RW, MAP_SHARED, fd, first)
        if base == -1:
            raise refused("mapping the image")
        try:
            self._all(lambda: lambda at, parts, size: self._read(base + at - first, parts, size))
        except OSError as cause:
            if cause.errno == EFAULT and not os.fstatvfs(fd).f_bavail:
                raise OSError(ENOSPC, os.strerror(ENOSPC)) from cause
            raise
        finally:
            _munmap(base, end - first)

    def to_disk(self, start: int) -> None:
        path = f"/proc/self/fd/{self.pages.fd}"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | O_DIRECT)
        except OSError:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        rooms: list[int] = []
        try:
            try:
                os.posix_fallocate(fd, start, self.pages.end - start)  # threads then need not wait for each other to make the file longer
            except OSError as cause:
                if cause.errno not in (EINVAL, EOPNOTSUPP):
                    raise

            def worker() -> Callable[[int, list[tuple[int, int]], int], memoryview]:
                room = _mmap(None, CHUNK, PROT_RW, MAP_ANONYMOUS, -1, 0)  # aligned, as O_DIRECT wants it
                if room == -1:
                    raise refused("room for a chunk")
                rooms.append(room)

                def one(at: int, parts: list[tuple[int, int]], size: int) -> memoryview:
                    view = self._read(room, parts, size)
                    put = 0
                    while put < size:
                        put += os.pwrite(fd, view[put:], at + put)
                    return view

                return one

            self._all(worker)
        finally:
            os.close(fd)
            for room in rooms:
                _munmap(room, CHUNK)

    # The parts of memory, one behind the other, at an address of ours.
    def _read(self, address: int, parts: list[tuple[int, int]], size: int) -> memoryview:
        view = view_at(address, size)
        try:
            ptrace.transfer(self.pid, False, address, parts)
        except OSError as cause:
            if cause.errno != EFAULT:
                raise
            # memory that the process itself may not read
            at = 0
            for a, n in parts:
                self._read_forced(view[at : at + n], a)
                at += n
        return view

    def _read_forced(self, view: memoryview, address: int) -> None:
        with self.lock:
            if self.mem < 0:
                self.mem = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        got = 0
        while got < len(view):
            n = os.preadv(self.mem, [view[got:]], address + got)
            if not n:
                raise OSError(EFAULT, f"reading task {self.pid} at {address + got:#x}")
            got += n

    def _all(self, worker: Callable[[], Callable[[int, list[tuple[int, int]], int], memoryview]]) -> None:
        from blake3 import blake3  # compiled; only a dump needs it

        hashed = self.pages.hashed

        def work(first: bool) -> None:
            try:
                one = worker()
                while True:
                    with self.lock:
                        if self.taken == len(self.chunks) or self.failed is not None:
                            return
                        at, parts = self.chunks[self.taken]
                        self.taken += 1
                    size = sum([n for _, n in parts])
                    view = one(at, parts, size)
                    if hashed is not None and size == CHUNK:
                        hashed(at // CHUNK, blake3(view).digest())
                    with self.lock:
                        self.done += size
                    if first:
                        self.pages.written(self.chunks[0][0] + self.done)
            except BaseException as cause:  # noqa: BLE001 - raised again below, by the thread that asked
                self.failed = self.failed or cause

        def run(ended: _thread.LockType) -> None:
            try:
                work(False)
            finally:
                ended.release()

        locks = []
        for _ in range(min(THREADS, os.cpu_count() or 1, len(self.chunks)) - 1):
            lock = _thread.allocate_lock()
            lock.acquire()
            _thread.start_new_thread(run, (lock,))
            locks.append(lock)
        try:
            work(True)
        finally:
            for lock in locks:
                lock.acquire()
            if self.mem >= 0:
                os.close(self.mem)
        if self.failed is not None:
            raise self.failed


def _pieces(ranges: Sequence[tuple[int, int]], per_call: int) -> list[list[tuple[int, int]]]:
    out: list[list[tuple[int, int]]] = []
    cur: list[tuple[int, int]] = []
    size = 0
    for a, b in ranges:
        while a < b:
            n = min(b - a, ONE_WRITE - size)
            cur.append((a, n))
            size += n
            a += n
            if size == ONE_WRITE or len(cur) == per_call:
                out.append(cur)
                cur, size = [], 0
    if cur:
        out.append(cur)
    return out


def ranges_of(pid: int, areas: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A process's own pages in some of its private areas, sorted, read from itself or from its twin."""
    return own_pages(pid, areas) if areas else []


def inode_contents(pages: Pages, inode: InodeEvidence) -> None:
    """Copy what a nameless file or shared memory holds; holes stay holes.

    Needs:   the tree is stopped: shared memory has no twin
    """
    fd = _inode_fd(inode)
    if fd >= 0:
        try:
            _copy_file(pages, inode, fd)
        finally:
            os.close(fd)
        return
    done: list[tuple[int, int]] = []
    for area in inode.vmas:
        v = area.vma
        low, high = v.offset, v.offset + v.size
        if any(a <= low and high <= b for a, b in done):
            continue
        done.append((low, high))
        _copy_mapping(pages, inode, area, low, high)


def _inode_fd(inode: InodeEvidence) -> int:
    for file in inode.files:
        if file.flags & 3 != 1:
            try:
                return os.open(f"/proc/self/fd/{file.borrowed.fd}", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
    for area in inode.vmas:
        v = area.vma
        try:
            return os.open(f"/proc/{int(area.process.pid)}/map_files/{v.start:x}-{v.end:x}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # map_files asks for CAP_CHECKPOINT_RESTORE of the whole machine
    return -1


def _copy_file(pages: Pages, inode: InodeEvidence, fd: int) -> None:
    size = os.fstat(fd).st_size
    at = 0
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA) // PAGE * PAGE
        except OSError as e:
            if e.errno == 6:  # ENXIO: only a hole follows
                break
            raise
        end = min((os.lseek(fd, at, os.SEEK_HOLE) + PAGE - 1) // PAGE * PAGE, (size + PAGE - 1) // PAGE * PAGE)
        place = pages._place(inode.id, [(at, end)])
        while at < end:
            data = os.pread(fd, min(BUFFER, end - at), at)
            if not data:
                break
            os.pwrite(pages.fd, data, place)
            place += len(data)
            at += len(data)
        if at < end:
            os.ftruncate(pages.fd, pages.end)
            at = end
    if os.fstat(pages.fd).st_size < pages.end:
        os.ftruncate(pages.fd, pages.end)


def _copy_mapping(pages: Pages, inode: InodeEvidence, area: VmaEvidence, low: int, high: int) -> None:
    # every page, present or not: another process may have written it, and only the whole object is the truth
    process, start, readable = area.process, area.vma.start, area.vma.prot & 1
    room = buffer(BUFFER)
    view = memoryview(room).cast("B")
    zeros = bytes(PAGE)
    for at in range(low, high, BUFFER):
        n = min(BUFFER, high - at)
        try:
            ptrace.transfer(process.pid, False, addressof(room), [(start + at - low, n)])
        except OSError as cause:
            if cause.errno != EFAULT or not readable:
                raise
            n = _as_far(process.pid, addressof(room), start + at - low, n)  # the file ends within the mapping
        first = -1
        for k in range(0, n + PAGE, PAGE):
            empty = k >= n or bytes(view[k : k + PAGE]) == zeros
            if empty and first >= 0:
                place = pages._place(inode.id, [(at + first, at + k)])
                os.pwrite(pages.fd, view[first:k], place)
                first = -1
            elif not empty and first < 0:
                first = k


def _as_far(pid: int, local: int, start: int, size: int) -> int:
    # whole pages up to the first that cannot be read
    for k in range(0, size, PAGE):
        try:
            ptrace.transfer(pid, False, local + k, [(start + k, PAGE)])
        except OSError as cause:
            if cause.errno != EFAULT:
                raise
            return k
    return size
