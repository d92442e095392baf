"""hunt.interfaces.pipes: sound recipes."""

from __future__ import annotations

from holdfast.hunt.interfaces import pipes
from tests.unit.hunt.interfaces.soundness import faults


def test_every_recipe_is_sound() -> None:
    assert faults(pipes) == []
