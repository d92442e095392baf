"""hunt.interfaces.events: sound recipes, and constants of tomorrow."""

from __future__ import annotations

from holdfast.hunt.interfaces import events
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(events) == []


def test_a_constant_of_tomorrow_is_tried() -> None:
    assert "eventfd/flag.EFD_TOMORROW" in {r.name for r in made(events, with_constant("EFD_TOMORROW", 2, "linux/eventfd.h"))}
    assert "fanotify/mask.FAN_TOMORROW" in {r.name for r in made(events, with_constant("FAN_TOMORROW", 0x200000, "linux/fanotify.h"))}
