"""kernel/state/pages.py: runs of pages as text, and what /proc/PID/pagemap says where there is no scan."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel.state import pages

if TYPE_CHECKING:
    from pathlib import Path

THERE, SWAPPED, FILE, GUARD, SOFT_DIRTY = 1 << 63, 1 << 62, 1 << 61, 1 << 58, 1 << 55


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], {}),
        ([0, SOFT_DIRTY], {}),
        ([THERE, THERE | SOFT_DIRTY, SWAPPED, 0, THERE], {"there": "0-2 4"}),
        ([THERE | FILE, THERE, THERE | FILE], {"there": "0-2", "file": "0 2"}),
        ([0, GUARD, GUARD, 0], {"guard": "1-2"}),
    ],
)
def test_entries_become_runs_by_sort(tmp_path: Path, entries: list[int], expected: dict[str, str]) -> None:
    start = 4 * pages.PAGE
    (tmp_path / "pagemap").write_bytes(bytes(4 * 8) + struct.pack(f"<{len(entries)}Q", *entries))
    fd = os.open(tmp_path / "pagemap", os.O_RDONLY)
    try:
        found = pages._entries(fd, [(start, start + len(entries) * pages.PAGE)], pages._ENTRY)
    finally:
        os.close(fd)
    assert found == {start: expected}


def test_more_pages_than_are_worth_telling_are_not_read() -> None:
    with pytest.raises(pages.TooMany):
        pages._entries(-1, [(0, 1 << 40)], pages._ENTRY)
