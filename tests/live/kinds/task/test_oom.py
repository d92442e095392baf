"""What task.oom promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_the_weight_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            with open("/proc/self/oom_score_adj", "w") as f:
                f.write("333")
            pause()
            say(read("/proc/self/oom_score_adj"))
            """
        ),
    )
    assert trip.said == trip.control == ["333\n"]


def test_a_process_may_set_what_it_might_before_and_no_less(tmp_path: Path) -> None:
    # root lowers the limit to -500, where it has CAP_SYS_RESOURCE, then an ordinary user raises the weight
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            keep_output()
            def write(value):
                try:
                    with open("/proc/self/oom_score_adj", "w") as f:
                        f.write(str(value))
                    return read("/proc/self/oom_score_adj")
                except OSError as e:
                    return e.errno
            lowest = -500 if write(-500) == "-500\\n" else 0
            os.chmod(".", 0o777)
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            prctl(4, 1)
            say(write(300))
            pause()
            say([read("/proc/self/oom_score_adj"), write(lowest - 1), write(lowest) == f"{lowest}\\n"])
            """
        ),
    )
    assert trip.said == trip.control == ["300\n", ["300\n", 13, True]]
