"""hunt.interfaces.userfaultfd: features and modes by prefix."""

from __future__ import annotations

from holdfast.hunt.interfaces import userfaultfd
from tests.unit.hunt.interfaces.soundness import faults, made, using, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(userfaultfd) == []


def test_a_feature_and_a_mode_of_tomorrow_are_tried() -> None:
    feature = using(made(userfaultfd, with_constant("UFFD_FEATURE_TOMORROW", 1 << 30, "linux/userfaultfd.h")), "")
    assert "userfaultfd/api.UFFD_FEATURE_TOMORROW" in feature
    mode = using(made(userfaultfd, with_constant("UFFDIO_REGISTER_MODE_TOMORROW", 8, "linux/userfaultfd.h")), "")
    assert {"userfaultfd/anon.UFFDIO_REGISTER_MODE_TOMORROW", "userfaultfd/memfd.UFFDIO_REGISTER_MODE_TOMORROW"} <= set(mode)
