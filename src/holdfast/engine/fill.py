"""Image to memory: put pages where they were, and make sure that they are the pages that were dumped.

Large anonymous areas are filled by UFFDIO_COPY from two threads of ours: the kernel then need not clear a page that is written
over. Everything else is written with process_vm_writev from the mapped image. The digests of the image are checked meanwhile, before
the tree is let go.
Source:  userfaultfd(2), ioctl_userfaultfd(2) UFFDIO_COPY, process_vm_writev(2)
"""

from __future__ import annotations

import _thread
import os
from errno import EEXIST, EFAULT
from struct import Struct as Format

from holdfast.errors import HoldfastError, InternalError
from holdfast.image import broken
from holdfast.kernel.libc import LONG, POINTER, addressof, buffer, function, refused
from holdfast.model.ids import ObjectId
from holdfast.prog.call import ANY, Block, Program, in_turn
from holdfast.tracee import ptrace
from holdfast.tracee.inject import CallFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from holdfast.image.pages import Run
    from holdfast.image.read import Image
    from holdfast.tracee.inject import Hand

PAGE = 4096
LARGE = 16 << 20  # from here on two threads and userfaultfd pay
CHUNK = 4 << 20
PROT_READ, MAP_SHARED = 1, 1
O_CLOEXEC, UFFD_USER_MODE_ONLY = 0o2000000, 1
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_COPY = 0xC018AA3F, 0xC020AA00, 0xC028AA03
API = Format("<3Q")
REGISTER = Format("<4Q")
COPY = Format("<4Qq")

_mmap = function("mmap", POINTER, LONG, LONG, LONG, LONG, LONG)
_munmap = function("munmap", POINTER, LONG)


class _Mapped:
    # one file of pages, mapped for reading at an address that the kernel can be given
    def __init__(self, fd: int) -> None:
        self.size = os.fstat(fd).st_size
        got = _mmap(None, self.size, PROT_READ, MAP_SHARED, fd, 0)
        if got == -1:
            raise refused("mapping the image")
        self.address = got

    def close(self) -> None:
        _munmap(self.address, self.size)


class _Job:
    # work in a thread of ours, whose failure is the caller's
    def __init__(self, work: object, *args: object) -> None:
        self._done = _thread.allocate_lock()
        self._done.acquire()
        self._error: BaseException | None = None
        _thread.start_new_thread(self._run, (work, args))

    def _run(self, work: object, args: tuple[object, ...]) -> None:
        try:
            work(*args)  # type: ignore[operator]
        except BaseException as e:  # noqa: BLE001 - raised again by join, in the thread that asked
            self._error = e
        finally:
            self._done.release()

    def join(self) -> None:
        self._done.acquire()
        self._done.release()
        if self._error is not None:
            raise self._error


class Filler:
    """Fills the processes of one restore from one image; use it as a context."""

    def __init__(self, image: Image, anonymous: dict[str, list[tuple[int, int]]]) -> None:
        self.image = image
        self._anonymous = anonymous  # process to the areas that userfaultfd can fill, sorted
        self._files: dict[int, _Mapped] = {}
        self._digests: _Job | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._digests is not None:
                self._digests.join()
        except HoldfastError:
            pass  # the tree was given up for another reason
        for mapped in self._files.values():
            mapped.close()
        self._files.clear()

    def _mapped(self, n: int) -> _Mapped:
        if n not in self._files:
            self._files[n] = _Mapped(self.image.pages_fd(n))
        return self._files[n]

    # --- digests

    def check_digests(self) -> None:
        """Begin to compare every file of pages with its digests."""
        files = list(self.image.pages_files())
        if sum(self.image.pages_files().values()) < LARGE:
            for n in files:
                self.image.verify_pages(n, 1)
            return
        self._digests = _Job(lambda: [self.image.verify_pages(n, 2) for n in files])

    def checked(self) -> None:
        """Wait for the digests.

        Raises:  bad_image.pages_digest: the image is damaged
        """
        if self._digests is not None:
            job, self._digests = self._digests, None
            job.join()

    # --- memory of processes

    def process(self, owner: str, pid: int, hand: Hand) -> int:
        """Fill a process's private pages; the bytes filled.

        Needs:   every area with pages is mapped writable, or is private
        """
        runs = self.image.runs(ObjectId(owner))
        raw = [r for r in runs if r.encoding == "raw"]
        for run in runs:
            if run.encoding != "raw":
                data = self.image.read_run(run)
                try:
                    ptrace.write_memory(pid, int(run.start), data)
                except OSError:
                    ptrace.force_memory(pid, int(run.start), data)
        for run in raw:
            if run.offset + run.pages * PAGE > self._mapped(run.file).size:
                raise broken.truncated(f"pages-{run.file}", f"{owner} has pages beyond its end")
        if sum(r.pages for r in raw) * PAGE >= LARGE:
            raw = self._large(raw, owner, pid, hand)
        self._write(raw, pid)
        return sum(r.pages for r in runs) * PAGE

    def _write(self, runs: Sequence[Run], pid: int) -> None:
        batch: list[tuple[int, int]] = []
        begin = at = file = -1
        for run in runs:
            size = run.pages * PAGE
            if batch and not (run.file == file and run.offset == at):
                self._write_batch(pid, file, begin, batch)
                batch = []
            if not batch:
                file, begin = run.file, run.offset
            batch.append((int(run.start), size))
            at = run.offset + size
        if batch:
            self._write_batch(pid, file, begin, batch)

    def _write_batch(self, pid: int, file: int, begin: int, batch: list[tuple[int, int]]) -> None:
        try:
            ptrace.transfer(pid, True, self._mapped(file).address + begin, batch)
            return
        except OSError as e:
            if e.errno != EFAULT:
                raise
        # somewhere among them is an area that was never writable, with pages that a debugger wrote: those are written as it did
        for start, size in batch:
            try:
                ptrace.transfer(pid, True, self._mapped(file).address + begin, [(start, size)])
            except OSError:
                for at in range(0, size, CHUNK):
                    data = os.pread(self.image.pages_fd(file), min(CHUNK, size - at), begin + at)
                    ptrace.force_memory(pid, start + at, data)
            begin += size

    def _large(self, runs: Sequence[Run], owner: str, pid: int, hand: Hand) -> list[Run]:
        # what userfaultfd can fill is filled; the rest is given back
        areas = self._anonymous.get(owner, [])
        mine: list[Run] = []
        rest: list[Run] = []
        i = 0
        for run in sorted(runs, key=lambda r: int(r.start)):
            while i < len(areas) and areas[i][1] <= int(run.start):
                i += 1
            inside = i < len(areas) and areas[i][0] <= int(run.start) and int(run.start) + run.pages * PAGE <= areas[i][1]
            (mine if inside else rest).append(run)
        fd = self._userfaultfd(pid, hand, areas)
        if fd < 0:
            return list(runs)
        try:
            pieces: list[tuple[int, int, int]] = []
            for run in mine:
                base = self._mapped(run.file).address + run.offset
                size = run.pages * PAGE
                pieces += [(int(run.start) + at, base + at, min(CHUNK, size - at)) for at in range(0, size, CHUNK)]
            jobs = [_Job(_copy, fd, pid, pieces[k::2]) for k in (0, 1)]
            errors: list[BaseException] = []
            for job in jobs:
                try:
                    job.join()
                except OSError as e:
                    errors.append(e)
            if errors:
                raise InternalError(
                    "fill", f"{owner} could not be filled: {errors[0]}", why="ioctl_userfaultfd(2) UFFDIO_COPY"
                ) from errors[0]
        finally:
            os.close(fd)
        return rest

    def _userfaultfd(self, pid: int, hand: Hand, areas: Sequence[tuple[int, int]]) -> int:
        # a userfaultfd of the task, in our hands alone; -1 where this kernel or user has none
        if not areas:
            return -1
        program = Program()
        made = program.call("userfaultfd", O_CLOEXEC | UFFD_USER_MODE_ONLY)
        program.call("ioctl", made, UFFDIO_API, Block(API.pack(0xAA, 0, 0)))
        theirs = -1
        try:
            theirs = hand.run(program).value(made)
            for some in in_turn(areas):
                program = Program()
                for start, end in some:
                    program.call("ioctl", theirs, UFFDIO_REGISTER, Block(REGISTER.pack(start, end - start, 1, 0)))
                hand.run(program)
        except CallFailed as e:
            if theirs < 0 and e.answers is not None and e.call is not program.calls[0]:
                theirs = e.answers.value(made)
            if theirs >= 0:
                _close(hand, theirs)
            return -1
        pidfd = os.pidfd_open(pid)
        try:
            return ptrace.pidfd_getfd(pidfd, theirs)
        finally:
            os.close(pidfd)
            _close(hand, theirs)

    # --- nameless files and shared memory

    def inode(self, owner: str, pid: int, fd: int, address: int) -> None:
        """Fill a nameless file through a descriptor that a task has, or shared memory through a mapping that it has."""
        runs: list[Run] = self.image.runs(ObjectId(owner))
        if not runs:
            return
        if fd < 0:
            for run in runs:
                self._write([run.replace(start=address + int(run.start))], pid)
            return
        pidfd = os.pidfd_open(pid)
        try:
            ours = ptrace.pidfd_getfd(pidfd, fd)
        finally:
            os.close(pidfd)
        try:
            size = os.fstat(ours).st_size
            source = self.image.pages_fd
            for run in runs:
                start, left = int(run.start), min(run.pages * PAGE, max(0, size - int(run.start)))
                at = run.offset
                while left > 0:
                    data = os.pread(source(run.file), min(left, CHUNK), at)
                    if not data:
                        raise broken.truncated(f"pages-{run.file}", f"{owner} has pages beyond its end")
                    os.pwrite(ours, data, start)
                    start, at, left = start + len(data), at + len(data), left - len(data)
        finally:
            os.close(ours)


def _close(hand: Hand, fd: int) -> None:
    program = Program()
    program.call("close", fd, check=ANY)  # whatever it says, the number is free
    hand.run(program)


def _copy(fd: int, pid: int, pieces: Sequence[tuple[int, int, int]]) -> None:
    room = buffer(COPY.size)
    address = addressof(room)
    for to, source, size in pieces:
        done = 0
        while done < size:
            COPY.pack_into(room, 0, to + done, source + done, size - done, 0, 0)
            try:
                ptrace.ioctl(fd, UFFDIO_COPY, address)
                done = size
            except OSError as e:
                if e.errno == EEXIST:  # a page is there already, whoever made it: it is written over
                    ptrace.transfer(pid, True, source + done, [(to + done, PAGE)])
                    done += PAGE
                    continue
                copied = COPY.unpack_from(room)[4]
                if e.errno != 11 or copied <= 0:  # EAGAIN: part was copied
                    raise
                done += copied
