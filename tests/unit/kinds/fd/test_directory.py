"""fd.directory, on folders of this machine."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
from typing import TYPE_CHECKING

import pytest

from holdfast.kinds.fd.directory import KIND, PLACES, Directory, compare, ready
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GETDENTS64 = 217


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        os.close(fd)


def some(fd: int, room: int) -> bytes:
    """Some entries from where the descriptor is."""
    buffer = ctypes.create_string_buffer(room)
    got = ctypes.CDLL(None).syscall(GETDENTS64, fd, buffer, room)
    assert got >= 0
    return buffer.raw[:got]


def test_what_is_made_again_is_what_was_dumped(fds: list[int], tmp_path: Path) -> None:
    fds.append(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK))
    fds += native.again(KIND, fds[0])


def test_the_place_in_the_list_comes_back(fds: list[int], tmp_path: Path) -> None:
    for n in range(40):
        (tmp_path / f"a name of some length {n}").touch()
    fds.append(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY))
    some(fds[0], 400)
    with native.lend(fds[0]) as lent:
        if lent.filesystem not in PLACES:
            pytest.skip("machine cannot: the test's folder is on a filesystem whose places cannot be carried")
    fds += native.again(KIND, fds[0])
    rest = some(fds[0], 1 << 16)
    assert rest
    assert some(fds[1], 1 << 16) == rest


def test_a_folder_that_is_watched_is_refused(fds: list[int], tmp_path: Path) -> None:
    fds.append(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY))
    assert native.verdicts(KIND, fds[0]) == []
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        fcntl.fcntl(fds[0], fcntl.F_NOTIFY, fcntl.DN_CREATE | fcntl.DN_MULTISHOT)
        assert native.verdicts(KIND, fds[0]) == ["fd.directory.notify"]
    finally:
        os.close(fds.pop())
        signal.signal(signal.SIGIO, before)


def test_a_place_that_means_nothing_elsewhere_is_refused(fds: list[int]) -> None:
    fds.append(os.open("/proc/sys", os.O_RDONLY | os.O_DIRECTORY))
    assert native.verdicts(KIND, fds[0]) == []
    some(fds[0], 100)
    assert native.verdicts(KIND, fds[0]) == ["fd.directory.pos"]


def test_a_folder_of_a_process_that_is_dumped_is_refused(fds: list[int]) -> None:
    fds.append(os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY))
    assert native.verdicts(KIND, fds[0]) == ["fd.directory.process"]


def test_a_removed_folder_is_refused(fds: list[int], tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    fds.append(os.open(tmp_path / "x", os.O_RDONLY | os.O_DIRECTORY))
    os.rmdir(tmp_path / "x")
    evidence = native.tree(fds[0])
    evidence.files[0].inode = None
    refuse = KIND.verb("refuse")
    assert refuse is not None
    assert [v.code for v in refuse(evidence.files[0], native.answer)] == ["fd.directory.path"]
    native.close(evidence)


def test_a_restore_refuses_what_is_not_the_folder(tmp_path: Path) -> None:
    rec = Directory(os.fsencode(tmp_path), 5, (), tmp_path.stat().st_ino)
    assert list(ready(rec, native.NativeHost())) == []
    assert [v.code for v in ready(rec.replace(number=1), native.NativeHost())] == ["fd.directory.replaced"]
    assert list(ready(rec.replace(number=1, pos=0), native.NativeHost())) == []
    assert [v.code for v in ready(rec.replace(path=b"/no/such"), native.NativeHost())] == ["fd.directory.missing"]


def test_what_a_program_can_see_is_compared() -> None:
    same = Directory(b"/x", 0, (), 1)
    others = [same.replace(path=b"/y"), same.replace(pos=1), same.replace(flags=("O_DIRECTORY",))]
    assert [len(list(compare(same, o, ObjectId("file:0")))) for o in [same, same.replace(number=2), *others]] == [0, 0, 1, 1, 1]
