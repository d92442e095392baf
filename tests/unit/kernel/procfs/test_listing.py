"""What a process has, by number."""

from __future__ import annotations

import os

import pytest

from holdfast.kernel.procfs import listing
from holdfast.kernel.source import Captured, Live
from holdfast.model.ids import Fd, Pid, Tid

PROCESS = Captured(
    {
        "task/100/children": b"9 1200 ",
        "task/7/children": b"",
        "task/9/children": b"11 ",
        "fd/10": b"",
        "fd/2": b"",
    }
)


def test_numbers_are_sorted_as_numbers_and_typed() -> None:
    assert listing.tids(PROCESS) == [7, 9, 100]
    assert listing.fds(PROCESS) == [2, 10]
    assert listing.children(PROCESS) == [9, 11, 1200]
    assert listing.children_of_thread(PROCESS, Tid(100)) == [9, 1200]
    assert {type(n) for n in listing.tids(PROCESS)} == {Tid}
    assert {type(n) for n in listing.fds(PROCESS)} == {Fd}
    assert {type(n) for n in listing.children(PROCESS)} == {Pid}


def test_a_process_that_is_gone_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        listing.children(Captured({}))


def test_this_process() -> None:
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(done)
        os.read(ready, 1)
        os._exit(0)
    try:
        with Live(f"/proc/{os.getpid()}") as process:
            assert pid in listing.children(process)
            assert {ready, done} <= set(listing.fds(process))
            assert os.getpid() in listing.tids(process)
    finally:
        os.close(ready)
        os.close(done)
        os.waitpid(pid, 0)
