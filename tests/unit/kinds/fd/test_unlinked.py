"""fd.unlinked, on files of this process that have lost their names; their contents are the engine's."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.kinds.contract import Entry
from holdfast.kinds.fd import regular
from holdfast.kinds.fd.unlinked import KIND, Unlinked, compare, ready
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ID = ObjectId("inode:0")


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        os.close(fd)


def record(*fds: int) -> Unlinked:
    evidence = native.tree(*fds)
    try:
        detect = KIND.verb("detect")
        assert detect is not None
        assert detect(evidence.inodes[0]) is not None
        got: Unlinked = native.record(KIND, evidence.inodes[0])
        return got
    finally:
        native.close(evidence)


def verdicts(fd: int) -> list[str]:
    evidence = native.tree(fd)
    refuse = KIND.verb("refuse")
    assert refuse is not None
    try:
        return [getattr(v, "code", str(v)) for v in refuse(evidence.inodes[0], native.answer)]
    finally:
        native.close(evidence)


def restored(rec: Unlinked) -> native.NativeSteps:
    steps = native.NativeSteps([Entry(ID, rec)])
    restore = KIND.verb("restore")
    assert restore is not None
    restore(rec, steps)
    return steps


@pytest.fixture
def path(tmp_path: Path) -> str:
    name = str(tmp_path / "gone")
    with open(name, "wb") as f:
        f.write(b"0123456789")
    os.chmod(name, 0o640)
    try:
        os.setxattr(name, b"user.note", b"kept")
    except OSError:
        pytest.skip("machine cannot: the test's folder is on a filesystem without user attributes")
    os.utime(name, ns=(1_000_000_001, 2_000_000_002))
    return name


def test_a_removed_file_comes_back_without_a_name(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDWR))
    os.unlink(path)
    rec = record(fds[0])
    assert (rec.size, rec.mode, rec.modified_ns, rec.accessed_ns) == (10, 0o640, 2_000_000_002, 1_000_000_001)
    fds.append(restored(rec).files[ID])
    assert record(fds[1]) == rec
    assert os.readlink(f"/proc/self/fd/{fds[1]}") == path + " (deleted)"
    assert os.listdir(os.path.dirname(path)) == []


@pytest.mark.parametrize("bits", [0x80, 0x40, 0xC8])  # FS_NOATIME_FL, FS_NODUMP_FL, all that are carried
def test_attributes_that_do_not_forbid_it_come_back(fds: list[int], path: str, bits: int) -> None:
    fds.append(os.open(path, os.O_RDWR))
    plain = attributes(fds[0])
    try:
        fcntl.ioctl(fds[0], 0x40086602, (plain | bits).to_bytes(8, "little"))
    except OSError:
        pytest.skip("machine cannot: the test's folder is on a filesystem without these attributes")
    os.unlink(path)
    assert verdicts(fds[0]) == []
    rec = record(fds[0])
    fds.append(restored(rec).files[ID])
    assert attributes(fds[1]) == attributes(fds[0]) == plain | bits
    assert record(fds[1]) == rec


def attributes(fd: int) -> int:
    return int.from_bytes(fcntl.ioctl(fd, 0x80086601, bytes(8)), "little")


def test_its_name_is_told_to_be_removed_where_the_restore_fails(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDWR))
    os.unlink(path)
    steps = restored(record(fds[0]))
    fds.append(steps.files[ID])
    assert [part.names for part in steps.parts] == [[os.fsencode(path)], []]
    assert steps.parts[-1].ends == {ID}


def test_a_name_that_is_taken_is_not_touched(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDWR))
    os.unlink(path)
    with open(path, "wb") as f:
        f.write(b"new")
    beside = os.path.join(os.path.dirname(path), f".holdfast-{os.fstat(fds[0]).st_ino}")
    [loss] = verdicts(fds[0])
    assert f"will be shown as {beside} (deleted)" in loss
    rec = record(fds[0])
    fds.append(restored(rec).files[ID])
    with open(path, "rb") as f:
        assert f.read() == b"new"
    assert list(compare(rec, record(fds[1]), ID)) == []


def test_a_file_that_never_had_a_name_can_still_be_given_one(fds: list[int], tmp_path: Path) -> None:
    try:
        fds.append(os.open(tmp_path, os.O_TMPFILE | os.O_WRONLY, 0o600))
    except OSError:
        pytest.skip("machine cannot: the test's folder is on a filesystem without O_TMPFILE")
    os.write(fds[0], b"12345")
    [loss] = verdicts(fds[0])
    assert "can be given a name by linkat, even if O_EXCL forbade that" in loss
    rec = record(fds[0])
    [file] = native.records(regular.KIND, fds[0])
    made = restored(rec).files[ID]
    fds.append(made)
    fds += native.restored(regular.KIND, [file], before={ID: made})
    again = native.records(regular.KIND, fds[-1])[0]
    assert (again.flags, again.pos) == (file.flags, 5)
    folder = os.open("/proc/self/fd", os.O_PATH)
    os.link(str(fds[-1]), tmp_path / "named", src_dir_fd=folder, follow_symlinks=True)  # linkat with AT_SYMLINK_FOLLOW
    os.close(folder)
    assert os.stat(tmp_path / "named").st_size == 5


def test_two_descriptors_of_one_file_are_one_file(fds: list[int], path: str) -> None:
    fds += [os.open(path, os.O_RDWR), os.open(path, os.O_RDONLY)]
    os.unlink(path)
    files = native.records(regular.KIND, *fds)
    made = restored(record(*fds)).files[ID]
    new = native.restored(regular.KIND, [files[0]], before={ID: made}) + native.restored(regular.KIND, [files[1]], before={ID: made})
    fds += [made, *new]
    os.pwrite(new[0], b"seen", 0)
    assert os.pread(new[1], 4, 0) == b"seen"


def test_a_folder_that_is_gone_too_is_refused(fds: list[int], tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    fds.append(os.open(tmp_path / "d" / "x", os.O_RDWR | os.O_CREAT))
    os.unlink(tmp_path / "d" / "x")
    os.rmdir(tmp_path / "d")
    assert verdicts(fds[0]) == ["fd.unlinked.folder"]


def test_only_regular_files_are_claimed(fds: list[int], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    fds += [os.open(tmp_path / "x", os.O_RDWR), os.memfd_create("y")]
    os.unlink(tmp_path / "x")
    evidence = native.tree(*fds)
    detect = KIND.verb("detect")
    assert detect is not None
    assert [detect(inode) for inode in evidence.inodes] == [None, None]
    native.close(evidence)


def test_a_restore_refuses_a_name_that_was_taken_since(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDWR))
    os.unlink(path)
    rec = record(fds[0])
    assert list(ready(rec, native.NativeHost())) == []
    with open(path, "wb"):
        pass
    assert [v.code for v in ready(rec, native.NativeHost())] == ["fd.unlinked.taken"]
    with pytest.raises(AssertionError, match="File exists"):
        restored(rec)
    assert [v.code for v in ready(rec.replace(path=b"/no/such/x"), native.NativeHost())] == ["fd.unlinked.no_folder"]


@pytest.mark.parametrize(
    "change",
    [
        {"size": 1},
        {"mode": 1},
        {"uid": 1},
        {"gid": 1},
        {"modified_ns": 1},
        {"attributes": ((b"user.a", b"x"),)},
        {"created": ("O_TMPFILE",)},
    ],
)
def test_every_field_but_the_place_is_compared(change: dict[str, Any]) -> None:
    same = Unlinked(b"/x", 0, 0, 0, 0, 0, 0)
    assert list(compare(same, same.replace(path=b"/y", accessed_ns=3), ID)) == []
    assert len(list(compare(same, same.replace(**change), ID))) == 1
