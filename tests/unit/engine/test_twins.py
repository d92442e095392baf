"""What is copied from twins."""

from __future__ import annotations

import pytest

from holdfast.engine.twins import without
from holdfast.kinds.mm.guard import Range


@pytest.mark.parametrize(
    ("ranges", "guards", "left"),
    [
        ([(0, 9)], [], [(0, 9)]),
        ([(0, 9)], [(3, 5)], [(0, 3), (5, 9)]),
        ([(0, 9)], [(0, 2), (4, 5), (7, 9)], [(2, 4), (5, 7)]),
        ([(0, 3), (5, 9)], [(2, 6)], [(0, 2), (6, 9)]),
        ([(0, 3), (5, 9), (10, 12)], [(1, 11)], [(0, 1), (11, 12)]),
        ([(5, 9)], [(0, 2), (3, 5), (9, 12)], [(5, 9)]),
        ([(5, 9)], [(0, 20)], []),
        ([], [(0, 20)], []),
    ],
)
def test_guard_pages_are_taken_out_of_ranges(
    ranges: list[tuple[int, int]], guards: list[tuple[int, int]], left: list[tuple[int, int]]
) -> None:
    assert without(ranges, [Range(a, b) for a, b in guards]) == left
