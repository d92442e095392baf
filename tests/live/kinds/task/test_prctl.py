"""What task.prctl promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_small_settings_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            prctl(33, 1, 1)
            pause()
            say([prctl(34), pid_value(25)])
            """
        ),
    )
    assert trip.said == trip.control == [[1, 1]]


@pytest.mark.tool("gcc")
def test_a_forbidden_time_stamp_counter_stays_forbidden(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        #include <sys/prctl.h>

        static void subject(void)
        {
            int seen = 0;
            prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
            pause_here();
            prctl(PR_GET_TSC, &seen);
            say("%d", seen);
        }
        """,
        language="c",
    )
    assert trip.said == trip.control == [2]
