"""What task.itimers promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_what_remains_and_the_interval_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            signal.setitimer(signal.ITIMER_REAL, 1000, 500)
            signal.setitimer(signal.ITIMER_VIRTUAL, 2000)
            signal.setitimer(signal.ITIMER_PROF, 3000, 700)
            pause()
            for which in range(3):
                remaining, interval = signal.getitimer(which)
                say([round(remaining, -2), round(interval)])
            """
        ),
    )
    assert trip.said == trip.control == [[1000, 500], [2000, 0], [3000, 700]]


def test_a_cpu_timer_that_only_has_an_interval_is_not_started(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            signal.setitimer(signal.ITIMER_PROF, 0, 700)
            pause()
            say(signal.getitimer(signal.ITIMER_PROF))
            """
        ),
    )
    assert trip.said == trip.control == [[0.0, 700.0]]


def test_an_alarm_goes_off_afterwards(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            pause()
            say(signal.sigwait({signal.SIGALRM}))
            """
        ),
    )
    assert trip.said == trip.control == [14]


def test_a_fast_timer_never_stops(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            pause()
            for _ in range(5):
                say(signal.sigwait({signal.SIGALRM}))
            """
        ),
    )
    assert trip.said == trip.control == [14] * 5
