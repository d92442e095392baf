"""Pages of this process, by the ioctl and by the older kernels' way."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel import pagescan
from holdfast.tracee import pagemap

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 4096


@pytest.fixture
def area() -> Iterator[tuple[mmap.mmap, int]]:
    with mmap.mmap(-1, 64 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        yield memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))


@pytest.fixture(params=["scan", "read"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "read":

        def refuse(*_: object, **__: object) -> list[tuple[int, int]]:
            raise OSError(errno.ENOTTY, "as before Linux 6.7")

        monkeypatch.setattr(pagescan, "runs", refuse)
    return str(request.param)


def test_written_pages_are_found_and_no_others(way: str, area: tuple[mmap.mmap, int]) -> None:
    memory, base = area
    for page in (0, 1, 2, 7, 63):
        memory[page * PAGE] = 1
    found = pagemap.own_pages(os.getpid(), [(base, base + 64 * PAGE)])
    assert [((a - base) // PAGE, (b - base) // PAGE) for a, b in found] == [(0, 3), (7, 8), (63, 64)]


@pytest.mark.parametrize("pages", [513, 1024, 2 * 257, 6000])
def test_pages_that_lie_scattered_are_found_once(way: str, pages: int) -> None:
    # more than the kernel and we have room for at once
    with mmap.mmap(-1, 2 * pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        view = ctypes.c_char.from_buffer(memory)
        base = ctypes.addressof(view)
        del view
        for page in range(pages):
            memory[2 * page * PAGE] = 1
        found = pagemap.own_pages(os.getpid(), [(base, base + 2 * pages * PAGE)])
    assert [((a - base) // PAGE, (b - base) // PAGE) for a, b in found] == [(2 * n, 2 * n + 1) for n in range(pages)]


def test_no_range_crosses_the_border_of_an_area(way: str, area: tuple[mmap.mmap, int]) -> None:
    memory, base = area
    memory[: 8 * PAGE] = b"x" * (8 * PAGE)
    areas = [(base, base + 2 * PAGE), (base + 2 * PAGE, base + 3 * PAGE), (base + 5 * PAGE, base + 64 * PAGE)]
    found = pagemap.own_pages(os.getpid(), areas)
    assert [((a - base) // PAGE, (b - base) // PAGE) for a, b in found] == [(0, 2), (2, 3), (5, 8)]


def test_a_page_that_was_only_read_is_nothing_of_its_own(area: tuple[mmap.mmap, int]) -> None:
    memory, base = area
    assert memory[5 * PAGE] == 0
    assert pagemap.own_pages(os.getpid(), [(base, base + 64 * PAGE)]) == []


def test_shared_pages_count_where_they_are_asked_for(way: str) -> None:
    with mmap.mmap(-1, 4 * PAGE) as memory:
        base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        memory[PAGE] = 1
        assert pagemap.own_pages(os.getpid(), [(base, base + 4 * PAGE)]) == []
        assert pagemap.own_pages(os.getpid(), [(base, base + 4 * PAGE)], shared=True) == [(base + PAGE, base + 2 * PAGE)]


def test_no_areas_have_no_pages(way: str) -> None:
    assert pagemap.own_pages(os.getpid(), []) == []


def test_a_process_that_is_gone_says_so() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    with pytest.raises(FileNotFoundError):
        pagemap.own_pages(child, [(PAGE, 2 * PAGE)])
