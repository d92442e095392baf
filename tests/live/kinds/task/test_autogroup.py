"""What task.autogroup promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_the_sessions_nice_value_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            with open("/proc/self/autogroup", "w") as f:
                f.write("5")
            pause()
            say(read("/proc/self/autogroup").split()[-1])
            """
        ),
    )
    assert trip.said == trip.control == ["5"]
