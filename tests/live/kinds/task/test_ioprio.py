"""What task.ioprio promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_class_and_level_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            call(251, 1, 0, 2 << 13 | 6)
            pause()
            say(call(252, 1, 0))
            """
        ),
    )
    assert trip.said == trip.control == [2 << 13 | 6]
