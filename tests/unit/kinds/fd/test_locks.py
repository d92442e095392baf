"""fd.locks, on locks of this process."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import TYPE_CHECKING

import pytest

from holdfast.kinds.fd.locks import KIND, Lock, Locks, compare
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ME = ObjectId(f"process:{os.getpid()}")
FILE = ObjectId("file:0")
F_OFD_SETLK, F_OFD_GETLK = 37, 36


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "x").touch()
    return str(tmp_path / "x")


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        os.close(fd)


def description_lock(fd: int, kind: int, start: int, length: int) -> None:
    fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhxxxxqqixxxx", kind, 0, start, length, 0))


def again(fds: list[int], path: str) -> Locks:
    """Carry the locks of the only descriptor over to a new one of the same file."""
    [rec] = native.records(KIND, fds[0])
    os.close(fds.pop())
    fds.append(os.open(path, os.O_RDWR))
    native.restored(KIND, [rec], before={FILE: fds[0]})
    assert native.records(KIND, fds[0]) == [rec]
    assert isinstance(rec, Locks)
    return rec


def test_locks_of_a_process_come_back(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDWR))
    fcntl.lockf(fds[0], fcntl.LOCK_EX, 10, 5)
    fcntl.lockf(fds[0], fcntl.LOCK_SH, 0, 100)
    fcntl.lockf(fds[0], fcntl.LOCK_EX, 1, 2**63 - 1)
    expected = (
        Lock("process", "write", 5, 14, ME),
        Lock("process", "read", 100, 2**63 - 2, ME),
        Lock("process", "write", 2**63 - 1, None, ME),
    )
    assert again(fds, path).locks == expected


def test_locks_of_a_description_come_back(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDWR))
    description_lock(fds[0], fcntl.F_WRLCK, 0, 0)
    assert again(fds, path).locks == (Lock("description", "write", 0, None),)


@pytest.mark.parametrize(("kind", "access"), [(fcntl.LOCK_SH, "read"), (fcntl.LOCK_EX, "write")])
def test_flock_comes_back(fds: list[int], path: str, kind: int, access: str) -> None:
    fds.append(os.open(path, os.O_RDWR))
    fcntl.flock(fds[0], kind)
    assert again(fds, path).locks == (Lock("flock", access, 0, None),)


def test_a_lock_that_somebody_else_has_by_now_fails_the_restore(fds: list[int], path: str) -> None:
    fds += [os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)]
    fcntl.flock(fds[0], fcntl.LOCK_EX)
    rec = Locks((Lock("flock", "write", 0, None),))
    with pytest.raises(AssertionError, match="flock"):
        native.restored(KIND, [rec], before={FILE: fds[1]})


def test_a_lease_is_refused(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDONLY))
    fcntl.fcntl(fds[0], fcntl.F_SETLEASE, fcntl.F_RDLCK)
    assert native.verdicts(KIND, fds[0]) == ["fd.locks.lease"]


def test_a_file_without_locks_has_none(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDONLY))
    evidence = native.tree(fds[0])
    detect = KIND.verb("detect")
    assert detect is not None
    assert detect(evidence.files[0]) is None
    native.close(evidence)


def test_every_part_of_a_lock_is_compared() -> None:
    lock = Lock("process", "write", 0, None, ME)
    others = [
        lock,
        lock.replace(kind="flock"),
        lock.replace(access="read"),
        lock.replace(start=1),
        lock.replace(end=5),
        lock.replace(process=None),
    ]
    assert [len(list(compare(Locks((lock,)), Locks((o,)), FILE))) for o in others] == [0, 1, 1, 1, 1, 1]
