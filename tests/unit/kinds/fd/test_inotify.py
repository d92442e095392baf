"""fd.inotify, on instances of this process."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.kinds.fd.inotify import EVENTS, KIND, Inotify, Watch, compare, ready
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        os.close(fd)


def instance(fds: list[int], flags: int = os.O_NONBLOCK) -> int:
    fds.append(_libc.inotify_init1(flags))
    return fds[-1]


def watch(fd: int, path: Path, *events: str) -> int:
    got: int = _libc.inotify_add_watch(fd, os.fsencode(path), sum(EVENTS[e] for e in events))
    assert got > 0
    return got


@pytest.mark.root
def test_watches_come_back_with_their_numbers(fds: list[int], tmp_path: Path) -> None:
    fd = instance(fds, 0)
    (tmp_path / "file").touch()
    numbers = [watch(fd, tmp_path, "IN_CREATE", "IN_MOVED_TO")]
    for _ in range(3):
        _libc.inotify_rm_watch(fd, watch(fd, tmp_path / "file", "IN_OPEN"))
    numbers.append(watch(fd, tmp_path / "file", "IN_MODIFY", "IN_ONESHOT", "IN_EXCL_UNLINK"))
    os.set_blocking(fd, False)
    os.read(fd, 1000)  # the watches that went
    os.set_blocking(fd, True)
    [made] = native.again(KIND, fd)
    fds.append(made)
    [rec] = native.records(KIND, made)
    assert [w.number for w in rec.watches] == numbers == [1, 5]
    assert [w.path for w in rec.watches] == [os.fsencode(tmp_path), os.fsencode(tmp_path / "file")]
    (tmp_path / "new").touch()
    assert os.read(made, 1000)[:8] == (1).to_bytes(4, "little") + EVENTS["IN_CREATE"].to_bytes(4, "little")


def test_an_empty_instance_comes_back(fds: list[int]) -> None:
    fds += native.again(KIND, instance(fds))


@pytest.mark.root
def test_events_that_wait_are_refused(fds: list[int], tmp_path: Path) -> None:
    fd = instance(fds)
    watch(fd, tmp_path, "IN_CREATE")
    assert native.verdicts(KIND, fd) == []
    (tmp_path / "new").touch()
    assert native.verdicts(KIND, fd) == ["fd.inotify.pending"]


@pytest.mark.root
def test_a_file_without_a_path_is_refused(fds: list[int], tmp_path: Path) -> None:
    fd = instance(fds)
    (tmp_path / "file").touch()
    keep = os.open(tmp_path / "file", os.O_RDONLY)
    fds.append(keep)
    watch(fd, tmp_path / "file", "IN_OPEN")
    os.unlink(tmp_path / "file")
    assert native.verdicts(KIND, fd) == ["fd.inotify.path"]


def test_a_restore_refuses_a_path_that_is_not_there(tmp_path: Path) -> None:
    rec = Inotify((Watch(1, os.fsencode(tmp_path), ()),))
    assert list(ready(rec, native.NativeHost())) == []
    rec = Inotify((Watch(1, os.fsencode(tmp_path / "x"), ()),))
    assert [v.code for v in ready(rec, native.NativeHost())] == ["fd.inotify.missing"]


@pytest.mark.parametrize("change", [{"watches": ()}, {"watches": (Watch(2, b"/x", ()),)}, {"flags": ("O_RDWR",)}])
def test_every_field_is_compared(change: dict[str, Any]) -> None:
    same = Inotify((Watch(1, b"/x", ()),))
    where = ObjectId("file:0")
    assert (list(compare(same, same, where)), len(list(compare(same, same.replace(**change), where)))) == ([], 1)
