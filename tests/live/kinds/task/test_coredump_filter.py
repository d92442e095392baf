"""What task.coredump_filter promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_the_filter_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            with open("/proc/self/coredump_filter", "w") as f:
                f.write("0x1f5")
            pause()
            say(read("/proc/self/coredump_filter"))
            """
        ),
    )
    assert trip.said == trip.control == ["000001f5\n"]
