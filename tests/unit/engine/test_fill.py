"""Copying through userfaultfd: what is copied in part goes on, what is there already is written over."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from holdfast.engine import fill
from holdfast.kernel.libc import view_at

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 4096


class Kernel:
    """Answers one ioctl after the other: bytes copied, or an errno and what was copied before it."""

    def __init__(self, *answers: tuple[int, int]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[int, int, int]] = []
        self.over: list[tuple[int, bool, int, list[tuple[int, int]]]] = []

    def ioctl(self, fd: int, op: int, address: int) -> int:
        """UFFDIO_COPY."""
        assert (fd, op) == (5, fill.UFFDIO_COPY)
        to, source, size, _, _ = fill.COPY.unpack(view_at(address, fill.COPY.size))
        self.asked.append((to, source, size))
        error, copied = self.answers.pop(0)
        view_at(address + 32, 8)[:] = copied.to_bytes(8, "little", signed=True)
        if error:
            raise OSError(error, os.strerror(error))
        return 0

    def transfer(self, tid: int, into_task: bool, local: int, ranges: list[tuple[int, int]]) -> None:
        """process_vm_writev."""
        self.over.append((tid, into_task, local, ranges))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Kernel]:
    """A kernel that gives the answers."""

    def make(*answers: tuple[int, int]) -> Kernel:
        made = Kernel(*answers)
        monkeypatch.setattr(fill.ptrace, "ioctl", made.ioctl)  # type: ignore[attr-defined]
        monkeypatch.setattr(fill.ptrace, "transfer", made.transfer)  # type: ignore[attr-defined]
        return made

    return make


def test_each_piece_is_asked_for_once(kernel: Callable[..., Kernel]) -> None:
    fake = kernel((0, 2 * PAGE), (0, PAGE))
    fill._copy(5, 9, [(0x10000, 0x90000, 2 * PAGE), (0x20000, 0xA0000, PAGE)])
    assert fake.asked == [(0x10000, 0x90000, 2 * PAGE), (0x20000, 0xA0000, PAGE)]


def test_what_was_copied_in_part_goes_on_behind_it(kernel: Callable[..., Kernel]) -> None:
    fake = kernel((errno.EAGAIN, PAGE), (0, 2 * PAGE))
    fill._copy(5, 9, [(0x10000, 0x90000, 3 * PAGE)])
    assert fake.asked == [(0x10000, 0x90000, 3 * PAGE), (0x11000, 0x91000, 2 * PAGE)]


def test_a_page_that_is_there_is_written_over(kernel: Callable[..., Kernel]) -> None:
    fake = kernel((errno.EAGAIN, PAGE), (errno.EEXIST, -errno.EEXIST), (0, PAGE))
    fill._copy(5, 9, [(0x10000, 0x90000, 3 * PAGE)])
    assert fake.over == [(9, True, 0x91000, [(0x11000, PAGE)])]
    assert fake.asked[-1] == (0x12000, 0x92000, PAGE)


@pytest.mark.parametrize("answer", [(errno.ENOMEM, -errno.ENOMEM), (errno.EAGAIN, 0), (errno.EINVAL, 0)])
def test_any_other_error_is_one(kernel: Callable[..., Kernel], answer: tuple[int, int]) -> None:
    kernel(answer)
    with pytest.raises(OSError) as error:
        fill._copy(5, 9, [(0x10000, 0x90000, PAGE)])
    assert error.value.errno == answer[0]
