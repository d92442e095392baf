"""hunt.interfaces.signals: sound recipes, and constants of tomorrow."""

from __future__ import annotations

from holdfast.hunt.interfaces import signals
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(signals) == []


def test_a_constant_of_tomorrow_is_tried() -> None:
    assert "sigaction/SIGUSR1.SA_TOMORROW" in {
        r.name for r in made(signals, with_constant("SA_TOMORROW", 0x2000, "asm-generic/signal-defs.h"))
    }
    assert "sigaltstack/self.SS_TOMORROW" in {r.name for r in made(signals, with_constant("SS_TOMORROW", 0x40, "linux/signal.h"))}
