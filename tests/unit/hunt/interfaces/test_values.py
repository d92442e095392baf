"""hunt.interfaces.values: what is tried where nothing is known."""

from __future__ import annotations

from holdfast.hunt.interfaces import values


def test_numbers_are_small_ones_ends_and_neighbours() -> None:
    assert values.numbers() == (0, 1, 2, 0x7FFFFFFF, 0xFFFFFFFF)
    assert values.numbers(width=1) == (0, 1, 2, 0x7F, 0xFF)
    assert values.numbers(64) == (0, 1, 2, 63, 65, 0x7FFFFFFF, 0xFFFFFFFF)


def test_what_the_getter_returned_is_no_state() -> None:
    assert values.numbers(0) == (1, 2, 0xFFFFFFFF, 0x7FFFFFFF)
    assert values.numbers(-1) == (0, 1, 2, 0xFFFFFFFE, 0x7FFFFFFF)


def test_bits_change_one_each() -> None:
    assert values.bits(1) == (1, 2, 4, 8, 16, 32, 64, 128)
    assert values.bits(1, 3)[:3] == (2, 1, 7)


def test_a_word_is_cut_to_its_width() -> None:
    assert values.word(-1, 2) == b"\xff\xff"
    assert values.word(0x12345, 2) == b"\x45\x23"
