"""fd.regular, on files of this process."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from holdfast.kinds.fd.regular import KIND, Regular, compare, ready
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ID = ObjectId("file:0")
F_SET_RW_HINT = 1036


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        os.close(fd)


@pytest.fixture
def path(tmp_path: Path) -> str:
    name = str(tmp_path / "a file\n")
    with open(name, "wb") as f:
        f.write(b"0123456789")
    return name


@pytest.mark.parametrize(
    "flags",
    [
        os.O_RDONLY,
        os.O_WRONLY | os.O_APPEND,
        os.O_RDWR | os.O_NONBLOCK,
        os.O_RDWR | os.O_SYNC,
        os.O_WRONLY | os.O_DSYNC,
        os.O_RDONLY | os.O_NOATIME | os.O_NOFOLLOW,
        os.O_ACCMODE,
    ],
)
def test_what_is_made_again_is_what_was_dumped(fds: list[int], path: str, flags: int) -> None:
    fd = os.open(path, flags)
    fds.append(fd)
    if flags != os.O_ACCMODE:
        os.lseek(fd, 7, os.SEEK_SET)
    fds += native.again(KIND, fd)


def test_the_lifetime_of_what_is_written_comes_back(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDWR))
    [plain] = native.records(KIND, fds[0])
    assert plain.lifetime == ""
    fcntl.fcntl(fds[0], F_SET_RW_HINT, (2).to_bytes(8, "little"))
    [hinted] = native.records(KIND, fds[0])
    assert hinted == plain.replace(lifetime="short")
    fcntl.fcntl(fds[0], F_SET_RW_HINT, bytes(8))
    fds += native.restored(KIND, [hinted])
    assert native.records(KIND, fds[-1]) == [hinted]


def test_direct_access_comes_back(fds: list[int], path: str) -> None:
    try:
        fds.append(os.open(path, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        pytest.skip("machine cannot: the test's folder is on a filesystem without O_DIRECT")
    fds += native.again(KIND, fds[0])


def test_a_place_beyond_the_end_comes_back(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDWR))
    os.lseek(fds[0], 1 << 40, os.SEEK_SET)
    fds += native.again(KIND, fds[0])


def test_nothing_is_created_or_cut(fds: list[int], tmp_path: Path) -> None:
    name = tmp_path / "x"
    fds.append(os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_TRUNC))
    os.write(fds[0], b"kept")
    fds += native.again(KIND, fds[0])
    assert name.read_bytes() == b"kept"


def test_a_new_name_is_followed(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDONLY))
    os.rename(path, path + "2")
    fds += native.again(KIND, fds[0])


def test_a_link_put_in_the_way_is_not_followed(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDONLY))
    recs = native.records(KIND, fds[0])
    os.rename(path, path + "2")
    os.symlink(path + "2", path)
    with pytest.raises(AssertionError, match="symbolic links"):
        native.restored(KIND, recs)


def test_a_file_covered_by_another_is_refused(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDONLY))
    os.link(path, path + "2")
    os.unlink(path)
    assert native.verdicts(KIND, fds[0]) == ["fd.regular.path"]


def test_a_name_that_ends_like_a_removed_one_is_a_name(fds: list[int], tmp_path: Path) -> None:
    name = tmp_path / "x (deleted)"
    name.write_bytes(b"1")
    fds.append(os.open(name, os.O_RDONLY))
    fds += native.again(KIND, fds[0])


def test_a_file_of_proc_is_not_claimed(fds: list[int]) -> None:
    fds.append(os.open("/proc/self/status", os.O_RDONLY))
    detect = KIND.verb("detect")
    assert detect is not None
    evidence = native.tree(fds[0])
    assert detect(evidence.files[0]) is None
    native.close(evidence)


def test_a_nameless_file_is_opened_through_its_object(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDONLY))
    os.lseek(fds[0], 3, os.SEEK_SET)
    made = os.open(path, os.O_RDWR)
    fds.append(made)
    os.unlink(path)
    [rec] = native.records(KIND, fds[0])
    assert (rec.path, rec.inode, rec.pos) == (b"", ObjectId("inode:0"), 3)
    fds += native.restored(KIND, [rec], before={ObjectId("inode:0"): made})
    assert os.read(fds[-1], 100) == b"3456789"


# --- what a restore refuses


def changed(path: str, flags: int, size: int = 10) -> list[str]:
    st = os.stat(path)
    fd = os.open(path, flags)
    [rec] = native.records(KIND, fd)
    os.close(fd)
    os.truncate(path, size)
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns + 1_000_000_000))
    return [v.code for v in ready(rec, native.NativeHost())]


@pytest.mark.parametrize(
    ("flags", "size", "codes"),
    [
        (os.O_RDWR, 10, ["fd.regular.changed"]),
        (os.O_RDWR | os.O_APPEND, 11, ["fd.regular.changed"]),
        (os.O_WRONLY, 11, []),
        (os.O_RDONLY, 11, []),
        (os.O_WRONLY, 9, ["fd.regular.shorter"]),
        (os.O_RDONLY, 9, ["fd.regular.shorter"]),
        (os.O_WRONLY | os.O_APPEND, 0, []),
    ],
)
def test_a_file_that_changed_is_judged_by_how_it_was_open(path: str, flags: int, size: int, codes: list[str]) -> None:
    assert changed(path, flags, size) == codes


def rec_of(path: str) -> Regular:
    fd = os.open(path, os.O_RDWR)
    try:
        [rec] = native.records(KIND, fd)
    finally:
        os.close(fd)
    assert isinstance(rec, Regular)
    return rec


def test_an_unchanged_file_is_welcome(path: str) -> None:
    assert list(ready(rec_of(path), native.NativeHost())) == []


def test_a_missing_file_is_refused(path: str) -> None:
    rec = rec_of(path)
    os.unlink(path)
    assert [v.code for v in ready(rec, native.NativeHost())] == ["fd.regular.missing"]


def test_another_file_under_its_name_is_refused_but_a_copy_is_not(path: str) -> None:
    rec = rec_of(path)
    st = os.stat(path)
    os.rename(path, path + "2")
    with open(path, "wb") as f:
        f.write(b"9876543210")
    assert [v.code for v in ready(rec, native.NativeHost())] == ["fd.regular.replaced"]
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
    assert list(ready(rec, native.NativeHost())) == []


def test_what_a_program_can_see_is_compared() -> None:
    same = Regular(b"/x", 1, (), 5, 6, 7)
    others = [same.replace(path=b"/y"), same.replace(pos=2), same.replace(flags=("O_RDWR",)), same.replace(inode=ObjectId("inode:1"))]
    assert list(compare(same, same.replace(size=1, modified_ns=1, number=1), ID)) == []
    assert [len(list(compare(same, other, ID))) for other in others] == [1, 1, 1, 1]
