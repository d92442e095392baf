"""fd.proc, on this process's /proc."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from holdfast.kinds.fd.proc import KIND, Proc, compare
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

ME = ObjectId(f"process:{os.getpid()}")


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        os.close(fd)


@pytest.mark.parametrize(
    ("path", "record"),
    [
        ("/proc/self/status", Proc(b"status", ("O_LARGEFILE",), ME)),
        ("/proc/self/mountinfo", Proc(b"mountinfo", ("O_LARGEFILE",), ME)),
        ("/proc/meminfo", Proc(b"meminfo", ("O_LARGEFILE",))),
    ],
)
def test_what_is_made_again_is_what_was_dumped(fds: list[int], path: str, record: Proc) -> None:
    fds.append(os.open(path, os.O_RDONLY))
    assert native.records(KIND, fds[0]) == [record]
    fds += native.again(KIND, fds[0])
    assert os.read(fds[1], 100)


def test_a_file_that_was_read_in_part_is_refused(fds: list[int]) -> None:
    fds.append(os.open("/proc/self/status", os.O_RDONLY))
    os.read(fds[0], 10)
    assert native.verdicts(KIND, fds[0]) == ["fd.proc.pos"]


@pytest.mark.parametrize(
    ("path", "flags"),
    [
        ("/proc/self/mem", os.O_RDONLY),
        ("/proc/self/pagemap", os.O_RDONLY),
        ("/proc/self/comm", os.O_RDWR),
        ("/proc/1/status", os.O_RDONLY),
        ("/proc/sys/kernel/ostype", os.O_RDONLY),
        ("/proc/self", os.O_RDONLY),
    ],
)
def test_other_files_are_not_claimed(fds: list[int], path: str, flags: int) -> None:
    fds.append(os.open(path, flags))
    evidence = native.tree(fds[0])
    detect = KIND.verb("detect")
    assert detect is not None
    assert detect(evidence.files[0]) is None
    native.close(evidence)


def test_every_field_is_compared() -> None:
    same = Proc(b"stat", ())
    others = [same, same.replace(name=b"maps"), same.replace(flags=("O_NONBLOCK",)), same.replace(process=ME)]
    assert [len(list(compare(same, o, ObjectId("file:0")))) for o in others] == [0, 1, 1, 1]
