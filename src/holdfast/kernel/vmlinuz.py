"""A bootable x86 kernel image (bzImage) as the vmlinux inside it, whatever compressed it.

Source:  Documentation/arch/x86/boot.rst (setup_sects, payload_offset, payload_length), scripts/Makefile.lib (size_append)
"""

from __future__ import annotations

import struct

from holdfast.errors import KernelLacks, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 1 << 30  # an unpacked kernel is 30-100 MiB; a size beyond this is damage
MAGICS = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x5d\0\0", "lzma"),
    (b"BZh", "bzip2"),
    (b"\x89LZO", "lzo"),
    (b"\x7fELF", "none"),
)
_LZ4_BLOCK = 8 << 20  # the legacy frame's fixed block size
_SHORTEST = 0x250


def looks_like(data: bytes) -> bool:
    """Whether these bytes start like a bzImage."""
    return len(data) >= _SHORTEST and data[0x202:0x206] == b"HdrS"


def compression(payload: bytes) -> str:
    """The name of the format that a payload starts with; empty when it is none of those the kernel's build can make."""
    return next((name for magic, name in MAGICS if payload.startswith(magic)), "")


def payload(image: bytes, where: str = "vmlinuz") -> bytes:
    """The compressed kernel inside a bzImage, with the four bytes of its size at the end where the build adds them.

    Raises:  usage.vmlinuz.malformed: not a bzImage, or cut short
    """
    if not looks_like(image):
        raise _malformed("there is no HdrS at 0x202", where)
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = ((image[0x1F1] or 4) + 1) * 512 + offset
    if length < 8 or start + length > len(image):
        raise _malformed(f"its payload of {length} bytes at {start} reaches past the end", where)
    return image[start : start + length]


def unpack(image: bytes, where: str = "vmlinuz") -> bytes:
    """The vmlinux inside a bzImage.

    Raises:  usage.vmlinuz.malformed: damaged; usage.vmlinuz.format: compressed in a way that is not known here
    """
    packed = payload(image, where)
    form = compression(packed)
    size = struct.unpack("<I", packed[-4:])[0]
    if form == "none":
        return packed
    if form not in _UNPACKERS:
        raise UsageError(
            "vmlinuz.format",
            f"this kernel is compressed as {form or packed[:6].hex()}",
            where=where,
            why="only gzip, bzip2, xz, lzma, lz4 and zstd are known",
            do="name its uncompressed vmlinux instead",
        )
    if size > LARGEST:
        raise _malformed(f"it claims to be {size} bytes when unpacked", where)
    try:
        out = _UNPACKERS[form](packed, size)
    except KernelLacks:
        raise
    except Exception as error:
        raise _malformed(f"{form}: {error}", where) from error
    if len(out) != size and form != "gzip":  # gzip's own trailer is the size, and was checked by zlib
        raise _malformed(f"{form}: {len(out)} bytes came out of it, {size} were promised", where)
    return out


def _malformed(why: str, where: str) -> UsageError:
    return UsageError("vmlinuz.malformed", "this kernel image cannot be unpacked", where=where, why=why, do="fetch the image again")


def _gzip(packed: bytes, _size: int) -> bytes:
    import zlib  # only this format needs it

    reader = zlib.decompressobj(31)
    out = reader.decompress(packed, LARGEST)
    if not reader.eof:
        raise EOFError("it is cut short")
    return out


def _bzip2(packed: bytes, size: int) -> bytes:
    import bz2  # only this format needs it

    return bz2.BZ2Decompressor().decompress(packed, size + 1)


def _xz(packed: bytes, size: int) -> bytes:
    import lzma  # only this format needs it

    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(packed, size + 1)


def _lzma(packed: bytes, size: int) -> bytes:
    import lzma  # only this format needs it

    return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(packed, size + 1)


def _zstd(packed: bytes, size: int) -> bytes:
    import zstandard  # only this format needs it

    reader = zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(packed[:-4])
    out = []
    while size > 0 and (piece := reader.read(min(size, 8 << 20))):
        out.append(piece)
        size -= len(piece)
    return b"".join(out)


def _lz4(packed: bytes, size: int) -> bytes:
    # legacy frame: magic, then u32 length and block of 8 MiB unpacked, until the u32 of the whole size that the build added
    block, out, at, done = _lz4_block(), [], 4, 0
    while done < size and at + 4 <= len(packed):
        length = struct.unpack_from("<I", packed, at)[0]
        at += 4
        out.append(block(packed[at : at + length], min(_LZ4_BLOCK, size - done)))
        done += len(out[-1])
        at += length
        if not out[-1]:
            break
    return b"".join(out)


def _lz4_block() -> Callable[[bytes, int], bytes]:
    import ctypes  # only this format needs it

    try:
        library = ctypes.CDLL("liblz4.so.1")
    except OSError:
        return lz4_block
    library.LZ4_decompress_safe.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int]

    def unpack_block(packed: bytes, most: int) -> bytes:
        room = ctypes.create_string_buffer(most)
        length = library.LZ4_decompress_safe(packed, room, len(packed), most)
        if length < 0:
            raise ValueError(f"a block is damaged near its byte {-length}")
        return room.raw[:length]

    return unpack_block


def lz4_block(packed: bytes, most: int) -> bytes:
    """One LZ4 block unpacked in plain Python: about 3 MB/s, for machines without liblz4.

    Raises:  ValueError: damaged, or longer than `most`
    Source:  lz4 doc/lz4_Block_format.md
    """
    out, i, end = bytearray(), 0, len(packed)
    try:
        while i < end:
            token = packed[i]
            i += 1
            literals, i = _length(packed, i, token >> 4)
            if i + literals > end or len(out) + literals > most:
                raise ValueError("literals reach past the end")
            out += packed[i : i + literals]
            i += literals
            if i >= end:
                break
            distance = packed[i] | packed[i + 1] << 8
            run, i = _length(packed, i + 2, token & 15)
            run += 4
            start = len(out) - distance
            if not distance or start < 0 or len(out) + run > most:
                raise ValueError("a match points outside the block")
            if distance >= run:
                out += out[start : start + run]
            else:
                pattern = bytes(out[start:])
                out += (pattern * (run // distance + 1))[:run]
    except IndexError:
        raise ValueError("the block is cut short") from None
    return bytes(out)


def _length(packed: bytes, i: int, nibble: int) -> tuple[int, int]:
    # a length of 15 goes on in bytes of 255 and a last smaller one
    if nibble == 15:
        while packed[i] == 255:
            nibble += 255
            i += 1
        nibble += packed[i]
        i += 1
    return nibble, i


_UNPACKERS = {"gzip": _gzip, "bzip2": _bzip2, "xz": _xz, "lzma": _lzma, "lz4": _lz4, "zstd": _zstd}
