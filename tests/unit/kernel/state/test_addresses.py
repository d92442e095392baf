"""kernel/state/addresses.py: areas out of a maple tree made by hand."""

from __future__ import annotations

import struct

import pytest

from holdfast.kernel.state import addresses
from tests.unit.kernel.state import fake
from tests.unit.kernel.state.fake import KERNEL, FakeMemory

MM, LAST = KERNEL + 0x1000, (1 << 64) - 1
LEAF, RANGE, ARANGE = 1, 2, 3
PLACES = {
    "mm_struct.mm_mt": (64, 16), "maple_tree.ma_root": (8, 8), "maple_range_64.pivot": (8, 120), "maple_range_64.slot": (128, 128),
    "maple_arange_64.pivot": (8, 72), "maple_arange_64.slot": (80, 80),
}  # fmt: skip


class Tree:
    """Nodes of a maple tree, each at an address of its own."""

    def __init__(self) -> None:
        self.memory = FakeMemory()
        self._next = KERNEL + 0x10000

    def node(self, kind: int, slots: list[tuple[int, int]]) -> int:
        """A node from slots and the last address of each; the pointer to it, with its kind."""
        at, self._next = self._next, self._next + 256
        pivots, width = (15, 16) if kind != ARANGE else (9, 10)
        lasts = [last for last, _ in slots][:pivots]
        entries = [entry for _, entry in slots]
        data = struct.pack(f"<Q{pivots}Q{width}Q", 0, *lasts, *[0] * (pivots - len(lasts)), *entries, *[0] * (width - len(entries)))
        self.memory.put(at, data.ljust(256, b"\0"))
        return at | kind << 3 | 4

    def root(self, entry: int) -> list[int]:
        """The areas under a root."""
        self.memory.word(MM + 72, entry)
        return addresses.areas(fake.walk(self.memory, fake.layouts({}, PLACES)), MM)


def area(n: int) -> int:
    return KERNEL + 0x100000 + n * 0x100


def test_an_address_space_without_areas_has_none() -> None:
    assert Tree().root(0) == []


def test_one_leaf_with_holes() -> None:
    tree = Tree()
    leaf = tree.node(LEAF, [(0xFFF, 0), (0x1FFF, area(1)), (0x4FFF, 0), (0x5FFF, area(2)), (LAST, 0)])
    assert tree.root(leaf | 2) == [area(1), area(2)]


def test_a_full_leaf_ends_with_its_own_range() -> None:
    tree = Tree()
    full = [(0x1000 * (n + 1) - 1, area(n)) for n in range(16)]
    left = tree.node(LEAF, full)
    right = tree.node(LEAF, [(0x10FFF, area(16)), (LAST, 0)])
    top = tree.node(ARANGE, [(0xFFFF, left), (LAST, right)])
    assert tree.root(top | 2) == [area(n) for n in range(17)]


@pytest.mark.parametrize("kind", [RANGE, ARANGE])
def test_three_levels(kind: int) -> None:
    tree = Tree()
    leaves = [tree.node(LEAF, [(0x1000 * (n + 1) - 1, area(n)), (0x100000 * (n + 1) - 1, 0)]) for n in range(4)]
    inner = [
        tree.node(kind, [(0x100000 * (2 * n + 1) - 1, leaves[2 * n]), (0x100000 * (2 * n + 2) - 1, leaves[2 * n + 1])]) for n in range(2)
    ]
    top = tree.node(kind, [(0x1FFFFF, inner[0]), (LAST, inner[1])])
    assert tree.root(top | 2) == [area(n) for n in range(4)]


def test_a_kind_of_node_that_is_not_known_is_a_gap() -> None:
    tree = Tree()
    tree.memory.word(MM + 72, KERNEL + 0x20000 | 9 << 3 | 2)
    found = fake.walk(tree.memory, fake.layouts({}, PLACES))
    assert addresses.areas(found, MM) == []
    assert found.gaps == {"maple_tree.ma_root"}
