"""hunt.interfaces.aio: sound recipes, and constants of tomorrow."""

from __future__ import annotations

from holdfast.hunt.interfaces import aio
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(aio) == []


def test_a_constant_of_tomorrow_is_tried() -> None:
    assert "io_uring/setup.IORING_SETUP_TOMORROW" in {
        r.name for r in made(aio, with_constant("IORING_SETUP_TOMORROW", 0x800000, "linux/io_uring.h"))
    }
