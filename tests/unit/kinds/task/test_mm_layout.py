"""task.mm_layout. Text captured on Linux 6.18."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import pytest

from holdfast.kernel.source import Link
from holdfast.kinds.task.mm_layout import KIND, MmLayout
from holdfast.model.ids import RemoteAddr
from tests.unit.kinds import captured

FILES: dict[str, bytes | OSError] = {"exe": Link(b"/usr/bin/subject"), "auxv": struct.pack("<4Q", 6, 4096, 0, 0)}
RECORD = MmLayout(
    b"/usr/bin/subject",
    RemoteAddr(4321280),
    RemoteAddr(7148169),
    RemoteAddr(9723336),
    RemoteAddr(11027064),
    RemoteAddr(378019840),
    RemoteAddr(0x16A00000),
    RemoteAddr(140729000000000),
    RemoteAddr(140729000001000),
    RemoteAddr(140729000001100),
    RemoteAddr(140729000001100),
    RemoteAddr(140729000002000),
    struct.pack("<4Q", 6, 4096, 0, 0),
)


def test_the_kernels_text_gives_the_record() -> None:
    assert captured.dumped(KIND, captured.process(FILES), {("brk",): 0x16A00000}) == RECORD


@pytest.mark.parametrize("path", [b"/usr/bin/subject (deleted)", b"/memfd:x (deleted)", b"(unreachable)/x"])
def test_an_executable_without_a_name_is_refused(path: bytes) -> None:
    assert captured.verdicts(KIND, captured.process({**FILES, "exe": Link(path)})) == ["task.exe"]


def test_what_cannot_be_read_is_unchecked() -> None:
    assert captured.verdicts(KIND, captured.process({**FILES, "exe": PermissionError(13, "")})) == ["Unchecked"]


def test_a_machine_without_the_executable_is_refused() -> None:
    assert captured.unready(KIND, RECORD, captured.Disk({})) == ["task.exe_gone"]
    assert captured.unready(KIND, RECORD, captured.Disk({RECORD.exe: SimpleNamespace(st_mode=0o40755)})) == ["task.exe_gone"]
    assert captured.unready(KIND, RECORD, captured.Disk({RECORD.exe: SimpleNamespace(st_mode=0o100755)})) == []


def test_the_structure_is_struct_prctl_mm_map() -> None:
    first, second = captured.written(KIND, RECORD)
    assert first.calls == [("openat", -100, b"/usr/bin/subject\0", 0o2000000, 0), ("opened", "<openat>", "exe:412")]
    assert ({"mapped", "clear"} <= second.needs, second.gives) == (True, {"sealed"})
    [(name, option, sub, (layout, auxv, tail), size, zero)] = second.calls
    assert (name, option, sub, size, zero) == ("prctl", 35, 14, 104, 0)
    assert struct.unpack("<11Q", layout) == tuple(v for n, v in RECORD.items() if n not in ("exe", "auxv"))
    assert (auxv, struct.unpack("<II", tail)) == (RECORD.auxv, (32, 100))
    assert len(layout) + 8 + len(tail) == size
