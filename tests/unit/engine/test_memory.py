"""Copying much memory: the file, the digests, what is told, what fails. The task that is copied is this one."""

from __future__ import annotations

import errno
import mmap
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from blake3 import blake3

from holdfast.engine import memory
from holdfast.image.pages import CHUNK
from holdfast.kernel.libc import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = 4096
PROCESS: Any = SimpleNamespace(id="process:1", vmas=[])


@pytest.fixture(params=["memory", "disk"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """A file in memory, and one that need not be."""
    fd = os.memfd_create("pages") if request.param == "memory" else os.open(tmp_path / "pages", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


@pytest.fixture
def area() -> Iterator[tuple[mmap.mmap, int]]:
    """Random memory of four chunks, and where it is."""
    with mmap.mmap(-1, 4 * CHUNK) as room:
        room[:] = os.urandom(CHUNK) * 4
        for at in range(0, len(room), PAGE):
            room[at : at + 8] = at.to_bytes(8, "little")
        view = memoryview(room)
        yield room, address_of(view)
        view.release()


def ranges_in(start: int) -> list[tuple[int, int]]:
    """Parts of the area: long, short, across chunks, next to each other."""
    cuts = [(0, 5), (7, 8), (9, 1500), (1500, 1501), (1600, 2600), (2700, 4096)]
    return [(start + a * PAGE, start + b * PAGE) for a, b in cuts]


@pytest.mark.parametrize("before", [0, 3 * PAGE, CHUNK])
def test_the_file_holds_the_ranges_one_behind_the_other(file: int, area: tuple[mmap.mmap, int], before: int) -> None:
    room, start = area
    os.write(file, b"b" * before)
    pages = memory.Pages(file)
    pages.end = before
    found: dict[int, bytes] = {}
    pages.hashed = found.__setitem__
    pages.copy_much(os.getpid(), PROCESS, ranges_in(start))
    expected = b"b" * before + b"".join(room[a - start : b - start] for a, b in ranges_in(start))
    assert os.pread(file, len(expected) + 1, 0) == expected
    assert pages.end == len(expected)
    whole = range(-(-before // CHUNK), len(expected) // CHUNK)
    assert found == {i: blake3(expected[i * CHUNK : (i + 1) * CHUNK]).digest() for i in whole}
    assert [(a, n * PAGE) for _, a, n, _, _, _ in pages.rows] == [(a, b - a) for a, b in ranges_in(start)]


def test_how_much_is_written_is_told_and_only_grows(file: int, area: tuple[mmap.mmap, int]) -> None:
    told: list[tuple[int, int]] = []
    pages = memory.Pages(file)
    pages.total = 4 * CHUNK
    pages.progress = lambda done, total: told.append((done, total))
    pages.copy_much(os.getpid(), PROCESS, [(area[1], area[1] + 4 * CHUNK)])
    assert told == sorted(told)
    assert {total for _, total in told} <= {4 * CHUNK}
    assert all(0 < done <= 4 * CHUNK for done, _ in told)


def test_memory_that_the_task_may_not_read_is_copied_all_the_same(file: int, area: tuple[mmap.mmap, int]) -> None:
    from holdfast.kernel.libc import INT, LONG, function  # only here

    room, start = area
    mprotect = function("mprotect", LONG, LONG, LONG, returns=INT)
    expected = room[:]
    assert mprotect(start + 2 * PAGE, 5 * PAGE, 0) == 0
    try:
        memory.Pages(file).copy_much(os.getpid(), PROCESS, [(start, start + 2 * CHUNK)])
    finally:
        assert mprotect(start + 2 * PAGE, 5 * PAGE, 3) == 0
    assert os.pread(file, 2 * CHUNK, 0) == expected[: 2 * CHUNK]


def test_memory_that_is_not_there_is_an_error(file: int) -> None:
    with pytest.raises(OSError) as error:
        memory.Pages(file).copy_much(os.getpid(), PROCESS, [(PAGE, PAGE + 3 * CHUNK)])
    assert error.value.errno in (errno.EFAULT, errno.EIO)


def test_a_task_that_is_gone_is_an_error(file: int, area: tuple[mmap.mmap, int]) -> None:
    with pytest.raises(OSError) as error:
        memory.Pages(file).copy_much(2**22 - 1, PROCESS, [(area[1], area[1] + CHUNK)])
    assert error.value.errno == errno.ESRCH


def test_what_is_written_is_told(file: int) -> None:
    told: list[tuple[int, int]] = []
    pages = memory.Pages(file)
    pages.total = 3 * PAGE
    pages.progress = lambda done, total: told.append((done, total))
    pages.written(PAGE)
    pages.written(4 * PAGE)
    assert told == [(PAGE, 3 * PAGE), (4 * PAGE, 4 * PAGE)]


def test_which_addresses_may_not_be_read() -> None:
    areas = [(0x1000, 0x2000, 3), (0x2000, 0x3000, 0), (0x5000, 0x6000, 2), (0x6000, 0x7000, 1)]
    process: Any = SimpleNamespace(vmas=[SimpleNamespace(vma=SimpleNamespace(start=a, end=b, prot=p)) for a, b, p in areas])
    unreadable = memory._unreadable(process)
    asked = (0, 0x1000, 0x1FFF, 0x2000, 0x2FFF, 0x3000, 0x4FFF, 0x5000, 0x6000, 0x8000)
    assert [hex(a) for a in asked if unreadable(a)] == ["0x2000", "0x2fff", "0x5000"]
