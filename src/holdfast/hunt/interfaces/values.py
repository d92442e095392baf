"""Values worth trying where nothing is known of an option: what kernels get wrong stands at boundaries, single bits and small numbers."""

from __future__ import annotations

SMALL = (0, 1, 2)


def numbers(got: int | None = None, width: int = 4) -> tuple[int, ...]:
    """Small numbers, the ends of the type, and what a getter returned plus and minus one, without what it returned.

    Shape:   unsigned, as they stand in memory; each once, small ones first
    Unit:    width in bytes
    """
    top = 1 << 8 * width
    tried = (*SMALL, *(() if got is None else (got - 1, got + 1)), top // 2 - 1, top - 1)
    now = None if got is None else got % top
    return tuple(dict.fromkeys(value % top for value in tried if value % top != now))


def bits(width: int = 4, got: int | None = None) -> tuple[int, ...]:
    """Every single bit of a word of flags, added to or taken from what a getter returned.

    Unit:    width in bytes
    """
    return tuple((got or 0) ^ 1 << n for n in range(8 * width))


def word(value: int, width: int = 4) -> bytes:
    """A number as it stands in memory, cut to the width in bytes."""
    return (value % (1 << 8 * width)).to_bytes(width, "little")
