"""What task.child_subreaper promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_orphans_still_come_to_it(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            prctl(36, 1)
            pause()
            say(pid_value(37))
            child = os.fork()
            if child == 0:
                grandchild = os.fork()
                if grandchild == 0:
                    os._exit(7)
                os._exit(0)
            found = sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2))
            say(found)
            """
        ),
    )
    assert trip.said == trip.control == [1, [0, 7]]
