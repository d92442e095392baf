"""hunt.interfaces.tree: sound recipes, and constants of tomorrow."""

from __future__ import annotations

from holdfast.hunt.interfaces import tree
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(tree) == []


def test_a_constant_of_tomorrow_is_tried() -> None:
    assert "clone/clone3.CLONE_TOMORROW" in {r.name for r in made(tree, with_constant("CLONE_TOMORROW", 0x4000000000, "linux/sched.h"))}
