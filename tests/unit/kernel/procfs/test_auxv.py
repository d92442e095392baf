"""/proc/PID/auxv."""

from __future__ import annotations

from struct import pack

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs.auxv import parse_auxv
from holdfast.kernel.uapi import constants


@pytest.mark.parametrize(
    ("data", "entries"),
    [
        (pack("<6Q", 33, 0x7FFF00001000, 51, 3632, 0, 0), [(33, 0x7FFF00001000), (51, 3632)]),
        (pack("<8Q", 6, 4096, 0, 0, 0, 0, 0, 0), [(6, 4096)]),
        (b"", []),
    ],
)
def test_entries(data: bytes, entries: list[tuple[int, int]]) -> None:
    assert parse_auxv(data) == entries


@pytest.mark.parametrize("data", [b"x", pack("<3Q", 6, 4096, 0), pack("<2Q", 6, 4096)])
def test_an_unknown_form_is_an_error(data: bytes) -> None:
    with pytest.raises(KernelLacks):
        parse_auxv(data)


def test_this_process_has_a_vdso() -> None:
    with open("/proc/self/auxv", "rb") as file:
        entries = dict(parse_auxv(file.read()))
    assert entries[constants.AT_PAGESZ] == 4096
    assert entries[constants.AT_SYSINFO_EHDR] % 4096 == 0
