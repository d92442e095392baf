"""task.itimers: a timer that repeats and waits for its signal to be taken (found by `holdfast demo`)."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests import harness

if TYPE_CHECKING:
    from pathlib import Path


def test_a_timer_that_ran_out_while_its_signal_was_blocked_goes_on_repeating(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        while signal.SIGALRM not in signal.sigpending():
            pass
        pause()
        say([signal.sigwait({signal.SIGALRM}) for _ in range(3)])
        say(signal.getitimer(signal.ITIMER_REAL)[1])
        """,
    )
    assert trip.said == trip.control == [[signal.SIGALRM] * 3, 0.001]
