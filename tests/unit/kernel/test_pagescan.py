"""Regions of pages of this process; tests/unit/tracee/test_pagemap.py has more, by what is made of them."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel import pagescan
from holdfast.kernel.pagescan import FILE, PFNZERO, PRESENT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 4096
PAGES = 3 * pagescan.MANY


@pytest.fixture(scope="module")
def scanned() -> Iterator[tuple[int, int]]:
    """A pagemap, and where an area begins whose pages are written and read by turns."""
    with mmap.mmap(-1, PAGES * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        view = ctypes.c_char.from_buffer(memory)
        base = ctypes.addressof(view)
        del view
        for page in range(PAGES):
            if page % 2:
                memory[page * PAGE] = 1
            else:
                memory[page * PAGE]  # a read maps the zero page
        fd = os.open("/proc/self/pagemap", os.O_RDONLY)
        try:
            if no_scan := _refusal(fd, base):
                pytest.skip(f"machine cannot: {no_scan}")
            yield fd, base
        finally:
            os.close(fd)


def _refusal(fd: int, base: int) -> str:
    try:
        pagescan.runs(fd, base, base + PAGE, told=PRESENT)
    except OSError as error:  # before Linux 6.7
        return str(error)
    return ""


def test_every_region_is_told_once_and_in_order(scanned: tuple[int, int]) -> None:
    fd, base = scanned
    found = [region for batch in pagescan.regions(fd, base, base + PAGES * PAGE, told=PRESENT | PFNZERO | FILE) for region in batch]
    wanted = [(base + n * PAGE, base + (n + 1) * PAGE, PRESENT if n % 2 else PRESENT | PFNZERO) for n in range(PAGES)]
    assert found == wanted


def test_runs_are_joined_whatever_call_told_them(scanned: tuple[int, int]) -> None:
    fd, base = scanned
    end = base + PAGES * PAGE
    assert pagescan.runs(fd, base, end, told=PRESENT, all_of=PRESENT) == [(base, end)]
    assert pagescan.runs(fd, base, end, told=PRESENT | PFNZERO, all_of=PRESENT) == [(base, end)]
    written = pagescan.runs(fd, base, end, told=PRESENT, any_of=PRESENT, without=PFNZERO)
    assert written == [(base + n * PAGE, base + (n + 1) * PAGE) for n in range(1, PAGES, 2)]
