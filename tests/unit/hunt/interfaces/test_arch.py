"""hunt.interfaces.arch: codes by prefix, descriptor tables by sort."""

from __future__ import annotations

from holdfast.hunt.interfaces import arch
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(arch) == []


def test_a_code_of_tomorrow_is_tried_and_its_getter_is_found() -> None:
    constants = with_constant("ARCH_SET_TOMORROW", 28673, "asm/prctl.h")
    constants = type(constants)([*constants.rows(), ("ARCH_GET_TOMORROW", 28674, "asm/prctl.h")])
    found = {r.name: r for r in made(arch, constants) if "TOMORROW" in r.name}
    assert "arch_prctl/self.ARCH_SET_TOMORROW=1" in found
    assert str(found["arch_prctl/self.ARCH_SET_TOMORROW=1"].get[0]) == "arch_prctl(ARCH_GET_TOMORROW=28674, [8])"


def test_features_and_getters_are_no_codes() -> None:
    names = " ".join(r.name for r in made(arch))
    assert "ARCH_SET_CPUID" in names
    assert "ARCH_GET_" not in names
    assert "ARCH_SHSTK_WRSS=" not in names
