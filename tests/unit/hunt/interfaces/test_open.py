"""hunt.interfaces.open: sound recipes, and constants of tomorrow."""

from __future__ import annotations

from holdfast.hunt.interfaces import open as opened
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(opened) == []


def test_a_constant_of_tomorrow_is_tried() -> None:
    assert "open/file.O_RDWR=O_TOMORROW" in {r.name for r in made(opened, with_constant("O_TOMORROW", 0x8000000, "asm-generic/fcntl.h"))}
    assert "file/named.FS_IOC_SETFLAGS=FS_TOMORROW_FL" in {
        r.name for r in made(opened, with_constant("FS_TOMORROW_FL", 0x8000, "linux/fs.h"))
    }
