"""mm.file. The text is Linux 6.18's; the files are this test's."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.kernel.source import Link
from holdfast.kinds.mm.file import KIND, FileArea
from holdfast.model.ids import ObjectId
from tests.unit.kinds import captured
from tests.unit.kinds.mm import smaps

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.kinds.evidence import VmaEvidence

HERE, END = smaps.BASE, smaps.BASE + smaps.SIZE
AT_FDCWD, O_CLOEXEC, O_RDWR = -100, 0o2000000, 2
PRIVATE = FileArea(HERE, END, ("read", "execute"), False, False, b"/lib/x.so", 0x1000, 4096, 77)
SHARED = FileArea(HERE, END, ("read", "write"), True, True, b"/srv/data", 0, 4096, 77)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(bytes(12345))
    os.utime(path, ns=(1, 1_600_000_000_123_456_789))
    return path


def mapping(path: Path, perms: str = "r-xp", flags: str = "rd ex mr mw me sd", *, inode: int | None = None, key: int = 0) -> VmaEvidence:
    number = path.stat().st_ino if inode is None else inode
    return smaps.area(perms, flags, str(path), offset=0x1000, device="fe:00", inode=number, key=key)


@pytest.mark.parametrize(
    ("perms", "flags", "protection", "shared", "writable", "kept"),
    [
        ("r-xp", "rd ex mr mw me sd", ("read", "execute"), False, False, ()),
        ("rw-p", "rd wr mr mw me ac rr", ("read", "write"), False, False, ("random_read",)),
        ("rw-s", "rd wr sh mr mw me ms lo", ("read", "write"), True, True, ("locked",)),
        ("r--s", "rd sh mr mw me ms", ("read",), True, True, ()),
        ("r--s", "rd mr me", ("read",), True, False, ()),
    ],
)
def test_the_text_and_the_file_give_the_record(
    data: Path, perms: str, flags: str, protection: tuple[str, ...], shared: bool, writable: bool, kept: tuple[str, ...]
) -> None:
    path = os.fsencode(data)
    expected = FileArea(HERE, END, protection, shared, writable, path, 0x1000, 12345, 1_600_000_000_123_456_789, kept)
    assert captured.dumped(KIND, mapping(data, perms, flags)) == expected


def test_a_file_without_a_name_is_an_object() -> None:
    ev = smaps.area("rw-s", "rd wr sh mr mw me ms", "/srv/data (deleted)", offset=0x2000, device="fe:00", inode=9)
    smaps.leads_to(ev)
    expected = FileArea(HERE, END, ("read", "write"), True, True, b"", 0x2000, 0, 0, (), smaps.INODE)
    assert captured.dumped(KIND, ev) == expected


def test_a_mapping_is_called_by_its_path(data: Path) -> None:
    assert smaps.claimed(KIND, mapping(data)) == str(data)


@pytest.mark.parametrize("name", ["/dev/zero (deleted)", "/SYSV0000002a (deleted)", "/[aio] (deleted)", "/anon_hugepage (deleted)"])
def test_the_kernels_own_files_are_not_claimed(name: str) -> None:
    ev = smaps.area("rw-s", "rd wr sh", name, device="00:01", inode=9)
    smaps.leads_to(ev)
    assert smaps.claimed(KIND, ev) is None


@pytest.mark.parametrize(
    ("name", "device"), [("", "00:00"), ("[heap]", "00:00"), ("anon_inode:[perf_event]", "00:0f"), ("socket:[3]", "00:08")]
)
def test_what_has_no_path_is_not_claimed(name: str, device: str) -> None:
    assert smaps.claimed(KIND, smaps.area(name=name, device=device)) is None


def test_a_path_that_leads_to_another_file_is_refused(data: Path) -> None:
    assert captured.verdicts(KIND, mapping(data, inode=data.stat().st_ino + 1)) == ["mm.file.path"]


def test_a_path_that_leads_nowhere_is_refused(data: Path) -> None:
    ev = mapping(data)
    data.unlink()
    assert captured.verdicts(KIND, ev) == ["mm.file.path"]


def test_a_path_of_another_mount_namespace_is_looked_up_there(data: Path) -> None:
    # no process has this pid, so nothing is there to be found
    away = captured.process({"ns/mnt": Link(b"mnt:[4026539999]")})
    away.pid = type(away.pid)(1 << 30)
    st = data.stat()
    ev = smaps.area("r--p", "rd", str(data), device="fe:00", inode=st.st_ino, process=away)
    assert captured.verdicts(KIND, ev) == ["mm.file.path"]


@pytest.mark.parametrize(
    ("flags", "key", "code"), [("rd io", 0, "mm.flag"), ("rd ??", 0, "mm.unknown_flag"), ("rd", 1, "mm.protection_key")]
)
def test_what_cannot_be_carried_is_refused(data: Path, flags: str, key: int, code: str) -> None:
    assert captured.verdicts(KIND, mapping(data, flags=flags, key=key)) == [code]


def test_a_restore_needs_the_file_as_it_was() -> None:
    def disk(size: int, modified: int) -> captured.Disk:
        return captured.Disk({b"/lib/x.so": SimpleNamespace(st_size=size, st_mtime_ns=modified)})

    assert captured.unready(KIND, PRIVATE, disk(4096, 77)) == []
    assert captured.unready(KIND, PRIVATE, disk(4097, 77)) == ["mm.file.changed"]
    assert captured.unready(KIND, PRIVATE, disk(4096, 78)) == ["mm.file.changed"]
    assert captured.unready(KIND, PRIVATE, captured.Disk({})) == ["mm.file.missing"]
    assert captured.unready(KIND, smaps.changed(PRIVATE, inode=smaps.INODE, path=b""), captured.Disk({})) == []


def test_a_private_mapping_opens_the_file_for_reading() -> None:
    [part] = smaps.parts(KIND, PRIVATE)
    assert (part.needs, part.gives) == ({"clear", "paths", "caps"}, {"mapped"})
    assert part.calls == [
        ("openat", AT_FDCWD, b"/lib/x.so\0", O_CLOEXEC, 0),
        ("mmap", HERE, 0x3000, 5, 0x100002, "<openat>", 0x1000),
        ("close", "<openat>"),
    ]
    assert part.checks[1] == HERE


def test_changed_pages_of_a_private_mapping_are_filled_in_before_its_protection_is_final() -> None:
    calls = smaps.calls(KIND, smaps.changed(PRIVATE, flags=("accounted",)), pages=True)
    assert calls[1][3] == 7
    assert calls[3:] == [("mprotect", HERE, 0x3000, 5)]


def test_a_mapping_that_only_a_debugger_has_written_is_never_writable() -> None:
    assert [call[3] for call in smaps.calls(KIND, PRIVATE, pages=True) if call[0] == "mmap"] == [5]
    assert [call[0] for call in smaps.calls(KIND, PRIVATE, pages=True)] == ["openat", "mmap", "close"]


@pytest.mark.parametrize(("writable", "mode"), [(True, O_RDWR), (False, 0)])
def test_a_shared_mapping_opens_the_file_as_it_was_open(writable: bool, mode: int) -> None:
    rec = smaps.changed(SHARED, writable=writable, protection=("read",))
    opening, mapped, _ = smaps.calls(KIND, rec)
    assert opening == ("openat", AT_FDCWD, b"/srv/data\0", mode | O_CLOEXEC, 0)
    assert mapped[3:5] == (1, 0x100001)


def test_a_file_without_a_name_is_opened_through_its_descriptor() -> None:
    [part] = smaps.parts(KIND, smaps.changed(SHARED, path=b"", inode=smaps.INODE))
    assert part.needs == {"clear", "paths", "caps", "inode:0"}
    assert part.calls[0] == ("openat", AT_FDCWD, b"/proc/self/fd/100\0", O_RDWR | O_CLOEXEC, 0)


def test_no_reserve_and_advice_come_back() -> None:
    calls = smaps.calls(KIND, smaps.changed(PRIVATE, flags=("no_reserve", "sequential_read")))
    assert calls[1][4] == 0x104002
    assert calls[3:] == [("madvise", HERE, 0x3000, 2)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start", HERE - 4096),
        ("end", END + 4096),
        ("protection", ()),
        ("shared", True),
        ("writable", True),
        ("path", b"/lib/y.so"),
        ("offset", 0),
        ("flags", ("locked",)),
        ("inode", ObjectId("inode:9")),
        ("name", b"n"),
    ],
)
def test_compare_sees_every_field_of_the_mapping(field: str, value: Any) -> None:
    assert captured.differences(KIND, PRIVATE, smaps.changed(PRIVATE, **{field: value})) == [field]
    assert captured.differences(KIND, PRIVATE, smaps.changed(PRIVATE, size=1, modified_ns=1)) == []
