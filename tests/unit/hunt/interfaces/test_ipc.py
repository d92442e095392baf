"""hunt.interfaces.ipc: sound recipes, and constants of tomorrow."""

from __future__ import annotations

from holdfast.hunt.interfaces import ipc
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(ipc) == []


def test_a_constant_of_tomorrow_is_tried() -> None:
    assert "shm/attached.SHM_TOMORROW" in {r.name for r in made(ipc, with_constant("SHM_TOMORROW", 0x80000, "linux/shm.h"))}
