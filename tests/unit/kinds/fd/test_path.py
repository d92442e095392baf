"""fd.path, on files of this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from holdfast.kinds.fd.path import KIND, Path, compare, ready
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        os.close(fd)


@pytest.mark.parametrize("sort", ["regular", "directory", "symlink", "fifo", "char"])
def test_what_is_made_again_is_what_was_dumped(fds: list[int], tmp_path: pathlib.Path, sort: str) -> None:
    name = tmp_path / "x"
    if sort == "regular":
        name.touch()
    elif sort == "directory":
        name.mkdir()
    elif sort == "symlink":
        name.symlink_to("nowhere")
    elif sort == "fifo":
        os.mkfifo(name)
    fds.append(os.open("/dev/null" if sort == "char" else name, os.O_PATH | os.O_NOFOLLOW))
    fds += native.again(KIND, fds[0])
    [rec] = native.records(KIND, fds[-1])
    assert rec.sort == sort


def test_a_removed_one_is_refused_unless_its_object_is_carried(fds: list[int], tmp_path: pathlib.Path) -> None:
    (tmp_path / "x").mkdir()
    fds.append(os.open(tmp_path / "x", os.O_PATH))
    os.rmdir(tmp_path / "x")
    evidence = native.tree(fds[0])
    evidence.files[0].inode = None
    refuse = KIND.verb("refuse")
    assert refuse is not None
    assert [v.code for v in refuse(evidence.files[0], native.answer)] == ["fd.path.path"]
    native.close(evidence)


def test_another_sort_of_file_under_its_name_refuses_a_restore(tmp_path: pathlib.Path) -> None:
    rec = Path(os.fsencode(tmp_path), ("O_PATH",), "directory")
    assert list(ready(rec, native.NativeHost())) == []
    assert [v.code for v in ready(rec.replace(sort="regular"), native.NativeHost())] == ["fd.path.missing"]
    assert [v.code for v in ready(rec.replace(path=rec.path + b"/x"), native.NativeHost())] == ["fd.path.missing"]


def test_every_field_is_compared() -> None:
    same = Path(b"/x", ("O_PATH",), "fifo")
    others = [same.replace(path=b"/y"), same.replace(flags=()), same.replace(sort="char"), same.replace(inode=ObjectId("inode:1"))]
    assert [len(list(compare(same, o, ObjectId("file:0")))) for o in [same, *others]] == [0, 1, 1, 1, 1]
