"""hunt.interfaces.mempolicy: modes and flags by prefix."""

from __future__ import annotations

from holdfast.hunt.interfaces import mempolicy
from tests.unit.hunt.interfaces.soundness import faults, made, using, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(mempolicy) == []


def test_a_mode_of_tomorrow_is_tried_on_threads_and_mappings() -> None:
    found = using(made(mempolicy, with_constant("MPOL_TOMORROW", 60, "linux/mempolicy.h")), "MPOL_TOMORROW")
    assert {"set_mempolicy/self.MPOL_TOMORROW=node0", "set_mempolicy/thread.MPOL_TOMORROW", "mbind/memfd.MPOL_TOMORROW"} <= set(found)
