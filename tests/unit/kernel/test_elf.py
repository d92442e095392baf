"""kernel/elf.py: a file made by hand, and every way to cut it short."""

from __future__ import annotations

import struct

import pytest

from holdfast.errors import UsageError
from holdfast.kernel import elf


def make(sections: dict[str, bytes]) -> bytes:
    names, offsets = b"\0", {}
    for name in [*sections, ".shstrtab"]:
        offsets[name] = len(names)
        names += name.encode() + b"\0"
    body, rows = b"", [struct.pack("<IIQQQQIIQQ", *[0] * 10)]
    for name, data in {**sections, ".shstrtab": names}.items():
        rows.append(struct.pack("<IIQQQQIIQQ", offsets[name], 1, 0, 0, 64 + len(body), len(data), 0, 0, 1, 0))
        body += data
    head = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(rows), len(rows) - 1)
    )
    return head + body + b"".join(rows)


def test_sections_are_found_by_name() -> None:
    data = make({".text": b"abc", ".BTF": b"types"})
    assert elf.section(data, ".BTF") == b"types"
    assert elf.section(data, ".absent") == b""
    assert sorted(elf.sections(data)) == [".BTF", ".shstrtab", ".text"]


def test_every_cut_is_an_error_of_the_caller() -> None:
    data = make({".text": b"abc", ".BTF": b"types"})
    for length in range(len(data)):
        with pytest.raises(UsageError, match=r"elf\.malformed"):
            elf.sections(data[:length])


def test_a_section_past_the_end_is_named() -> None:
    data = bytearray(make({".BTF": b"types"}))
    at = data.index(b"types") + 5 + len(b"\0.BTF\0.shstrtab\0") + 64 + 32
    struct.pack_into("<Q", data, at, 1 << 40)
    with pytest.raises(UsageError, match=r"\.BTF"):
        elf.sections(bytes(data))
