"""Reading an image: input is hostile; what must be understood and is not refuses by name.

Source:  docs/format.md
"""

from __future__ import annotations

import os

from holdfast.errors import BadImage, InternalError
from holdfast.image import broken, cbor, codec, frame, inventory, pages, schema, trust
from holdfast.image.write import SCHEMA_KIND, SEAL_KIND, STATE, seal_digest
from holdfast.model.ids import ObjectId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from types import TracebackType
    from typing import Any, Self

    from holdfast.image.frame import Frame
    from holdfast.image.schema import KindSchema
    from holdfast.model.record import Record

    # From the stored fields of a record's version N to those of N + 1.
    Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
    # A kind's record class, its version, and its upgrades by the version that they start from.
    Reader = tuple[type[Record], int, Mapping[int, Upgrade] | None]

_MAX_RUN = 1 << 30
_OURS = frozenset({pages.INDEX_KIND, pages.DIGESTS_KIND, inventory.KIND, SCHEMA_KIND, SEAL_KIND})


class Image:
    """A sealed image, checked; its records decoded if the reader brought a registry of kinds."""

    def __init__(self, directory: int, trusted: bool) -> None:
        self._directory, self._trusted = directory, trusted
        self._data = b""
        self._records: dict[str, list[codec.Entry]] | None = None
        self._runs: dict[ObjectId, list[pages.Run]] | None = None
        self._fds: dict[int, int] = {}
        self._digests: dict[int, tuple[int, bytes]] = {}
        self._chunk = pages.CHUNK
        self.frames: tuple[Frame, ...] = ()
        self._of_kind: dict[str, list[Frame]] = {}
        self._described: dict[str, bytes] = {}
        self._schemas: dict[str, KindSchema] = {}
        self.digest = b""
        self.inventory: inventory.Inventory
        self.warnings: list[str] = []

    def kinds(self) -> list[str]:
        """The kinds that the image holds, in the order of their first frames."""
        return [kind for kind in self._of_kind if not kind.startswith("image.")]

    def records(self, kind: str) -> list[codec.Entry]:
        """All records of a kind with their object ids, in the order in which they were written.

        Needs:   the image was opened with a registry
        """
        if self._records is None:
            raise InternalError("image.registry", f"{kind} was not decoded", why="the image was opened without a registry")
        return self._records.get(kind, [])

    def raw(self, kind: str) -> list[tuple[ObjectId, dict[str, Any]]]:
        """All records of a kind as plain maps in stored form; works for a kind that nobody knows.

        Shape:   int, bool, bytes, str, None, list, dict; an absent field has the image's own default
        """
        found: list[tuple[ObjectId, dict[str, Any]]] = []
        for f in self._of_kind.get(kind, ()):
            names, columns = codec.split(self._data[f.payload : f.payload_end], kind)
            found += zip(map(ObjectId, names), codec.plain_rows(names, columns, self.schema_of(kind)), strict=True)
        return found

    def schema_of(self, kind: str) -> KindSchema:
        """What the image says about the fields of a kind that it holds.

        Raises:  bad_image.schema
        """
        found = self._schemas.get(kind)
        if found is None:
            found = self._schemas[kind] = schema.decode(kind, self._described[kind])
        return found

    def owners(self) -> list[ObjectId]:
        """Who has pages in this image."""
        return list(self._index())

    def runs(self, owner: ObjectId) -> list[pages.Run]:
        """The runs of one owner, sorted by start, no overlaps."""
        return self._index().get(owner, [])

    def pages_files(self) -> dict[int, int]:
        """Number and size of every file of pages.

        Unit:    bytes
        """
        return {n: size for n, (size, _) in self._digests.items()}

    def pages_fd(self, n: int) -> int:
        """A descriptor of the file pages-`n`, open for reading as long as the image is open."""
        if n not in self._fds:
            raise broken.missing_file(pages.name_of(n), "the image lists no such file")
        return self._fds[n]

    def verify_pages(self, n: int, threads: int = 2) -> int:
        """Compare a file of pages with its digests; returns the bytes read.

        Raises:  bad_image.pages_digest: names the first chunk that differs
        """
        size, wanted = self._digests[n] if n in self._digests else (self.pages_fd(n), b"")
        found = pages.digests(self.pages_fd(n), size, self._chunk, threads)
        for i in range(0, len(wanted), 32):
            if found[i : i + 32] != wanted[i : i + 32]:
                at = i // 32 * self._chunk
                raise BadImage(
                    "pages_digest",
                    f"{pages.name_of(n)} is damaged",
                    where=f"{pages.name_of(n)} bytes {at} to {min(at + self._chunk, size)}",
                    why="the digest of these bytes is not the one in the image",
                    do=broken.AGAIN,
                )
        return size

    def read_run(self, run: pages.Run) -> bytes:
        """The contents of a run.

        Needs:   at most 1 GiB; longer runs are read in parts by who has room for them
        Raises:  bad_image.zstd, bad_image.truncated; internal.image.in_parent: the contents are in another image
        """
        size = run.pages * self.inventory.page_size
        if size > _MAX_RUN:
            raise InternalError("image.run_size", f"a run of {size} bytes in one piece", where=f"{run.owner} {run.start!r}")
        if run.encoding == pages.ZERO:
            return bytes(size)
        if run.encoding == pages.IN_PARENT:
            raise InternalError("image.in_parent", "these pages are in the parent image", where=f"{run.owner} {run.start!r}")
        data = os.pread(self.pages_fd(run.file), run.length, run.offset)
        if len(data) != run.length:
            raise broken.truncated(pages.name_of(run.file), "it became shorter while we read it")
        return data if run.encoding == pages.RAW else pages.expand(data, size)

    def check_parent(self, parent: Image) -> None:
        """Make sure that this is the image that in-parent runs point into.

        Raises:  bad_image.parent
        """
        if self.inventory.parent != parent.digest:
            raise BadImage(
                "parent",
                "this is not the parent of the image, or it changed",
                where="image.inventory parent",
                why=f"wanted {self.inventory.parent.hex() if self.inventory.parent else 'none'}, this one is {parent.digest.hex()}",
                do="restore with the parent that the image was dumped against",
            )

    def close(self) -> None:
        """Give back every descriptor."""
        for fd in (*self._fds.values(), self._directory):
            if fd >= 0:
                os.close(fd)
        self._fds.clear()
        self._directory = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _index(self) -> dict[ObjectId, list[pages.Run]]:
        if self._runs is None:
            self._runs = {}
            for f in self._of_kind.get(pages.INDEX_KIND, ()):
                self._runs = pages.unpack_index(self._payload(f), self.inventory.page_size, self.pages_files())
        return self._runs

    def _payload(self, f: Frame) -> bytes:
        return self._data[f.payload : f.payload_end]

    def _load(self, registry: Mapping[str, Reader] | None) -> None:
        fd, size = trust.open_file(self._directory, STATE, self._trusted)
        try:
            self._data = _read_all(fd, size)
        finally:
            os.close(fd)
        self.frames = tuple(frame.scan(self._data, STATE))
        for f in self.frames:
            self._of_kind.setdefault(f.kind, []).append(f)
        self._check_seal()
        self._load_schemas()
        entries = self._decode(inventory.KIND, (inventory.Inventory, inventory.VERSION, {}))
        if len(entries) != 1 or not isinstance(entries[0][1], inventory.Inventory):
            raise broken.damaged(inventory.KIND, "an image has one inventory")
        self.inventory = entries[0][1]
        self._check_inventory()
        for f in self._of_kind.get(pages.DIGESTS_KIND, ()):
            self._chunk, self._digests = pages.unpack_digests(self._payload(f))
        for n, (wanted, _) in self._digests.items():
            self._fds[n], found = trust.open_file(self._directory, pages.name_of(n), self._trusted)
            if found != wanted:
                raise BadImage(
                    "pages_size",
                    f"{pages.name_of(n)} has another size",
                    where=pages.name_of(n),
                    why=f"{found} bytes, expected {wanted}",
                    do=broken.AGAIN,
                )
        if registry is None:
            for kind in self.kinds():
                self._check_version(kind, self.schema_of(kind).version)
        else:
            self._records = {}
            for kind in self.kinds():
                records = self._admit(kind, registry.get(kind))
                if records is not None:
                    self._records[kind] = records

    def _check_seal(self) -> None:
        last = self.frames[-1] if self.frames else None
        if last is None or last.kind != SEAL_KIND:
            raise broken.unsealed(STATE, "it has no seal: the dump was interrupted, or the end is cut off")
        seen: set[str] = set()
        for f in self.frames:
            if f.kind in _OURS:
                if f.version != 1 or f.kind in seen:
                    raise _newer(f.kind, f.version, 1) if f.version != 1 else broken.damaged(f.kind, "it is there twice")
                seen.add(f.kind)
            elif f.kind.startswith("image."):
                if f.must_understand:
                    raise _unknown(f.kind)
                self.warnings.append(f"{f.kind} was ignored: this version does not know it, and the image says that it may be ignored")
        if SCHEMA_KIND not in seen or inventory.KIND not in seen:
            raise broken.damaged(STATE, "no schema or no inventory")
        value = _decode(self._payload(last), SEAL_KIND)
        self.digest = seal_digest(f.digest for f in self.frames[:-1])
        if value != {"algorithm": "blake3", "digest": self.digest, "frames": len(self.frames) - 1}:
            raise BadImage(
                "seal",
                "the seal does not fit the image",
                where=f"{STATE} {SEAL_KIND}",
                why="frames were added, removed or moved",
                do=broken.AGAIN,
            )

    def _load_schemas(self) -> None:
        described = _decode(self._payload(self._of_kind[SCHEMA_KIND][0]), SCHEMA_KIND)
        if type(described) is not dict or any(type(raw) is not bytes for raw in described.values()):
            raise broken.damaged(SCHEMA_KIND, "not a map of kinds to schemas")
        self._described = described
        for f in self.frames:
            if f.kind not in described and (f.kind == inventory.KIND or not f.kind.startswith("image.")):
                raise broken.damaged(f.kind, "the image's schema does not describe it")

    def _check_inventory(self) -> None:
        facts = self.inventory
        if facts.page_size not in (4096, 16384, 65536):
            raise broken.damaged(inventory.KIND, f"page size {facts.page_size}")
        for name in sorted(facts.features - inventory.FEATURES):
            raise BadImage(
                "feature",
                f"the image needs the feature {name}",
                where=inventory.KIND,
                why="this version does not have it",
                do="use a later version of holdfast",
            )

    def _check_version(self, kind: str, version: int) -> None:
        if any(f.version != version for f in self._of_kind[kind]):
            raise broken.damaged(kind, "frame and schema disagree about the record version")

    # Decode a kind, or say why that is not possible, or that it does not matter.
    def _admit(self, kind: str, reader: Reader | None) -> list[codec.Entry] | None:
        mine = self._of_kind[kind]
        must, version = any(f.must_understand for f in mine), mine[0].version
        if reader is None or version > reader[1]:
            self._check_version(kind, self.schema_of(kind).version)
            if must:
                raise _unknown(kind) if reader is None else _newer(kind, version, reader[1])
            what = "this version does not know it" if reader is None else f"its record version {version} is newer than {reader[1]}"
            self.warnings.append(f"{kind} was ignored: {what}, and the image says that it may be ignored")
            return None
        return self._decode(kind, reader)

    def _decode(self, kind: str, reader: Reader) -> list[codec.Entry]:
        cls, ours, upgrades = reader
        # the usual image has our own schema, byte for byte: nothing to decode, nothing to compare
        theirs = None if self._described[kind] == schema.encoded(cls, ours, codec.packed_default) else self.schema_of(kind)
        self._check_version(kind, ours if theirs is None else theirs.version)
        out: list[codec.Entry] = []
        if theirs is not None and theirs.version < ours:
            binding = codec.bind(cls, kind, None)
            for name, row in self.raw(kind):
                for version in range(theirs.version, ours):
                    row = _upgrade(kind, version, upgrades)(row)
                out += codec.unpack_rows([name], [row], binding, self.warnings)
        else:
            binding = codec.bind(cls, kind, theirs)
            for f in self._of_kind.get(kind, ()):
                out += codec.unpack(self._payload(f), binding, self.warnings)
        if len({entry[0] for entry in out}) != len(out):
            raise broken.damaged(kind, "an object id is there twice")
        return out


def open(path: str | bytes | PathLike[str], registry: Mapping[str, Reader] | None = None, *, trust: bool = False) -> Image:  # noqa: A001 - image.read.open
    """The image at `path`, everything but the pages checked; with a registry, every record is decoded or the image refused.

    Shape:   registry: kind to (record class, version, upgrades); None reads the structure only, for show and verify
    Raises:  bad_image.*: see docs/errors.md
    """
    image = Image(_open_directory(path, trust), trust)
    try:
        image._load(registry)
    except BaseException:
        image.close()
        raise
    return image


_open_directory = trust.open_directory  # `trust` is a parameter of open


def _read_all(fd: int, size: int) -> bytes:
    if size > frame.MAX_STATE:
        raise broken.damaged(STATE, f"{size} bytes, more than the {frame.MAX_STATE} that any image has")
    parts = []
    left = size
    while left:
        part = os.read(fd, left)
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _decode(payload: bytes, kind: str) -> Any:
    try:
        return cbor.decode(payload)
    except cbor.Malformed as error:
        raise broken.damaged(kind, str(error)) from error


def _upgrade(kind: str, version: int, upgrades: Mapping[int, Upgrade] | None) -> Upgrade:
    if not upgrades or version not in upgrades:
        raise InternalError("image.upgrade", f"{kind} has no upgrade from record version {version}", why="every image has to stay readable")
    return upgrades[version]


def _unknown(kind: str) -> BadImage:
    return BadImage(
        "unknown_kind",
        f"{kind} must be understood and is not",
        where=f"{STATE} {kind}",
        why="this version of holdfast has no such kind",
        do="restore with the version of holdfast that wrote the image, or a later one",
    )


def _newer(kind: str, theirs: int, ours: int) -> BadImage:
    return BadImage(
        "newer_record",
        f"{kind} is in a newer form than this version knows",
        where=f"{STATE} {kind}",
        why=f"record version {theirs} in the image, {ours} here",
        do="restore with the version of holdfast that wrote the image, or a later one",
    )
