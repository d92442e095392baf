"""hunt.interfaces.perfbpf: sound recipes, and constants of tomorrow."""

from __future__ import annotations

from holdfast.hunt.interfaces import perfbpf
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(perfbpf) == []


def test_a_constant_of_tomorrow_is_tried() -> None:
    assert "bpf/map.BPF_MAP_TYPE_TOMORROW" in {r.name for r in made(perfbpf, with_constant("BPF_MAP_TYPE_TOMORROW", 77, "linux/bpf.h"))}
