"""Which pages there are, told by both ways of asking, of memory whose pages are known."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os

import pytest

from holdfast.kernel.state import pages
from holdfast.kernel.state.snapshot import Reader
from tests.live.kernel.state.test_snapshot import subject

GUARD_INSTALL = 102


def known_area() -> tuple[mmap.mmap, int]:
    """Eight pages of our own: 0, 1 and 5 are written to."""
    area = mmap.mmap(-1, 8 * pages.PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(mmap.MADV_NOHUGEPAGE)
    for page in (0, 1, 5):
        area[page * pages.PAGE] = 1
    return area, ctypes.addressof(ctypes.c_char.from_buffer(area))


def test_pages_that_were_written_to_are_there() -> None:
    _area, at = known_area()
    assert pages.sorts(os.getpid(), [(at, at + 8 * pages.PAGE)])[at]["there"] == "0-1 5"


def test_both_ways_tell_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    _area, at = known_area()
    asked = [(at, at + 8 * pages.PAGE)]
    scanned = pages.sorts(os.getpid(), asked)[at]
    monkeypatch.setattr(pages, "_MASKS", ())
    assert pages.sorts(os.getpid(), asked)[at]["there"] == scanned["there"]


def test_guard_pages_are_told_by_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    _area, at = known_area()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.madvise(ctypes.c_void_p(at + 2 * pages.PAGE), ctypes.c_size_t(2 * pages.PAGE), GUARD_INSTALL):
        assert ctypes.get_errno() == errno.EINVAL
        pytest.skip("machine cannot: this kernel has no guard pages (6.13)")
    asked = [(at, at + 8 * pages.PAGE)]
    assert pages.sorts(os.getpid(), asked)[at]["guard"] == "2-3"
    monkeypatch.setattr(pages, "_MASKS", pages._MASKS[1:])
    assert pages.sorts(os.getpid(), asked)[at]["guard"] == "2-3"
    monkeypatch.setattr(pages, "_MASKS", ())
    assert pages.sorts(os.getpid(), asked)[at]["guard"] == "2-3"


@pytest.mark.root
def test_they_are_leaves_of_their_area() -> None:
    program = """
        import mmap
        area = mmap.mmap(-1, 8 * 4096)
        area[3 * 4096] = 1
        at = ctypes.addressof(ctypes.c_char.from_buffer(area))
        os.eventfd_write(os.eventfd(0), at >> 12)
    """
    reader = Reader.open()
    try:
        with subject(program) as pid:
            state = reader.snapshot({"it": pid})
    finally:
        reader.close()
    (count,) = [leaf.value for path, leaf in state.leaves.items() if path.endswith(".private.count")]
    assert isinstance(count, int)
    own = next(path for path in state.objects if path.startswith("it.mm.vma[") and _holds(state.leaves, path, count << 12))
    start = state.leaves[f"{own}.vm_start"].value
    assert isinstance(start, int)
    shown = str(state.leaves[f"{own}.pages.there"].value)
    assert (count << 12) - start + 3 * 4096 in {page * 4096 for page in _expand(shown)}


def _holds(leaves: object, path: str, address: int) -> bool:
    assert isinstance(leaves, dict)
    if f"{path}.vm_start" not in leaves:
        return False
    return bool(leaves[f"{path}.vm_start"].value <= address < leaves[f"{path}.vm_end"].value)


def _expand(text: str) -> set[int]:
    out: set[int] = set()
    for run in text.split():
        first, _, last = run.partition("-")
        out.update(range(int(first), int(last or first) + 1))
    return out


def test_a_scan_that_the_kernel_refuses_is_asked_in_an_older_form(monkeypatch: pytest.MonkeyPatch) -> None:
    _area, at = known_area()
    asked = [(at, at + 8 * pages.PAGE)]
    monkeypatch.setattr(pages, "_MASKS", (1 << 40, *pages._MASKS))  # a sort of page that no kernel knows: EINVAL
    assert pages.sorts(os.getpid(), asked)[at]["there"] == "0-1 5"
