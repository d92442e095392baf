"""fd.eventfd. Text captured on Linux 6.18 and 6.1."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from holdfast.kinds.evidence import FileEvidence
from holdfast.kinds.fd.eventfd import KIND, Eventfd, compare
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = ObjectId("file:0")
HEAD = b"pos:\t0\nflags:\t04002\nmnt_id:\t17\nino:\t2062\n"


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        os.close(fd)


def read(text: bytes) -> Eventfd:
    got: Eventfd = native.record(KIND, FileEvidence(ID, native.tree(), b"anon_inode:[eventfd]", HEAD + text))
    return got


@pytest.mark.parametrize(
    ("text", "record"),
    [
        (b"eventfd-count:                7\neventfd-id: 1\neventfd-semaphore: 1\n", Eventfd(7, True, ("O_NONBLOCK", "O_RDWR"))),
        (b"eventfd-count: fffffffffffffffe\neventfd-id: 31\neventfd-semaphore: 0\n", Eventfd(2**64 - 2, False, ("O_NONBLOCK", "O_RDWR"))),
    ],
)
def test_the_kernels_text_gives_the_record(text: bytes, record: Eventfd) -> None:
    assert read(text) == record


@pytest.mark.parametrize("count", [0, 1, 2, 2**32 - 1, 2**32, 2**64 - 2])
@pytest.mark.parametrize("semaphore", [False, True])
def test_what_is_made_again_is_what_was_dumped(fds: list[int], count: int, semaphore: bool) -> None:
    fd = os.eventfd(0, os.EFD_SEMAPHORE if semaphore else 0)
    fds.append(fd)
    if count:
        os.eventfd_write(fd, count)
    [made] = native.again(KIND, fd)
    fds.append(made)
    if count:
        assert os.eventfd_read(made) == (1 if semaphore else count)


def test_flags_come_back(fds: list[int]) -> None:
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    fds.append(fd)
    [made] = native.again(KIND, fd)
    fds.append(made)
    assert os.get_blocking(made) is False


@pytest.mark.parametrize("count", [0, 1, 2, 7, 2**64 - 2])
@pytest.mark.parametrize("semaphore", [False, True])
def test_a_kernel_that_does_not_tell_the_mode_is_asked_without_losing_a_count(fds: list[int], count: int, semaphore: bool) -> None:
    fd = os.eventfd(0, os.EFD_SEMAPHORE if semaphore else 0)
    fds.append(fd)
    if count:
        os.eventfd_write(fd, count)
    evidence = native.tree(fd)
    file = evidence.files[0]
    file.info = file.info.replace(lines=tuple(line for line in file.info.lines if line[0] != "eventfd-semaphore"))
    assert native.record(KIND, file) == Eventfd(count, semaphore, ("O_RDWR",))
    native.close(evidence)
    assert native.records(KIND, fd) == [Eventfd(count, semaphore, ("O_RDWR",))]


def test_a_flag_without_a_name_refuses(fds: list[int]) -> None:
    fd = os.eventfd(0)
    fds.append(fd)
    evidence = native.tree(fd)
    file = evidence.files[0]
    file.info = file.info.replace(flags=0o2 | 1 << 30)
    refuse = KIND.verb("refuse")
    assert refuse is not None
    assert [v.code for v in refuse(file, native.answer)] == ["fd.eventfd.flags"]
    native.close(evidence)


@pytest.mark.parametrize("other", [Eventfd(2, True), Eventfd(1, False), Eventfd(1, True, ("O_RDWR",))])
def test_every_field_is_compared(other: Eventfd) -> None:
    same = Eventfd(1, True)
    assert (list(compare(same, same, ID)), len(list(compare(same, other, ID)))) == ([], 1)
