"""What task.pdeathsig promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.root
def test_the_signal_survives_a_change_of_credentials(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            keep_output()
            os.setresuid(1, 1, 1)
            prctl(1, 12)
            pause()
            say(pid_value(2))
            """
        ),
    )
    assert trip.said == trip.control == [12]
