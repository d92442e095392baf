"""Writing an image: append only, and nothing has the image's name before everything is sealed and on disk.

A crash at any point leaves NAME.partial, or nothing, or the whole image; never a NAME that is not whole. The directory is locked
while it is written, so a later dump to the same name can tell a crashed one (removed) from a running one (refused).
Source:  docs/format.md; rename(2), fsync(2) (a directory entry needs its own fsync), flock(2)
"""

from __future__ import annotations

import errno
import fcntl
import os

from holdfast.errors import InternalError, UsageError
from holdfast.image import cbor, codec, frame, inventory, pages, schema
from holdfast.image.pages import Run
from holdfast.model.ids import ObjectId
from holdfast.model.record import Record, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike
    from types import TracebackType
    from typing import Any, Self

STATE = "state"
SCHEMA_KIND = "image.schema"
SEAL_KIND = "image.seal"
_FLUSH = 1 << 20


class Sealed(Record):
    """What a finished image is: its name, its identity, its sizes.

    Unit:    sizes in bytes
    """

    path: bytes
    digest: bytes  # a later incremental image names its parent by this
    state_size: int
    pages_size: int
    files: int


class PagesFile(Record):
    """A file for raw pages, open for reading and writing; whoever holds the descriptor or the path writes into it."""

    number: int
    path: bytes
    fd: int


class Writer:
    """An image being written at `path`.partial; use it as a context, so that leaving without a seal removes everything."""

    def __init__(self, path: str | bytes | PathLike[str], *, sync: bool = True) -> None:
        self.path = os.path.abspath(os.fsencode(path))
        self.partial = self.path + b".partial"
        self._sync = sync
        self._frames: list[bytes] = []
        self._digests: list[bytes] = []
        self._buffered = 0
        self._written = 0
        self._kinds: dict[str, tuple[int, type[Record]]] = {}
        self._ids: dict[str, set[str]] = {}
        self._runs: list[tuple[Any, ...]] = []
        self._pages: dict[int, PagesFile] = {}
        self._hashed: dict[int, tuple[int, bytes]] = {}
        self._hashers: dict[int, pages.Hasher] = {}
        self._known: dict[int, dict[int, bytes]] = {}
        self._state = self._parent = self._directory = -1
        self._done = False
        try:
            self._claim()
        except BaseException:
            self._close()
            raise

    def _claim(self) -> None:
        parent, name = os.path.split(self.path)
        if not name:
            raise UsageError("image.name", "an image needs a name", where=os.fsdecode(self.path), do="name a directory that does not exist")
        shown = os.fsdecode(self.path)
        try:
            self._parent = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(
                "image.parent",
                f"the folder of {shown} cannot be opened",
                where=os.fsdecode(parent),
                why=error.strerror or "",
                do="create it",
            ) from error
        if os.path.lexists(self.path):
            raise _exists(shown)
        old = False
        try:
            os.mkdir(self.partial, 0o700)
        except FileExistsError:
            old = True
        except OSError as error:
            raise UsageError(
                "image.parent", f"{shown}.partial cannot be made", where=shown, why=error.strerror or "", do="choose another place"
            ) from error
        try:
            self._directory = os.open(self.partial, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            fcntl.flock(self._directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(self._directory)
            if not os.path.samestat(mine, os.stat(self.partial, follow_symlinks=False)):
                raise BlockingIOError(errno.EAGAIN, "it was renamed meanwhile")
        except OSError as error:
            raise UsageError(
                "image.busy",
                f"{shown}.partial is in use or not ours",
                where=f"{shown}.partial",
                why=error.strerror or "",
                do="wait for the other dump, or choose another name",
            ) from error
        if old:
            self._reclaim(mine.st_uid)
        os.fchmod(self._directory, 0o700)
        self._state = os.open(STATE, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self._directory)

    # What a crashed dump left is ours to remove; anything else in there is not.
    def _reclaim(self, owner: int) -> None:
        names = os.listdir(self._directory)
        strange = [n for n in names if n != STATE and not (n.startswith("pages-") and n[6:].isdigit())]
        if strange or owner != os.geteuid():
            shown = os.fsdecode(self.partial)
            raise UsageError(
                "image.partial",
                f"{shown} is not an interrupted dump of yours",
                where=shown,
                why=f"it holds {strange[0]}" if strange else f"owner {owner}",
                do="remove it or choose another name",
            )
        for name in names:
            os.unlink(name, dir_fd=self._directory)

    def add(
        self, kind: str, version: int, record_cls: type[Record], entries: Sequence[tuple[ObjectId, Record]], must_understand: bool = True
    ) -> None:
        """Append one frame with all these records; no entries, no frame.

        Raises:  internal.image.value: a value does not fit its annotation; internal.image.kind: two versions of one kind, or an id twice
        """
        self._open()
        if not entries:
            return
        if self._kinds.setdefault(kind, (version, record_cls)) != (version, record_cls):
            raise InternalError("image.kind", f"{kind} comes in two forms", why=f"{self._kinds[kind]} and {(version, record_cls)}")
        payload = codec.pack(record_cls, entries)
        seen = self._ids.setdefault(kind, set())
        before = len(seen)
        seen.update([entry[0] for entry in entries])
        if len(seen) != before + len(entries):
            raise InternalError("image.kind", f"{kind} holds an object id twice")
        self._append(kind, version, payload, must_understand)

    def pages(self, n: int) -> PagesFile:
        """The file pages-`n`, created on first use; write at page-aligned offsets, with whatever tool."""
        self._open()
        found = self._pages.get(n)
        if found is None:
            if not 0 <= n < pages.MAX_FILES:
                raise InternalError("image.pages", f"pages-{n} is out of range")
            name = pages.name_of(n)
            fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self._directory)
            found = self._pages[n] = PagesFile(n, self.partial + b"/" + name.encode(), fd)
        return found

    def index(self, runs: Iterable[Run | tuple[Any, ...]]) -> None:
        """Say where runs of pages are; may be called many times.

        Shape:   Run, or tuples of its first six or all seven fields
        """
        self._open()
        names = tuple(fields(Run))
        for run in runs:
            row = run if isinstance(run, tuple) else tuple([getattr(run, name) for name in names])
            self._runs.append(row if len(row) == 7 else (*row, 0))

    def settled(self, n: int, end: int) -> None:
        """Say that the bytes of pages-`n` below `end` are final; a thread hashes them while the caller goes on or waits.

        Needs:   nobody writes below `end` again
        """
        self._open()
        if n not in self._hashers:
            self._hashers[n] = pages.Hasher(self.pages(n).fd)
        self._hashers[n].settled(end)

    def hashed(self, n: int, chunk: int, digest: bytes) -> None:
        """The digest of a whole chunk of pages-`n`, from who made it of the very bytes that it wrote; from any thread.

        Needs:   nobody writes to this chunk again
        """
        self._known.setdefault(n, {})[chunk] = digest

    def hash_pages(self, threads: int = 2) -> None:
        """Compute the digests of the files of pages now; the seal computes what is missing or has grown.

        Needs:   nobody writes to the files any more; the target may run again
        """
        self._open()
        for n, file in self._pages.items():
            size = os.fstat(file.fd).st_size
            if n not in self._hashed or self._hashed[n][0] != size:
                first = self._hashers[n].wait() if n in self._hashers else b""
                known = {i: first[32 * i : 32 * i + 32] for i in range(len(first) // 32)} | self._known.get(n, {})
                self._hashed[n] = (size, pages.digests(file.fd, size, threads=threads, known=known))

    def seal(self, facts: inventory.Inventory, threads: int = 2) -> Sealed:
        """Finish the image: digests, schema, inventory, seal, everything to disk, and only then its name.

        Raises:  internal.image.run: a run is not inside its file; usage.image.exists: the name was taken meanwhile; OSError: the disk's
        """
        self.hash_pages(threads)
        sizes = {n: size for n, (size, _) in self._hashed.items()}
        for n, size in sizes.items():
            if size % facts.page_size:
                raise InternalError("image.pages", f"{pages.name_of(n)} ends in the middle of a page", why=f"{size} bytes")
        if self._runs:
            self._append(pages.INDEX_KIND, 1, pages.pack_index(self._runs, facts.page_size, sizes))
        if self._hashed:
            self._append(pages.DIGESTS_KIND, 1, pages.pack_digests(self._hashed))
        self.add(inventory.KIND, inventory.VERSION, inventory.Inventory, [(ObjectId("image"), facts)])
        described = {kind: schema.encoded(cls, version, codec.packed_default) for kind, (version, cls) in self._kinds.items()}
        self._append(SCHEMA_KIND, 1, cbor.encode(described))
        digest = seal_digest(self._digests)
        self._append(SEAL_KIND, 1, cbor.encode({"algorithm": "blake3", "digest": digest, "frames": len(self._digests)}))
        self._flush()
        self._to_disk()
        if os.path.lexists(self.path):
            raise _exists(os.fsdecode(self.path))
        os.rename(self.partial, self.path)
        self._done = True
        if self._sync:
            os.fsync(self._parent)
        self._close()
        return Sealed(self.path, digest, self._written, sum(sizes.values()), 1 + len(sizes))

    def abort(self) -> None:
        """Remove everything that was written; after a seal, nothing."""
        if self._done:
            return
        self._done = True
        try:
            for name in [STATE, *(pages.name_of(n) for n in self._pages)]:
                os.unlink(name, dir_fd=self._directory)
            os.rmdir(self.partial)
        finally:
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.abort()

    def _open(self) -> None:
        if self._done:
            raise InternalError("image.closed", "the image is sealed or aborted", where=os.fsdecode(self.path))

    def _append(self, kind: str, version: int, payload: bytes, must_understand: bool = True) -> None:
        data, digest = frame.pack(kind, version, payload, must_understand)
        self._frames.append(data)
        self._digests.append(digest)
        self._buffered += len(data)
        if self._buffered >= _FLUSH:
            self._flush()

    def _flush(self) -> None:
        data = memoryview(b"".join(self._frames))
        self._frames.clear()
        self._buffered = 0
        self._written += len(data)
        if self._written > frame.MAX_STATE:
            raise InternalError("image.size", "the state is larger than a reader accepts", why=f"{self._written} bytes")
        while data:
            data = data[os.write(self._state, data) :]

    # fsync on a tmpfs returns at once (Linux mm/shmem.c, noop_fsync), so there is nothing to choose there.
    def _to_disk(self) -> None:
        if self._sync:
            for file in self._pages.values():
                os.fsync(file.fd)
            os.fsync(self._state)
            os.fsync(self._directory)

    def _close(self) -> None:
        for hasher in self._hashers.values():
            hasher.stop()  # it must not read from a descriptor that is closed and then another file's
        for fd in (*(file.fd for file in self._pages.values()), self._state, self._directory, self._parent):
            if fd >= 0:
                os.close(fd)
        self._pages.clear()
        self._state = self._directory = self._parent = -1


def _exists(shown: str) -> UsageError:
    return UsageError(
        "image.exists", f"{shown} exists", where=shown, why="an image is never overwritten", do="remove it or choose another name"
    )


def seal_digest(digests: Iterable[bytes]) -> bytes:
    """The digest of everything: of the digests of all frames before the seal, in order."""
    from blake3 import blake3  # compiled; loaded when the first frame is made

    return blake3(b"".join(digests)).digest()
