"""hunt.asked: values that a kernel cannot tell apart are one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.hunt.asked import distinct
from holdfast.prog.text import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

GET = (Line("get"),)
SETTERS = {str(n): Line("set", (n,)) for n in (0, 1, 2, 9)}


def switch(lines: Sequence[Line], getter: Line) -> int | None:
    """A kernel with one switch that is off at first, and knows no 9."""
    numbers = [a for line in lines for a in line.args if isinstance(a, int)]
    return None if 9 in numbers else int(any(numbers))


def test_values_of_one_state_are_tried_once_and_the_first_state_after_another() -> None:
    assert distinct(switch, SETTERS, GET) == {"0": "1", "1": "", "9": ""}


def test_all_are_tried_where_no_getter_sees_one() -> None:
    assert distinct(lambda lines, getter: 5, SETTERS, GET) == {"0": "", "1": "", "2": "", "9": ""}
    assert distinct(switch, SETTERS, ()) == {"0": "", "1": "", "2": "", "9": ""}
