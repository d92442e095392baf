"""kernel/vmlinuz.py: one small image in every compression that the kernel's build can make."""

from __future__ import annotations

import bz2
import ctypes
import lzma
import random
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
import zstandard

from holdfast.errors import UsageError
from holdfast.kernel import vmlinuz

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = b"\x7fELF" + random.Random(7).randbytes(5000) + b"kernel " * 4000 + b"\0" * 70000


def lz4_stored(data: bytes) -> bytes:
    # a legal block of literals only: what the format allows, made without a library
    out = b"\xf0" + b"\xff" * ((len(data) - 15) // 255) + bytes([(len(data) - 15) % 255]) + data
    return b"\x02\x21\x4c\x18" + struct.pack("<I", len(out)) + out


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda d: zlib.compressobj(9, zlib.DEFLATED, 31).compress(d) + b"",
    "bzip2": bz2.compress,
    "xz": lambda d: lzma.compress(d, check=lzma.CHECK_CRC32),
    "lzma": lambda d: lzma.compress(d, lzma.FORMAT_ALONE),
    "zstd": lambda d: zstandard.ZstdCompressor(write_content_size=False).compress(d),
    "lz4": lz4_stored,
}


def pack(form: str, data: bytes) -> bytes:
    if form == "gzip":
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        return packer.compress(data) + packer.flush()
    return PACKERS[form](data)


def image(packed: bytes, size: int | None) -> bytes:
    if size is not None:
        packed += struct.pack("<I", size)
    head = bytearray(1024 + 64)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 64, len(packed))
    return bytes(head) + packed + b"tail"


@pytest.mark.parametrize("form", sorted(PACKERS))
def test_every_compression_is_unpacked(form: str) -> None:
    packed = pack(form, PLAIN)
    whole = image(packed, None if form == "gzip" else len(PLAIN))
    assert vmlinuz.compression(vmlinuz.payload(whole)) == form
    assert vmlinuz.unpack(whole) == PLAIN


@pytest.mark.parametrize("form", sorted(PACKERS))
def test_damage_is_an_error_of_the_caller(form: str) -> None:
    packed = bytearray(pack(form, PLAIN))
    cut = image(bytes(packed[: len(packed) // 2]), len(PLAIN))
    with pytest.raises(UsageError, match=r"vmlinuz\.malformed"):
        vmlinuz.unpack(cut)


def test_a_wrong_size_is_seen() -> None:
    with pytest.raises(UsageError, match="were promised"):
        vmlinuz.unpack(image(pack("xz", PLAIN), len(PLAIN) - 1))


def test_other_files_and_unknown_compressions_are_named() -> None:
    with pytest.raises(UsageError, match="no HdrS"):
        vmlinuz.unpack(b"\0" * 4096)
    with pytest.raises(UsageError, match="compressed as lzo"):
        vmlinuz.unpack(image(b"\x89LZO" + b"x" * 40, 10))
    with pytest.raises(UsageError, match="past the end"):
        vmlinuz.unpack(image(b"x" * 40, 10)[:1100])


def test_the_plain_lz4_reader_equals_the_library() -> None:
    library = ctypes.CDLL("liblz4.so.1")
    room = ctypes.create_string_buffer(len(PLAIN) + 1000)
    length = library.LZ4_compress_default(PLAIN, room, len(PLAIN), len(room))
    assert 0 < length < len(PLAIN)
    assert vmlinuz.lz4_block(room.raw[:length], len(PLAIN)) == PLAIN
    for cut in range(1, length, 37):
        try:
            assert len(vmlinuz.lz4_block(room.raw[:cut], len(PLAIN))) <= len(PLAIN)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - either way out is legal, another exception is not
