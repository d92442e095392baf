"""fd.pidfd, on this process."""

from __future__ import annotations

import os

import pytest

from holdfast.kinds.fd.pidfd import KIND, PIDFD_THREAD, Pidfd, compare
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

ME = ObjectId(f"process:{os.getpid()}")


@pytest.mark.parametrize("flags", [0, os.O_NONBLOCK])
def test_a_process_of_the_tree_comes_back(flags: int) -> None:
    fd = os.pidfd_open(os.getpid(), flags)
    [made] = native.again(KIND, fd)
    assert native.records(KIND, made)[0].target == ME
    os.close(fd)
    os.close(made)


def test_a_thread_of_the_tree_comes_back() -> None:
    try:
        fd = os.pidfd_open(os.getpid(), PIDFD_THREAD)
    except OSError:
        pytest.skip("machine cannot: this kernel has no PIDFD_THREAD (Linux 6.9)")
    [made] = native.again(KIND, fd)
    assert native.records(KIND, made) == [Pidfd(ObjectId(f"thread:{os.getpid()}"), True, ("O_RDWR",))]
    os.close(fd)
    os.close(made)


def test_a_process_outside_the_tree_is_refused() -> None:
    fd = os.pidfd_open(1)
    assert native.verdicts(KIND, fd) == ["fd.pidfd.outside"]
    os.close(fd)


def test_a_process_that_is_gone_is_refused() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    fd = os.pidfd_open(child)
    os.waitpid(child, 0)
    assert native.verdicts(KIND, fd) == ["fd.pidfd.gone"]
    os.close(fd)


def test_every_field_is_compared() -> None:
    same = Pidfd(ME)
    others = [same, same.replace(target=ObjectId("process:1")), same.replace(thread=True), same.replace(flags=("O_RDWR",))]
    assert [len(list(compare(same, o, ObjectId("file:0")))) for o in others] == [0, 1, 1, 1]
