"""What task.dumpable promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_off_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            prctl(4, 0)
            pause()
            say(prctl(3))
            """
        ),
    )
    assert trip.said == trip.control == [0]


@pytest.mark.root
def test_on_survives_a_change_of_credentials(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            keep_output()
            os.setresgid(1, 1, 1)
            os.setresuid(1, 1, 1)
            prctl(4, 1)
            pause()
            say(prctl(3))
            """
        ),
    )
    assert trip.said == trip.control == [1]
