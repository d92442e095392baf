"""hunt.interfaces.fcntl: sound recipes, and constants of tomorrow."""

from __future__ import annotations

from holdfast.hunt.interfaces import fcntl
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(fcntl) == []


def test_a_constant_of_tomorrow_is_tried() -> None:
    assert "fcntl/memfd.F_ADD_SEALS=F_SEAL_TOMORROW" in {
        r.name for r in made(fcntl, with_constant("F_SEAL_TOMORROW", 0x800, "linux/fcntl.h"))
    }
    assert "fcntl/file.F_SET_TOMORROW=1" in {r.name for r in made(fcntl, with_constant("F_SET_TOMORROW", 1999, "linux/fcntl.h"))}
