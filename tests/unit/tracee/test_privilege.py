"""Laying a capability down for a moment."""

from __future__ import annotations

from holdfast.tracee.privilege import Without

CAP_SYS_RESOURCE = 24


def effective() -> int:
    with open("/proc/thread-self/status") as f:
        return next(int(line.split()[1], 16) for line in f if line.startswith("CapEff:"))


def test_a_capability_is_away_inside_and_back_afterwards() -> None:
    before = effective()
    with Without(CAP_SYS_RESOURCE):
        assert effective() == before & ~(1 << CAP_SYS_RESOURCE)
    assert effective() == before


def test_it_is_back_where_something_fails_inside() -> None:
    before = effective()
    try:
        with Without(CAP_SYS_RESOURCE):
            raise ValueError
    except ValueError:
        assert effective() == before
