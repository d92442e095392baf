"""The time slice of this process."""

from __future__ import annotations

import os

import pytest

from holdfast.kernel.sched import own_slice_ns


def test_the_slice_is_that_of_a_fair_policy_or_unknown() -> None:
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        pytest.skip("machine cannot: this process does not run under the normal policy")
    assert own_slice_ns() in {0, *range(100_000, 100_000_001)}
