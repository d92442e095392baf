"""What task.rlimits promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_soft_and_hard_limits_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            import resource
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_NPROC, (5000, 6000))
            pause()
            say([resource.getrlimit(n) for n in range(16)])
            """
        ),
    )
    assert trip.said == trip.control


def test_used_cpu_time_is_a_loss_that_is_said(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        import resource
        resource.setrlimit(resource.RLIMIT_CPU, (100, 200))
        pause()
        say(resource.getrlimit(resource.RLIMIT_CPU))
        """,
    )
    assert trip.said == [[100, 200]]
    assert [line.split(":")[0] for line in trip.losses] == ["task.rlimits"]
