"""The index of runs, the digests of chunks, compressed runs."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import BadImage, InternalError
from holdfast.image import cbor, pages
from holdfast.image.pages import IN_PARENT, RAW, ZERO, ZSTD, Run
from holdfast.model.ids import ObjectId, RemoteAddr

if TYPE_CHECKING:
    from pathlib import Path

A, B = ObjectId("process:1"), ObjectId("process:2")
SIZES = {0: 16 * 4096, 3: 4096}
ROWS = [
    (B, 0x1000, 1, 3, 0, RAW, 0),
    (A, 0x3000, 2, 0, 8192, RAW, 0),
    (A, 0x1000, 1, 0, 0, ZERO, 0),
    (A, 0x2000, 1, 0, 4096, ZSTD, 100),
    (A, 2**64 - 4096, 1, 0, 0, IN_PARENT, 0),
]


def test_runs_come_back_sorted_by_owner_and_start() -> None:
    found = pages.unpack_index(pages.pack_index(ROWS, 4096, SIZES), 4096, SIZES)
    assert found == {
        B: [Run(B, RemoteAddr(0x1000), 1, 3, 0, RAW, 4096)],
        A: [
            Run(A, RemoteAddr(0x1000), 1, 0, 0, ZERO, 0),
            Run(A, RemoteAddr(0x2000), 1, 0, 4096, ZSTD, 100),
            Run(A, RemoteAddr(0x3000), 2, 0, 8192, RAW, 8192),
            Run(A, RemoteAddr(2**64 - 4096), 1, 0, 0, IN_PARENT, 0),
        ],
    }
    assert type(found[A][0].start) is RemoteAddr


def test_no_runs_are_an_index_too() -> None:
    assert pages.unpack_index(pages.pack_index([], 4096, {}), 4096, {}) == {}


WRONG_ROWS: list[tuple[tuple[Any, ...], str]] = [
    ((A, 0x1001, 1, 0, 0, RAW, 0), "1 pages at 0x1001 are no pages of an address space"),
    ((A, 0x1000, 0, 0, 0, RAW, 0), "0 pages at 0x1000 are no pages of an address space"),
    ((A, 2**64 - 4096, 2, 0, 0, ZERO, 0), "2 pages at 0xfffffffffffff000 are no pages of an address space"),
    ((A, 0x1000, 1, 0, 512, RAW, 0), "4096 raw bytes at 512 are not in pages-0"),
    ((A, 0x1000, 17, 0, 0, RAW, 0), "69632 raw bytes at 0 are not in pages-0"),
    ((A, 0x1000, 1, 0, 16 * 4096, RAW, 0), "4096 raw bytes at 65536 are not in pages-0"),
    ((A, 0x1000, 1, 7, 0, RAW, 0), "4096 raw bytes at 0 are not in pages-7"),
    ((A, 0, 16385, 0, 0, ZSTD, 9), "67112960 bytes in one compressed run, more than 67108864"),
    ((A, 0x1000, 1, 0, 0, ZSTD, 0), "0 bytes at 0 are not in pages-0"),
    ((A, 0x1000, 1, 0, 65535, ZSTD, 2), "2 bytes at 65535 are not in pages-0"),
    ((A, 0x1000, 1, 0, 4096, ZERO, 0), "zero pages have a place in a file"),
    ((A, 0x1000, 1, 3, 0, IN_PARENT, 0), "in-parent pages have a place in a file"),
]


@pytest.mark.parametrize(("row", "why"), WRONG_ROWS)
def test_a_wrong_run_is_our_mistake_on_writing_and_refused_on_reading(row: tuple[Any, ...], why: str) -> None:
    with pytest.raises(InternalError) as mistake:
        pages.pack_index([row], 4096, SIZES)
    assert (mistake.value.code, mistake.value.why) == ("internal.image.run", why)
    with pytest.raises(BadImage) as error:
        pages.unpack_index(raw_index([row]), 4096, SIZES)
    assert (error.value.code, error.value.why) == ("bad_image.malformed", f"run 0: {why}")


def raw_index(rows: list[tuple[Any, ...]], **change: Any) -> bytes:
    """An index as a writer without checks would make it."""
    owners = list(dict.fromkeys(row[0] for row in rows))
    numbers = [
        (owners.index(o), s, p, f, off, p * 4096 if e == RAW else length, pages.ENCODINGS.index(e)) for o, s, p, f, off, e, length in rows
    ]
    names = ("owner", "start", "pages", "file", "offset", "length", "encoding")
    columns = {name: struct.pack(f"<{len(rows)}Q", *column) for name, column in zip(names, zip(*numbers, strict=True), strict=True)}
    columns |= change.pop("columns", {})
    value = {"columns": columns, "count": len(rows), "encodings": list(pages.ENCODINGS), "owners": list(map(str, owners))} | change
    return cbor.encode(value)


ROW = (A, 0x1000, 1, 0, 0, RAW, 0)


@pytest.mark.parametrize(
    ("rows", "change", "why"),
    [
        ([ROW, ROW], {}, "run 1: 0x1000 overlaps the run before it"),
        ([(A, 0x2000, 1, 0, 0, RAW, 0), ROW], {}, "runs are not sorted by owner and start"),
        ([ROW], {"count": 2}, "a column has not 2 numbers"),
        ([ROW], {"count": 2**61}, "a column has not 2305843009213693952 numbers"),
        ([ROW], {"count": -1}, "a column has not -1 numbers"),
        ([ROW], {"count": True}, "columns are missing or unknown"),
        ([ROW], {"owners": []}, "an owner or an encoding is outside its list"),
        ([ROW], {"owners": ["a", "a"]}, "owners are not text, each once"),
        ([ROW], {"owners": [1]}, "owners are not text, each once"),
        ([ROW], {"encodings": []}, "an owner or an encoding is outside its list"),
        ([ROW], {"encodings": ["raw", "lz4"]}, "an encoding is unknown: ['raw', 'lz4']"),
        ([ROW], {"columns": {"more": b""}}, "columns are missing or unknown"),
        ([ROW], {"columns": {"start": [1]}}, "a column has not 1 numbers"),
        ([ROW], {"more": 1}, "not an index"),
    ],
)
def test_an_index_that_no_writer_makes(rows: list[tuple[Any, ...]], change: dict[str, Any], why: str) -> None:
    with pytest.raises(BadImage) as error:
        pages.unpack_index(raw_index(rows, **dict(change)), 4096, SIZES)
    assert (error.value.code, error.value.why) == ("bad_image.malformed", why)


@given(st.integers(0, 5 * 4096), st.integers(1, 4))
def test_digests_are_those_of_each_chunk(size: int, threads: int) -> None:
    data = bytes(n * 7 % 256 for n in range(size))
    fd = os.memfd_create("digests")
    try:
        assert os.write(fd, data) == size
        found = pages.digests(fd, size, 4096, threads)
    finally:
        os.close(fd)
    assert found == b"".join(blake3(data[at : at + 4096]).digest() for at in range(0, size, 4096))


@given(st.lists(st.integers(0, 12 * 4096), max_size=6), st.integers(0, 12 * 4096), st.integers(1, 3))
def test_a_hasher_gives_the_same_digests(ends: list[int], size: int, threads: int) -> None:
    data = bytes(n * 7 % 256 for n in range(size))
    fd = os.memfd_create("digests")
    try:
        assert os.write(fd, data) == size
        hasher = pages.Hasher(fd, 4096)
        for end in ends:
            hasher.settled(min(end, size))
        known = hasher.wait()
        found = pages.digests(fd, size, 4096, threads, {i: known[32 * i : 32 * i + 32] for i in range(len(known) // 32)})
    finally:
        os.close(fd)
    assert len(known) == 32 * (max([min(end, size) for end in ends], default=0) // 4096)
    assert found == b"".join(blake3(data[at : at + 4096]).digest() for at in range(0, size, 4096))


@given(st.sets(st.integers(0, 9)), st.integers(1, 4))
def test_digests_that_are_known_are_not_made_again(known: set[int], threads: int) -> None:
    fd = os.memfd_create("digests")
    try:
        os.write(fd, bytes(8 * 4096 + 1))
        found = pages.digests(fd, 8 * 4096 + 1, 4096, threads, {i: bytes((i,)) * 32 for i in known})
    finally:
        os.close(fd)
    whole, last = blake3(bytes(4096)).digest(), blake3(bytes(1)).digest()
    made = [whole] * 8 + [last]
    assert found == b"".join(bytes((i,)) * 32 if i in known else made[i] for i in range(9))


def test_a_hasher_that_fails_says_so_to_who_asked() -> None:
    fd = os.memfd_create("digests")
    hasher = pages.Hasher(fd, 4096)
    hasher.settled(8192)
    with pytest.raises(OSError, match=r"^the file ends at 0, expected 4096 bytes$"):
        hasher.wait()
    hasher.stop()
    os.close(fd)


def test_a_stopped_hasher_has_let_go_of_its_file() -> None:
    fd = os.memfd_create("digests")
    os.truncate(fd, 1 << 24)
    hasher = pages.Hasher(fd, 4096)
    hasher.settled(1 << 24)
    hasher.stop()
    os.close(fd)
    assert len(hasher.wait()) % 32 == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_a_file_that_became_shorter_is_an_error(threads: int, tmp_path: Path) -> None:
    path = tmp_path / "pages"
    path.write_bytes(bytes(8192))
    with open(path, "rb") as file, pytest.raises(OSError, match=r"^the file ends at 8192, expected 12288 bytes$"):
        pages.digests(file.fileno(), 12288, 4096, threads)


def test_the_table_of_digests_comes_back() -> None:
    files = {0: (0, b""), 3: (pages.CHUNK + 1, b"d" * 64)}
    assert pages.unpack_digests(pages.pack_digests(files)) == (pages.CHUNK, files)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "not a table of pages"),
        ({"chunk": 4096}, "not a table of pages"),
        ({"chunk": 0, "files": []}, "an impossible chunk or number of files"),
        ({"chunk": 1 << 40, "files": []}, "an impossible chunk or number of files"),
        ({"chunk": 4096, "files": [[0, 1]]}, "a row is malformed"),
        ({"chunk": 4096, "files": [[0, True, b""]]}, "a row is malformed"),
        ({"chunk": 4096, "files": [[-1, 0, b""]]}, "the row of pages--1 is malformed"),
        ({"chunk": 4096, "files": [[1, 0, b""], [1, 0, b""]]}, "the row of pages-1 is malformed"),
        ({"chunk": 4096, "files": [[1, 4097, b"d" * 32]]}, "the row of pages-1 is malformed"),
        ({"chunk": 4096, "files": [[1, 2**60, b""]]}, "the row of pages-1 is malformed"),
    ],
)
def test_a_table_of_digests_that_no_writer_makes(value: Any, why: str) -> None:
    with pytest.raises(BadImage) as error:
        pages.unpack_digests(cbor.encode(value))
    assert (error.value.code, error.value.why) == ("bad_image.malformed", why)


def test_compressed_pages_come_back() -> None:
    data = bytes(range(256)) * 64
    packed = pages.compress(data)
    assert len(packed) < len(data)
    assert pages.expand(packed, len(data)) == data


def test_a_frame_that_would_expand_to_more_is_refused_before_it_does() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 24))
    with pytest.raises(BadImage) as error:
        pages.expand(bomb, 4096)
    assert (error.value.code, error.value.why) == ("bad_image.zstd", "the frame says 16777216 bytes, the index 4096")


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d + b"x", lambda d: d + d, lambda d: b"zz" + d])
def test_damaged_compressed_pages_are_refused(damage: Any) -> None:
    data = os.urandom(8192)
    with pytest.raises(BadImage) as error:
        assert pages.expand(damage(pages.compress(data)), 8192) == data
    assert error.value.code == "bad_image.zstd"
