"""Text that may hold anything becomes a line or a block."""

from __future__ import annotations

import pytest

from holdfast.report.plain import block, line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain äß 漢", "plain äß 漢"),
        ("a\nb\r\x1b[31m", "a\\x0ab\\x0d\\x1b[31m"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\udcff\uffff\ufeff", "\\udcff\\uffff\\ufeff"),
        ("\x85\u2028", "\\x85\\u2028"),
    ],
)
def test_a_line_holds_no_control_character(text: str, expected: str) -> None:
    assert line(text) == expected


def test_a_cut_is_said() -> None:
    assert line("abcdef", 3) == "abc... (6 characters)"
    assert line("abc", 3) == "abc"


def test_a_block_keeps_its_lines_and_nothing_else() -> None:
    assert block("a\tb\r\nc\x07\n") == "a       b\nc\\x07\n"
