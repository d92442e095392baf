"""hunt.interfaces.ttys: sound recipes, and constants of tomorrow."""

from __future__ import annotations

from holdfast.hunt.interfaces import ttys
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(ttys) == []


def test_a_constant_of_tomorrow_is_tried() -> None:
    assert "termios/c_lflag.ECHOTOMORROW" in {r.name for r in made(ttys, with_constant("ECHOTOMORROW", 0x40000, "asm-generic/termbits.h"))}
