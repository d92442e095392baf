"""hunt.actors: who makes a line."""

from __future__ import annotations

from holdfast.hunt import actors
from holdfast.hunt.interfaces.script import Script
from tests.unit.hunt.interfaces.soundness import today


def test_lines_are_made_by_the_actor() -> None:
    assert actors.by("child", "getpid() ; fd = dup(0)") == "child: getpid() ; child: fd = dup(0)"
    assert actors.by("self", "getpid()") == "getpid()"
    assert actors.by("child", "") == ""


def test_every_actor_is_born_by_a_line_of_its_name() -> None:
    script = Script(today())
    born = {name: script.lines(text) for name, text in actors.ACTORS.items()}
    assert {name: [line.result for line in lines] for name, lines in born.items()} == {"self": [], "thread": ["thread"], "child": ["child"]}


def test_an_heir_is_born_before_it_acts() -> None:
    script = Script(today())
    assert [(line.result, line.actor, line.call) for line in script.lines(actors.told("getpid()"))] == [
        ("heir", "", "clone"),
        ("", "heir", "getpid"),
    ]


def test_texts_that_say_nothing_are_left_out() -> None:
    assert actors.and_then("getpid()", "", "getuid()") == "getpid() ; getuid()"
