"""Numbers of another namespace, tried where both have the same: on children and threads of this process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import TargetChanged
from holdfast.tracee import names
from holdfast.tracee.names import Names, below, global_pid

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def family() -> Iterator[tuple[int, int, int]]:
    """A child, its child, and another child, which wait until the test is over."""
    line, far = os.pipe()
    said, say = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(far)
        grandchild = os.fork()
        if grandchild:
            os.write(say, b"%d\n" % grandchild)
        os.read(line, 1)
        os._exit(0)
    second = os.fork()
    if second == 0:
        os.close(far)
        os.read(line, 1)
        os._exit(0)
    grandchild = int(os.read(said, 20))
    try:
        yield first, grandchild, second
    finally:
        for fd in (far, line, said, say):
            os.close(fd)
        for pid in (first, second):
            os.waitpid(pid, 0)


def test_each_process_below_is_found_by_its_number(family: tuple[int, int, int]) -> None:
    found = Names(os.getpid())
    assert [found.process(pid) for pid in family] == list(family)
    assert [found.process(pid) for pid in reversed(family)] == list(reversed(family))


def test_a_number_that_nobody_below_has_is_an_error(family: tuple[int, int, int]) -> None:
    found = Names(family[0])
    assert found.process(family[1]) == family[1]
    with pytest.raises(TargetChanged):
        found.process(family[2])


def test_what_was_found_is_not_read_again(family: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    found = Names(os.getpid())
    found.process(family[2])
    asked: list[int] = []
    monkeypatch.setattr(names, "_children", asked.append)
    assert (found.process(family[2]), asked) == (family[2], [])


def test_threads_are_found_by_their_number() -> None:
    go = threading.Event()
    threads = [threading.Thread(target=go.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        found = Names(os.getpid())
        ids = [t.native_id for t in threads]
        assert [found.thread(n, os.getpid()) for n in ids if n is not None] == ids
        with pytest.raises(TargetChanged):
            found.thread(os.getppid(), os.getpid())
    finally:
        go.set()
        for thread in threads:
            thread.join()


def test_a_number_in_somebodys_namespace_is_found_from_outside(family: tuple[int, int, int]) -> None:
    assert global_pid(family[1], family[0]) == family[1]
    with pytest.raises(TargetChanged):
        global_pid(1 << 23, family[0])  # above every pid_max


def test_every_task_below_is_listed(family: tuple[int, int, int]) -> None:
    first, grandchild, second = family
    assert {(first, first), (grandchild, grandchild), (second, second)} <= set(below(os.getpid()))
    assert below(first) == [(grandchild, grandchild)]
    assert below(second) == []
