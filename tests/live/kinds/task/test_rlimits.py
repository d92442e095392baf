"""What task.rlimits promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.kinds.task.rlimits import CAP_SYS_RESOURCE
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


@pytest.mark.parametrize("leave", [False, True])
def test_limits_below_what_is_mapped_survive(tmp_path: Path, leave: bool) -> None:
    # nothing more can be mapped, neither by the program nor by us in its place
    trip = harness.roundtrip(
        tmp_path,
        """
        import mmap, resource
        locked = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        limits = [(resource.RLIMIT_AS, (4096, -1)), (resource.RLIMIT_DATA, (20, -1)), (resource.RLIMIT_MEMLOCK, (0, locked))]
        for number, values in limits:
            resource.setrlimit(number, values)
        pause()
        say([resource.getrlimit(number) == values for number, values in limits])
        try:
            mmap.mmap(-1, 4096)
        except OSError as error:
            say(error.errno)
        """,
        leave_running=leave,
    )
    assert trip.said == trip.control == [[True] * 3, 12]


def test_a_hard_limit_below_what_is_mapped_is_raised_by_who_may(tmp_path: Path) -> None:
    source = """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (4096, 8192))
        pause()
        say(resource.getrlimit(resource.RLIMIT_AS))
        """
    if _may_raise_limits():
        assert harness.roundtrip(tmp_path, source).said == [[4096, 8192]]
    else:
        assert harness.refused(tmp_path, source) == ["memory_limit"]


def _may_raise_limits() -> bool:
    with open("/proc/self/status", "rb") as f:
        effective = next(int(line.split()[1], 16) for line in f if line.startswith(b"CapEff:"))
    return bool(effective >> CAP_SYS_RESOURCE & 1)


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
