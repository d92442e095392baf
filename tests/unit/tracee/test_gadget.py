"""Where single calls are made from."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import Refused
from holdfast.tracee import gadget

if TYPE_CHECKING:
    from pathlib import Path


def own_areas() -> list[tuple[int, int, int, str]]:
    out = []
    with open("/proc/self/maps") as f:
        for line in f:
            words = line.split(maxsplit=5)
            if "x" in words[1]:
                start, end = (int(x, 16) for x in words[0].split("-"))
                out.append((start, end, int(words[2], 16), words[5].strip() if len(words) > 5 else ""))
    return out


def test_a_libc_has_a_call_and_a_place_to_spin_at() -> None:
    found = gadget.find(os.getpid(), own_areas())
    assert ctypes.string_at(found.syscall, 3) == gadget.SYSCALL_RET
    assert ctypes.string_at(found.spin, 2) == gadget.SPIN


def test_without_a_libc_the_vdso_will_do() -> None:
    found = gadget.find(os.getpid(), [a for a in own_areas() if a[3] == "[vdso]"])
    assert found.spin == 0
    assert ctypes.string_at(found.syscall, 2) == gadget.SYSCALL


@pytest.mark.parametrize("at", [0, gadget.PIECE - 2, gadget.PIECE - 1, gadget.PIECE, 2 * gadget.PIECE - 1])
def test_what_lies_across_two_pieces_of_a_file_is_found(tmp_path: Path, at: int) -> None:
    code = bytearray(3 * gadget.PIECE)
    code[at : at + 3] = gadget.SYSCALL_RET
    code[at + 100 : at + 102] = gadget.SPIN
    file = tmp_path / "libc"
    file.write_bytes(b"x" * 4096 + code)
    assert gadget._file_pair(str(file), 4096, len(code)) == (at, at + 100)
    assert gadget._file_pair(str(file), 4096, at + 2) == (-1, -1)


def test_any_code_with_a_syscall_will_do() -> None:
    with mmap.mmap(-1, 4096) as area:
        address = ctypes.addressof(ctypes.c_char.from_buffer(area))
        area[4094:4096] = gadget.SYSCALL
        assert gadget.find(os.getpid(), [(address, address + 4096, 0, "")]) == gadget.Gadget(address + 4094)


def test_a_process_without_any_is_refused() -> None:
    with mmap.mmap(-1, 4096) as area:
        address = ctypes.addressof(ctypes.c_char.from_buffer(area))
        with pytest.raises(Refused) as e:
            gadget.find(os.getpid(), [(address, address + 4096, 0, "")])
        assert e.value.code == "refused.mm.no_syscall"
