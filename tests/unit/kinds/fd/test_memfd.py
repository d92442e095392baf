"""fd.memfd, on memfds of this process; their contents are the engine's."""

from __future__ import annotations

import ctypes
import fcntl
import os
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.kinds.contract import Entry
from holdfast.kinds.fd import regular
from holdfast.kinds.fd.memfd import KIND, Memfd, compare
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = ObjectId("inode:0")


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        os.close(fd)


def record(fd: int) -> Memfd:
    evidence = native.tree(fd)
    refuse, detect = KIND.verb("refuse"), KIND.verb("detect")
    assert refuse is not None
    assert detect is not None
    try:
        assert detect(evidence.inodes[0]) is not None
        assert list(refuse(evidence.inodes[0], native.answer)) == []
        got: Memfd = native.record(KIND, evidence.inodes[0])
        return got
    finally:
        native.close(evidence)


def restored(rec: Memfd) -> int:
    steps = native.NativeSteps([Entry(ID, rec)])
    restore = KIND.verb("restore")
    assert restore is not None
    restore(rec, steps)
    assert steps.parts[-1].ends == {ID}
    return steps.files[ID]


@pytest.mark.parametrize(
    "seals",
    [
        None,
        0,
        fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK,
        fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL,
        0x10,  # F_SEAL_FUTURE_WRITE
    ],
)
def test_what_is_made_again_is_what_was_dumped(fds: list[int], seals: int | None) -> None:
    fds.append(os.memfd_create("a name (deleted)", 0 if seals is None else os.MFD_ALLOW_SEALING))
    os.truncate(fds[0], 12345)
    os.fchmod(fds[0], 0o600)
    if seals:
        fcntl.fcntl(fds[0], fcntl.F_ADD_SEALS, seals)
    rec = record(fds[0])
    fds.append(restored(rec))
    assert record(fds[1]) == rec
    assert (rec.name, rec.size, rec.mode) == (b"a name (deleted)", 12345, 0o600)
    assert os.readlink(f"/proc/self/fd/{fds[1]}") == "/memfd:a name (deleted) (deleted)"


@pytest.mark.parametrize(("size", "reserved"), [(16 * 4096, 16 * 4096), (10, 16 * 4096), (0, 8192)])
def test_memory_reserved_for_all_of_it_is_reserved_again(fds: list[int], size: int, reserved: int) -> None:
    fds.append(os.memfd_create("x"))
    os.pwrite(fds[0], b"data"[:size], 0)
    os.truncate(fds[0], size)
    ctypes.CDLL(None).fallocate(fds[0], 1, ctypes.c_long(0), ctypes.c_long(reserved))
    rec = record(fds[0])
    assert rec.reserved == reserved
    fds.append(restored(rec))
    assert os.fstat(fds[1]).st_blocks == os.fstat(fds[0]).st_blocks


@pytest.mark.parametrize("written", [0, 4096, 3 * 4096])
def test_memory_that_is_reserved_for_data_alone_is_not_recorded(fds: list[int], written: int) -> None:
    fds.append(os.memfd_create("x"))
    os.truncate(fds[0], 3 * 4096)
    os.pwrite(fds[0], bytes(written), 0)
    assert record(fds[0]).reserved == 0


def test_extended_attributes_and_both_times_come_back(fds: list[int]) -> None:
    fds.append(os.memfd_create("x"))
    try:
        os.setxattr(fds[0], b"user.note", b"kept")
    except OSError:
        pytest.skip("machine cannot: tmpfs has user attributes since Linux 6.6")
    os.utime(fds[0], ns=(10**18, 2 * 10**18))
    rec = record(fds[0])
    fds.append(restored(rec))
    assert os.getxattr(fds[1], b"user.note") == b"kept"
    st = os.fstat(fds[1])
    assert (st.st_atime_ns, st.st_mtime_ns) == (10**18, 2 * 10**18)


def test_a_memfd_with_file_attributes_is_refused(fds: list[int]) -> None:
    fds.append(os.memfd_create("x"))
    try:
        fcntl.ioctl(fds[0], 0x40086602, (0x40).to_bytes(8, "little"))  # FS_IOC_SETFLAGS, FS_NODUMP_FL
    except OSError:
        pytest.skip("machine cannot: tmpfs has file attributes since Linux 6.6")
    evidence = native.tree(fds[0])
    refuse = KIND.verb("refuse")
    assert refuse is not None
    try:
        assert [r.code for r in refuse(evidence.inodes[0], native.answer)] == ["fd.memfd.attributes"]
    finally:
        native.close(evidence)


def test_a_memfd_that_must_not_be_executed_comes_back(fds: list[int]) -> None:
    try:
        fds.append(os.memfd_create("x", 8))  # MFD_NOEXEC_SEAL
    except OSError:
        pytest.skip("machine cannot: this kernel has no MFD_NOEXEC_SEAL (Linux 6.3)")
    rec = record(fds[0])
    fds.append(restored(rec))
    assert record(fds[1]) == rec
    assert "F_SEAL_EXEC" in rec.seals


def test_an_open_file_of_it_is_opened_through_it(fds: list[int]) -> None:
    fds.append(os.memfd_create("x"))
    os.write(fds[0], b"abc")
    [file] = native.records(regular.KIND, fds[0])
    made = restored(record(fds[0]))
    fds.append(made)
    [again] = native.restored(regular.KIND, [file], before={ID: made})
    fds.append(again)
    assert native.records(regular.KIND, again) == [file.replace(modified_ns=os.fstat(again).st_mtime_ns, number=os.fstat(again).st_ino)]


def test_huge_pages_are_refused(fds: list[int]) -> None:
    try:
        fds.append(os.memfd_create("x", os.MFD_HUGETLB))
    except OSError:
        pytest.skip("machine cannot: this kernel has no huge pages")
    evidence = native.tree(fds[0])
    refuse = KIND.verb("refuse")
    assert refuse is not None
    assert [v.code for v in refuse(evidence.inodes[0], native.answer)] == ["fd.memfd.huge"]
    native.close(evidence)


@pytest.mark.parametrize(
    "change", [{"name": b"y"}, {"size": 1}, {"seals": ("F_SEAL_SEAL",)}, {"mode": 1}, {"uid": 1}, {"gid": 1}, {"modified_ns": 1}]
)
def test_every_field_is_compared(change: dict[str, Any]) -> None:
    same = Memfd(b"x", 0, (), 0, 0, 0, 0)
    assert (list(compare(same, same, ID)), len(list(compare(same, same.replace(**change), ID)))) == ([], 1)
