"""hunt.interfaces.memfd: flags and seals by prefix."""

from __future__ import annotations

from holdfast.hunt.interfaces import memfd
from tests.unit.hunt.interfaces.soundness import faults, made, using, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(memfd) == []


def test_a_seal_and_a_flag_of_tomorrow_are_tried_alone_and_with_others() -> None:
    sealed = using(made(memfd, with_constant("F_SEAL_TOMORROW", 0x40, "linux/fcntl.h")), "F_SEAL_TOMORROW")
    assert {"seals/memfd.F_SEAL_TOMORROW", "seals/memfd.F_SEAL_WRITE|F_SEAL_TOMORROW", "seals/mapped.F_SEAL_TOMORROW"} <= set(sealed)
    flagged = using(made(memfd, with_constant("MFD_TOMORROW", 0x40, "linux/memfd.h")), "MFD_TOMORROW")
    assert {"memfd_create/fd.MFD_TOMORROW", "memfd_create/fd.MFD_CLOEXEC|MFD_TOMORROW"} <= set(flagged)


def test_every_seal_is_security() -> None:
    assert [r.name for r in made(memfd) if r.interface == "seals" and not r.security] == []
