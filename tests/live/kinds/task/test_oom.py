"""What task.oom promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_the_weight_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            with open("/proc/self/oom_score_adj", "w") as f:
                f.write("333")
            pause()
            say(read("/proc/self/oom_score_adj"))
            """
        ),
    )
    assert trip.said == trip.control == ["333\n"]
