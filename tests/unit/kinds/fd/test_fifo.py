"""fd.fifo, on named pipes of this process."""

from __future__ import annotations

import fcntl
import os
import select
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.kinds.fd.fifo import KIND, Fifo, compare, ready
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NB = os.O_NONBLOCK


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        if fd >= 0:
            os.close(fd)


@pytest.fixture
def path(tmp_path: Path) -> str:
    os.mkfifo(tmp_path / "x")
    return str(tmp_path / "x")


def gone(fds: list[int]) -> None:
    """Close every descriptor, as the end of the dumped process does: a named pipe that nobody has open is empty."""
    while fds:
        os.close(fds.pop())


def again(fds: list[int]) -> list[int]:
    """As native.again, with the first ones closed in between."""
    first = native.records(KIND, *fds)
    gone(fds)
    fds += native.restored(KIND, first)
    assert native.records(KIND, *fds) == first
    return fds


def test_data_and_packets_come_back(fds: list[int], path: str) -> None:
    fds += [os.open(path, os.O_RDWR), os.open(path, os.O_WRONLY), os.open(path, os.O_RDONLY)]
    fcntl.fcntl(fds[1], fcntl.F_SETFL, os.O_DIRECT)  # an open refuses it (fs/open.c do_dentry_open)
    fcntl.fcntl(fds[0], fcntl.F_SETPIPE_SZ, 1 << 17)
    os.write(fds[1], b"one")
    os.write(fds[1], b"two")
    again(fds)
    assert [os.read(fds[2], 100), os.read(fds[0], 100)] == [b"one", b"two"]


def test_a_reader_whose_writer_has_gone_sees_the_hang_up(fds: list[int], path: str) -> None:
    fds += [os.open(path, os.O_RDONLY | NB), os.open(path, os.O_WRONLY)]
    os.write(fds[1], b"x")
    os.close(fds.pop())
    again(fds)
    poll = select.poll()
    poll.register(fds[0])
    assert poll.poll(0) == [(fds[0], select.POLLIN | select.POLLHUP)]


def test_a_reader_that_never_had_a_writer_sees_no_hang_up(fds: list[int], path: str) -> None:
    fds += [os.open(path, os.O_RDONLY | NB), os.open(path, os.O_RDONLY | NB)]
    os.set_blocking(fds[1], True)
    again(fds)
    poll = select.poll()
    poll.register(fds[0])
    poll.register(fds[1])
    assert poll.poll(0) == []
    assert [os.get_blocking(fd) for fd in fds] == [False, True]


def test_a_writer_whose_reader_has_gone_comes_back(fds: list[int], path: str) -> None:
    reader = os.open(path, os.O_RDONLY | NB)
    fds.append(os.open(path, os.O_WRONLY))
    os.close(reader)
    again(fds)
    with pytest.raises(BrokenPipeError):
        os.write(fds[0], b"x")


def test_two_names_of_one_pipe_are_one(fds: list[int], path: str) -> None:
    os.link(path, path + "2")
    fds += [os.open(path, os.O_RDONLY | NB), os.open(path + "2", os.O_WRONLY)]
    os.write(fds[1], b"x")
    again(fds)
    assert os.readlink(f"/proc/self/fd/{fds[1]}") == path + "2"
    assert os.read(fds[0], 100) == b"x"


def test_an_other_end_elsewhere_is_refused(fds: list[int], path: str) -> None:
    fds += [os.open(path, os.O_RDONLY | NB), os.open(path, os.O_WRONLY)]
    assert native.verdicts(KIND, fds[0]) == ["fd.fifo.outside"]
    assert native.verdicts(KIND, fds[1]) == ["fd.fifo.outside"]


def test_data_that_nobody_can_read_is_refused(fds: list[int], path: str) -> None:
    reader = os.open(path, os.O_RDONLY | NB)
    fds.append(os.open(path, os.O_WRONLY))
    os.write(fds[0], b"x")
    os.close(reader)
    assert native.verdicts(KIND, fds[0]) == ["fd.fifo.unread"]


def test_data_of_others_is_not_mixed_in(fds: list[int], path: str) -> None:
    fds.append(os.open(path, os.O_RDWR))
    os.write(fds[0], b"x")
    recs = native.records(KIND, fds[0])
    with pytest.raises(AssertionError, match="returned 1, not -11"):
        native.restored(KIND, recs)
    assert os.read(fds[0], 100) == b"x"


def test_a_restore_refuses_what_is_no_named_pipe(path: str) -> None:
    rec = Fifo(ObjectId("file:0"), os.fsencode(path), ())
    assert list(ready(rec, native.NativeHost())) == []
    for other in (b"/no/such", b"/dev/null"):
        assert [v.code for v in ready(rec.replace(path=other), native.NativeHost())] == ["fd.fifo.missing"]


@pytest.mark.parametrize(
    "change",
    [
        {"fifo": ObjectId("file:9")},
        {"path": b"/y"},
        {"flags": ("O_RDWR",)},
        {"untouched": True},
        {"capacity": 1},
        {"data": (b"x",)},
        {"packets": True},
    ],
)
def test_every_field_is_compared(change: dict[str, Any]) -> None:
    same = Fifo(ObjectId("file:0"), b"/x", ())
    where = ObjectId("file:0")
    assert (list(compare(same, same, where)), len(list(compare(same, same.replace(**change), where)))) == ([], 1)
