"""hunt.interfaces.timers: sound recipes, and constants of tomorrow."""

from __future__ import annotations

from holdfast.hunt.interfaces import timers
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(timers) == []


def test_a_constant_of_tomorrow_is_tried() -> None:
    assert "timer_create/CLOCK_TOMORROW.unarmed" in {r.name for r in made(timers, with_constant("CLOCK_TOMORROW", 15, "linux/time.h"))}
