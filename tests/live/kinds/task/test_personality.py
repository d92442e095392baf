"""What task.personality promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_domain_and_flags_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            call(135, 0x0440008)
            pause()
            say([call(135, 0xFFFFFFFF), os.uname().machine])
            """
        ),
    )
    assert trip.said == trip.control == [[0x0440008, "i686"]]
