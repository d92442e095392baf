"""The time slice of this process."""

from __future__ import annotations

import os

import pytest

from holdfast.kernel.sched import own_slice_ns


def test_the_slice_is_that_of_a_fair_policy_or_unknown() -> None:
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        pytest.skip("machine cannot: this process does not run under the normal policy")
    found = own_slice_ns()
    assert found == 0 or 100_000 <= found <= 100_000_000
