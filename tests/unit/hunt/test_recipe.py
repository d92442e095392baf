"""Recipes: text and back, points, keys."""

from __future__ import annotations

import pytest

from holdfast.errors import UsageError
from holdfast.hunt.recipe import HEAD, Recipe, parse, unique
from holdfast.prog.text import Line

TEXT = f"""{HEAD}
name pipe/read
interface pipe
security
make pipe2(both:[8], 0)
make child = clone(SIGCHLD=17, 0, 0, 0, 0)
state child: read($both@0:4, [16], 16) blocks
get fcntl($both@0:4, F_GETFL=3)
after write($both@4:4, b'abc', 3)
point 3 inside
"""


def test_a_recipe_is_printed_as_it_was_written() -> None:
    made = parse(TEXT)
    assert made.text() == TEXT
    assert (made.name, made.interface, made.security, made.at, made.inside) == ("pipe/read", "pipe", True, 3, True)
    assert [len(made.make), len(made.state), len(made.get), len(made.after)] == [2, 1, 1, 1]


def test_comments_and_empty_lines_are_nothing() -> None:
    assert parse("# a word\n\n  " + TEXT) == parse(TEXT)


def test_points_are_before_every_line_and_inside_what_blocks() -> None:
    plain = parse(TEXT).replace(point=None, inside=False)
    assert [(p.at, p.inside) for p in plain.points()] == [(0, False), (1, False), (2, False), (3, True)]
    assert len({p.name for p in plain.points()}) == 4


def test_the_key_is_of_what_is_done_and_not_of_the_name() -> None:
    one = parse(TEXT)
    assert one.replace(name="other").key == one.key
    assert one.replace(state=()).key != one.key
    assert unique([one, one.replace(name="other")]) == [one]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name x\nmake getpid()\nbogus line\n", "begins with none of make, state, get, after"),
        ("make getpid()\n", "it needs a name"),
        ("name x\n", "it needs a name and at least one line"),
        ("name x\nmake getpid()\npoint 2\n", "point 2 is not among its 1 lines"),
        ("name x\nmake getpid()\npoint 1 inside\n", "line 1 does not block"),
        ("name x\nmake getpid()\npoint one\n", "`point NUMBER`"),
        ("name x\nmake getpid(\n", "expected an argument"),
    ],
)
def test_what_is_no_recipe_says_why(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.code == "usage.recipe"
    assert why in caught.value.why


def test_a_recipe_made_by_hand_has_the_same_text() -> None:
    made = Recipe("a", "b", (Line("getpid"),))
    assert parse(made.text()) == made
