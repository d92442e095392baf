"""What task.timer_slack promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_the_slack_survives_and_the_default_is_the_same(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            prctl(29, 123456)
            pause()
            say(prctl(30))
            prctl(29, 0)
            say(prctl(30))
            """
        ),
    )
    assert trip.said == trip.control == [123456, 50000]
