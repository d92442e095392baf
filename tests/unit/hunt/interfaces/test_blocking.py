"""hunt.interfaces.blocking: sound recipes."""

from __future__ import annotations

from holdfast.hunt.interfaces import blocking
from tests.unit.hunt.interfaces.soundness import faults, made


def test_every_recipe_is_sound() -> None:
    assert faults(blocking) == []


def test_the_checkpoint_falls_inside_of_every_call() -> None:
    found = made(blocking)
    assert [r.name for r in found if not (r.inside and r.lines[r.at - 1].blocks)] == []
    assert [r.name for r in found if not r.after] == []
