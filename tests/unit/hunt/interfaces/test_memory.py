"""hunt.interfaces.memory: flags and advices by prefix, objects of every sort."""

from __future__ import annotations

from holdfast.hunt.interfaces import memory
from tests.unit.hunt.interfaces.soundness import faults, made, using, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(memory) == []


def test_a_flag_and_an_advice_of_tomorrow_are_tried() -> None:
    advice = using(made(memory, with_constant("MADV_TOMORROW", 77, "asm-generic/mman-common.h")), "MADV_TOMORROW=77")
    assert {"madvise/anon.MADV_TOMORROW", "madvise/memfd.MADV_TOMORROW", "madvise/anon.middle.MADV_TOMORROW"} <= set(advice)
    flag = using(made(memory, with_constant("MAP_TOMORROW", 0x8000000, "linux/mman.h")), "MAP_TOMORROW")
    assert {"mmap/anon.MAP_PRIVATE|MAP_TOMORROW", "mmap/memfd.MAP_SHARED|MAP_TOMORROW", "mmap/validate.MAP_TOMORROW"} <= set(flag)


def test_no_advice_takes_memory_from_the_machine() -> None:
    found = made(memory)
    assert using(found, "MADV_GUARD_INSTALL") != []
    assert using(found, "MADV_HWPOISON") + using(found, "MADV_SOFT_OFFLINE") == []


def test_what_seals_and_guards_forbid_is_security() -> None:
    secure = {r.interface for r in made(memory) if r.security}
    assert {"mseal", "madvise", "pkey", "mprotect", "map_shadow_stack"} == secure
