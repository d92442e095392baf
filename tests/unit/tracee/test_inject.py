"""Which signal a loop stops itself with."""

from __future__ import annotations

import pytest

from holdfast.tracee.inject import blocked, quiet_signal

WINCH, URG, CHLD = (1 << (n - 1) for n in (28, 23, 17))
ALL = (1 << 64) - 1


@pytest.mark.parametrize(
    ("ignored", "caught", "pending", "signal"),
    [
        (0, 0, 0, 28),
        (0, WINCH, 0, 23),
        (0, 0, WINCH | URG, 17),
        (1 << 12, WINCH | URG | CHLD, 0, 13),
        (1 << 12 | 1 << 39, WINCH | URG | CHLD, 0, 40),
        (1 << 12, WINCH | URG | CHLD, 1 << 12, 0),
        # stop signals are no good although they can be ignored: SIGTSTP, SIGTTIN, SIGTTOU
        (1 << 19 | 1 << 20 | 1 << 21, WINCH | URG | CHLD, 0, 0),
        (0, ALL, 0, 0),
    ],
)
def test_a_quiet_signal_is_ignored_and_not_pending(ignored: int, caught: int, pending: int, signal: int) -> None:
    assert quiet_signal(ignored, caught, pending) == signal


def test_everything_is_blocked_but_the_quiet_signal() -> None:
    assert blocked(28) == ALL & ~WINCH
    assert blocked(0) == ALL
