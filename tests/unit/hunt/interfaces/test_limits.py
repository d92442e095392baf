"""hunt.interfaces.limits: every limit, soft and hard."""

from __future__ import annotations

from holdfast.hunt.interfaces import limits
from tests.unit.hunt.interfaces.soundness import faults, made, using, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(limits) == []


def test_a_limit_of_tomorrow_is_tried() -> None:
    found = using(made(limits, with_constant("RLIMIT_TOMORROW", 16, "asm-generic/resource.h")), "RLIMIT_TOMORROW=16")
    assert {"prlimit/self.RLIMIT_TOMORROW=20,30", "prlimit/others.RLIMIT_TOMORROW=infinity,infinity"} <= set(found)


def test_no_limit_of_time_ends_the_subject() -> None:
    cpu = [r for r in made(limits) if "RLIMIT_CPU" in r.name]
    seconds = [int.from_bytes(a[:8], "little") for r in cpu for line in r.state for a in line.args if isinstance(a, bytes)]
    assert len(seconds) == len(cpu) > 3
    assert min(seconds) >= 1000


def test_every_limit_is_security() -> None:
    assert {r.security for r in made(limits)} == {True}
