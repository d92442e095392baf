"""Memory contents: the index of runs, the digests of the files that hold them, and reading one run back.

Source:  docs/format.md, "Pages", "Index"
"""

from __future__ import annotations

import os
import struct
from itertools import pairwise

from holdfast.errors import BadImage, InternalError
from holdfast.image import broken, cbor
from holdfast.model.ids import ObjectId, RemoteAddr
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

INDEX_KIND = "image.index"
DIGESTS_KIND = "image.pages"
CHUNK = 4 << 20
MAX_CHUNK = 64 << 20
MAX_FILES = 65536
MAX_COMPRESSED = 64 << 20  # bytes that one zstd run expands to
RAW, ZERO, ZSTD, IN_PARENT = ENCODINGS = ("raw", "zero", "zstd", "in-parent")
_COLUMNS = ("owner", "start", "pages", "file", "offset", "length", "encoding")
_TOP = 1 << 64


class Run(Record):
    """Consecutive pages of one owner's memory, and where their contents are.

    Shape:   zero and in-parent have no place in a file: file, offset and length are 0
    Unit:    pages in pages of the image's page size; offset and length in bytes of the file pages-`file`
    """

    owner: ObjectId
    start: RemoteAddr
    pages: int
    file: int = 0
    offset: int = 0
    encoding: str = RAW
    length: int = 0  # may be left 0 for raw: it follows from `pages`


def name_of(n: int) -> str:
    """The name of a file of pages."""
    return f"pages-{n}"


def pack_index(runs: Sequence[tuple[Any, ...]], page_size: int, sizes: Mapping[int, int]) -> bytes:
    """The payload of the index frame.

    Shape:   runs as tuples in the order of Run's fields; the length of a raw run is computed
    Raises:  internal.image.run: a run is not aligned, lies outside its file, or overlaps another of its owner
    """
    owners: dict[str, int] = {}
    rows = []
    for owner, start, pages, file, offset, encoding, length in runs:
        if encoding == RAW:
            length = pages * page_size
        rows.append((owners.setdefault(str(owner), len(owners)), start, pages, file, offset, length, ENCODINGS.index(encoding)))
    rows.sort()
    wrong = _first_wrong(rows, page_size, sizes)
    if wrong is not None:
        raise InternalError("image.run", "a run of pages cannot be stored", where=f"run {wrong[0]}", why=wrong[1])
    columns = list(zip(*rows, strict=True)) or [()] * len(_COLUMNS)
    packed = {name: struct.pack(f"<{len(rows)}Q", *column) for name, column in zip(_COLUMNS, columns, strict=True)}
    return cbor.encode({"columns": packed, "count": len(rows), "encodings": list(ENCODINGS), "owners": list(owners)})


# The first row that breaks a rule of the index, and the rule; None if all is well. Rows are sorted by owner and start.
def _first_wrong(rows: Iterable[tuple[int, ...]], page_size: int, sizes: Mapping[int, int]) -> tuple[int, str] | None:
    last_owner, last_end = -1, 0
    for i, (owner, start, pages, file, offset, length, encoding) in enumerate(rows):
        end = start + pages * page_size
        if pages <= 0 or start < 0 or end > _TOP or start % page_size:
            return i, f"{pages} pages at {start:#x} are no pages of an address space"
        if owner == last_owner and start < last_end:
            return i, f"{start:#x} overlaps the run before it"
        last_owner, last_end = owner, end
        if encoding == 0:
            if offset < 0 or offset % page_size or length != end - start or offset + length > sizes.get(file, -1):
                return i, f"{length} raw bytes at {offset} are not in {name_of(file)}"
        elif encoding == 2:
            if end - start > MAX_COMPRESSED:
                return i, f"{end - start} bytes in one compressed run, more than {MAX_COMPRESSED}"
            if offset < 0 or length <= 0 or offset + length > sizes.get(file, -1):
                return i, f"{length} bytes at {offset} are not in {name_of(file)}"
        elif file or offset or length:
            return i, f"{ENCODINGS[encoding]} pages have a place in a file"
    return None


def unpack_index(payload: bytes, page_size: int, sizes: Mapping[int, int]) -> dict[ObjectId, list[Run]]:
    """The runs of each owner, sorted by start, no overlaps, all of them inside their files.

    Raises:  bad_image.malformed
    """
    try:
        value = cbor.decode(payload)
        if type(value) is not dict or set(value) != {"columns", "count", "encodings", "owners"}:
            raise ValueError("not an index")
        columns, count, encodings, owners = value["columns"], value["count"], value["encodings"], value["owners"]
        if type(count) is not int or type(columns) is not dict or set(columns) != set(_COLUMNS):
            raise ValueError("columns are missing or unknown")
        if any(type(column) is not bytes or len(column) != 8 * count for column in columns.values()):
            raise ValueError(f"a column has not {count} numbers")
        if type(owners) is not list or set(map(type, owners)) - {str} or len(set(owners)) != len(owners):
            raise ValueError("owners are not text, each once")
        if type(encodings) is not list or any(name not in ENCODINGS for name in encodings):
            raise ValueError(f"an encoding is unknown: {encodings}")
        numbers = [struct.unpack(f"<{count}Q", columns[name]) for name in _COLUMNS]
        if count and (max(numbers[0]) >= len(owners) or max(numbers[6]) >= len(encodings)):
            raise ValueError("an owner or an encoding is outside its list")
        ours = [ENCODINGS.index(name) for name in encodings]
        rows = list(zip(*numbers[:6], (ours[e] for e in numbers[6]), strict=True))
        if any(a[:2] > b[:2] for a, b in pairwise(rows)):
            raise ValueError("runs are not sorted by owner and start")
        wrong = _first_wrong(rows, page_size, sizes)
        if wrong is not None:
            raise ValueError(f"run {wrong[0]}: {wrong[1]}")
    except ValueError as error:
        raise broken.damaged(INDEX_KIND, str(error)) from error
    out: dict[ObjectId, list[Run]] = {ObjectId(name): [] for name in owners}
    ids = list(out)
    for owner, start, pages, file, offset, length, encoding in rows:
        out[ids[owner]].append(Run(ids[owner], RemoteAddr(start), pages, file, offset, ENCODINGS[encoding], length))
    return out


def digests(fd: int, size: int, chunk: int = CHUNK, threads: int = 2, known: Mapping[int, bytes] | None = None) -> bytes:
    """The digest of each chunk of a file, one after the other.

    Shape:   `known` holds digests by number of chunk; those are not made again

    Raises:  OSError: the file cannot be read or is shorter than `size`
    """
    known = known or {}
    count = -(-size // chunk)
    out = bytearray(32 * count)
    todo = []
    for i in range(count):
        found = known.get(i)
        if found is None:
            todo.append(i)
        else:
            out[32 * i : 32 * i + 32] = found
    threads = max(1, min(threads, len(todo)))
    if threads == 1:
        _hash_every(fd, size, chunk, todo, out)
        return bytes(out)
    import _thread  # the lock and the start of a thread, without the 2 ms that `threading` costs

    failed: list[BaseException] = []

    def work(first: int, over: _thread.LockType) -> None:
        try:
            _hash_every(fd, size, chunk, todo[first::threads], out)
        except BaseException as error:  # noqa: BLE001 - raised again below, by the thread that asked
            failed.append(error)
        finally:
            over.release()

    locks = []
    for first in range(1, threads):
        lock = _thread.allocate_lock()
        lock.acquire()
        _thread.start_new_thread(work, (first, lock))
        locks.append(lock)
    try:
        _hash_every(fd, size, chunk, todo[::threads], out)
    finally:
        for lock in locks:
            lock.acquire()
    if failed:
        raise failed[0]
    return bytes(out)


# The digests of some chunks into their places.
def _hash_every(fd: int, size: int, chunk: int, todo: Sequence[int], out: bytearray) -> None:
    if not todo:
        return
    view = memoryview(bytearray(min(chunk, size)))
    for i in todo:
        out[32 * i : 32 * i + 32] = _hash_one(fd, i * chunk, view[: min(chunk, size - i * chunk)], size)


# The digest of as many bytes at an offset as the buffer holds: preadv and blake3 both let other threads run.
def _hash_one(fd: int, at: int, view: memoryview, size: int) -> bytes:
    from blake3 import blake3  # compiled; only a dump or a verification needs it

    got = 0
    while got < len(view):
        n = os.preadv(fd, [view[got:]], at + got)
        if n == 0:
            raise OSError(f"the file ends at {at + got}, expected {size} bytes")
        got += n
    return blake3(view).digest()


class Hasher:
    """Digests of a file that is still growing, made by a thread of its own while the caller waits for something else."""

    def __init__(self, fd: int, chunk: int = CHUNK) -> None:
        import _thread  # see digests

        self._fd, self._chunk = fd, chunk
        self._found = bytearray()
        self._ready = 0
        self._state = _thread.allocate_lock()  # guards _ready and whether a thread runs
        self._running = _thread.allocate_lock()  # held as long as a thread runs
        self._failed: BaseException | None = None

    def settled(self, end: int) -> None:
        """The bytes below `end` are final: hash the whole chunks among them in the background."""
        import _thread  # see digests

        with self._state:
            self._ready = max(self._ready, end // self._chunk)
            if self._ready * 32 > len(self._found) and self._failed is None and self._running.acquire(blocking=False):
                _thread.start_new_thread(self._work, ())

    def wait(self) -> bytes:
        """The digests of all whole chunks that were settled.

        Raises:  OSError: the file cannot be read or is shorter than was said
        """
        with self._running:
            if self._failed is not None:
                raise self._failed
            return bytes(self._found)

    def stop(self) -> None:
        """Hash nothing more; when this returns the file is not used any more."""
        with self._state:
            self._ready = 0
        with self._running:
            pass

    def _work(self) -> None:
        view = memoryview(bytearray(self._chunk))
        while True:
            with self._state:
                i = len(self._found) // 32
                if i >= self._ready or self._failed is not None:
                    self._running.release()
                    return
            try:
                self._found += _hash_one(self._fd, i * self._chunk, view, (i + 1) * self._chunk)
            except BaseException as error:  # noqa: BLE001 - raised again by wait, in the thread that asked
                self._failed = error


def pack_digests(files: Mapping[int, tuple[int, bytes]]) -> bytes:
    """The payload of the frame that holds the size and the digests of every file of pages."""
    return cbor.encode({"chunk": CHUNK, "files": [[n, size, found] for n, (size, found) in sorted(files.items())]})


def unpack_digests(payload: bytes) -> tuple[int, dict[int, tuple[int, bytes]]]:
    """Chunk size, and for each file of pages its size and digests.

    Raises:  bad_image.malformed
    """
    try:
        value = cbor.decode(payload)
        if type(value) is not dict or set(value) != {"chunk", "files"}:
            raise ValueError("not a table of pages")
        chunk, files = value["chunk"], value["files"]
        if type(chunk) is not int or not 4096 <= chunk <= MAX_CHUNK or type(files) is not list or len(files) > MAX_FILES:
            raise ValueError("an impossible chunk or number of files")
        out: dict[int, tuple[int, bytes]] = {}
        for row in files:
            if type(row) is not list or [type(v) for v in row] != [int, int, bytes]:
                raise ValueError("a row is malformed")
            n, size, found = row
            if not 0 <= n < MAX_FILES or n in out or not 0 <= size < 1 << 56 or len(found) != 32 * -(-size // chunk):
                raise ValueError(f"the row of {name_of(n)} is malformed")
            out[n] = (size, found)
    except ValueError as error:
        raise broken.damaged(DIGESTS_KIND, str(error)) from error
    return chunk, out


def compress(data: bytes, level: int = 1) -> bytes:
    """Pages as one zstd frame that says its content size."""
    import zstandard  # 10 ms of import: only who asks for compression pays

    return zstandard.ZstdCompressor(level=level).compress(data)


def expand(data: bytes, size: int) -> bytes:
    """The pages of a zstd run, exactly `size` bytes.

    Raises:  bad_image.zstd
    """
    import zstandard  # see compress

    try:
        said = zstandard.frame_content_size(data)
        if said != size:
            raise ValueError(f"the frame says {said} bytes, the index {size}")
        out = zstandard.ZstdDecompressor().decompress(data, max_output_size=size, read_across_frames=False, allow_extra_data=False)
        if len(out) != size:
            raise ValueError(f"{len(out)} bytes came out, {size} were promised")
    except (ValueError, zstandard.ZstdError) as error:
        raise BadImage("zstd", "compressed pages are damaged", where="pages", why=str(error), do=broken.AGAIN) from error
    return out
