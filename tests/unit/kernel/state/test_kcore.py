"""kernel/state/kcore.py: core files made by hand. The real file is read on kernels that have one: Debian's 6.1, 6.12 and 7.3."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel.state.kcore import KcoreMemory, ranges, table_place

if TYPE_CHECKING:
    from pathlib import Path

DIRECT, TEXT = 0xFFFF888000000000, 0xFFFFFFFF81000000


def core(*loads: tuple[int, bytes], kind: int = 4, machine: int = 62) -> bytes:
    """An ELF core file: a note, then one PT_LOAD for each address and its bytes."""
    count = len(loads) + 1
    head = struct.pack("<4sBBB9x", b"\x7fELF", 2, 1, 1)
    head += struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    table, body, at = struct.pack("<IIQQQQQQ", 4, 0, 64 + 56 * count, 0, 0, 0, 0, 0), b"", 64 + 56 * count
    for address, data in loads:
        table += struct.pack("<IIQQQQQQ", 1, 7, at + len(body), address, 0, len(data), len(data), 4096)
        body += data
    return head + table + body


def test_ranges_come_by_address() -> None:
    data = core((TEXT, b"text"), (DIRECT, b"direct map"))
    place, size = table_place(data[:64])
    found = ranges(data[:64], data[place : place + size])
    assert found == [(DIRECT, 10, 64 + 56 * 3 + 4), (TEXT, 4, 64 + 56 * 3)]


def test_bytes_are_read_from_where_the_headers_say(tmp_path: Path) -> None:
    (tmp_path / "kcore").write_bytes(core((TEXT, b"text"), (DIRECT, b"direct map")))
    memory = KcoreMemory(str(tmp_path / "kcore"))
    try:
        assert memory.read(DIRECT + 7, 3) == b"map"
        assert memory.read(TEXT, 4) == b"text"
    finally:
        memory.close()


@pytest.mark.parametrize(
    ("address", "size"),
    [(DIRECT - 1, 1), (DIRECT + 8, 3), (DIRECT + 10, 1), (TEXT - 4, 8), (0, 8), ((1 << 64) - 8, 8)],
    ids=["below", "over the end", "at the end", "into a range", "null", "the last"],
)
def test_what_no_range_holds_is_a_fault(tmp_path: Path, address: int, size: int) -> None:
    (tmp_path / "kcore").write_bytes(core((TEXT, b"text"), (DIRECT, b"direct map")))
    memory = KcoreMemory(str(tmp_path / "kcore"))
    try:
        with pytest.raises(OSError) as error:
            memory.read(address, size)
        assert error.value.errno == errno.EFAULT
    finally:
        memory.close()


@pytest.mark.parametrize(
    "data",
    [b"", b"\x7fELF", core(kind=2), core(machine=183), core((DIRECT, b"x"))[:100], b"\0" * 64],
    ids=["empty", "short", "a program", "another CPU", "no table", "no magic"],
)
def test_what_is_no_core_file_of_this_cpu_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "kcore").write_bytes(data)
    with pytest.raises(OSError) as error:
        KcoreMemory(str(tmp_path / "kcore"))
    assert error.value.errno == errno.ENOEXEC


def test_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        KcoreMemory(str(tmp_path / "kcore"))
