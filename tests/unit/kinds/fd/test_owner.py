"""fd.owner, on descriptors of this process."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.kinds.fd.owner import KIND, Owner, compare
from holdfast.model.ids import NsPid, ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

F_SETSIG, F_SETOWN_EX = 10, 15
ME = os.getpid()


@pytest.fixture
def pair() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        os.close(fd)


def detected(fd: int) -> bool:
    evidence = native.tree(fd)
    detect = KIND.verb("detect")
    assert detect is not None
    try:
        return detect(evidence.files[0]) is not None
    finally:
        native.close(evidence)


def test_the_default_is_not_carried(pair: tuple[int, int]) -> None:
    assert [detected(fd) for fd in pair] == [False, False]
    fd = os.open("/", os.O_PATH)
    assert detected(fd) is False
    os.close(fd)


@pytest.mark.parametrize(
    ("sort", "word", "number"), [(0, "thread", ME), (1, "process", ME), (2, "group", os.getpgrp())], ids=["thread", "process", "group"]
)
def test_who_is_signalled_comes_back(pair: tuple[int, int], sort: int, word: str, number: int) -> None:
    reader, writer = pair
    fcntl.fcntl(reader, F_SETOWN_EX, struct.pack("ii", sort, number))
    fcntl.fcntl(reader, F_SETSIG, 34)
    os.set_blocking(reader, False)
    [rec] = native.records(KIND, reader)
    assert rec == Owner(word, NsPid(number), 34, False, ("O_NONBLOCK",))
    native.restored(KIND, [rec], before={ObjectId("file:0"): writer})
    assert native.records(KIND, writer) == [rec.replace(flags=())]


@pytest.mark.parametrize(("sort", "word"), [(1, "process"), (2, "group")])
def test_an_owner_that_has_ended_comes_back_as_such(pair: tuple[int, int], sort: int, word: str) -> None:
    reader, writer = pair
    ended = os.posix_spawnp("true", ["true"], {}, setpgroup=0)
    fcntl.fcntl(reader, F_SETOWN_EX, struct.pack("ii", sort, ended))
    os.waitpid(ended, 0)
    [rec] = native.records(KIND, reader)
    assert (detected(reader), rec) == (True, Owner(word, NsPid(0)))
    native.restored(KIND, [rec], before={ObjectId("file:0"): writer})
    assert fcntl.fcntl(writer, 16, bytes(8)) == fcntl.fcntl(reader, 16, bytes(8)) == struct.pack("ii", sort, 0)


def test_o_async_comes_back_with_the_other_flags(pair: tuple[int, int]) -> None:
    reader = pair[0]
    os.set_blocking(reader, False)
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    [rec] = native.records(KIND, reader)
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_NONBLOCK)
    native.restored(KIND, [rec], before={ObjectId("file:0"): reader})
    assert fcntl.fcntl(reader, fcntl.F_GETFL) == os.O_ASYNC | os.O_NONBLOCK
    fcntl.fcntl(reader, fcntl.F_SETFL, 0)
    assert rec.is_async is True


def test_an_owner_outside_the_tree_is_refused(pair: tuple[int, int]) -> None:
    fcntl.fcntl(pair[0], fcntl.F_SETOWN, os.getppid())
    assert native.verdicts(KIND, pair[0]) == ["fd.owner.outside"]


@pytest.mark.parametrize("change", [{"sort": "thread"}, {"number": NsPid(1)}, {"signal": 1}, {"is_async": True}, {"flags": ("O_APPEND",)}])
def test_every_field_is_compared(change: dict[str, Any]) -> None:
    same = Owner("process", NsPid(2))
    where = ObjectId("file:0")
    assert (list(compare(same, same, where)), len(list(compare(same, same.replace(**change), where)))) == ([], 1)
