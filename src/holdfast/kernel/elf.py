"""The sections of an ELF file, by name: all that is needed to find a kernel's BTF.

pyelftools reads the whole format and costs 60 ms of import; a kernel needs its section table only.

Source:  elf(5)
"""

from __future__ import annotations

import struct

from holdfast.errors import UsageError


def sections(data: bytes, where: str = "ELF") -> dict[str, tuple[int, int]]:
    """Section name to its offset and size in the file; sections without bytes in the file are left out.

    Raises:  usage.elf.malformed: not a 64-bit little-endian ELF file, or cut short
    """
    if data[:6] != b"\x7fELF\x02\x01" or len(data) < 64:
        raise _malformed("the file does not start like a 64-bit little-endian ELF file", where)
    table, entry, count, names = struct.unpack_from("<Q10xHHH", data, 40)
    if entry != 64 or not count or names >= count or table + entry * count > len(data):
        raise _malformed("its section table is missing or reaches past the end", where)
    rows = [struct.unpack_from("<IIQQQQ", data, table + entry * i) for i in range(count)]
    text_at, text_len = rows[names][4], rows[names][5]
    text = data[text_at : text_at + text_len]
    out: dict[str, tuple[int, int]] = {}
    for name, kind, _, _, offset, size in rows:
        end = text.find(b"\0", name)
        if kind in (0, 8) or end < 0:  # SHT_NULL, SHT_NOBITS
            continue
        if offset + size > len(data):
            raise _malformed(f"section {text[name:end]!r} reaches past the end", where)
        out[text[name:end].decode("ascii", "replace")] = (offset, size)
    return out


def section(data: bytes, name: str, where: str = "ELF") -> bytes:
    """The bytes of one section; empty when the file has none of that name.

    Raises:  usage.elf.malformed: not a 64-bit little-endian ELF file, or cut short
    """
    offset, size = sections(data, where).get(name, (0, 0))
    return data[offset : offset + size]


def _malformed(why: str, where: str) -> UsageError:
    return UsageError("elf.malformed", "this is not a usable ELF file", where=where, why=why, do="name an uncompressed vmlinux or a module")
