"""What task.affinity promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_a_bound_thread_stays_bound_and_a_free_one_free(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            def run():
                os.sched_setaffinity(0, [min(os.sched_getaffinity(os.getpid()))])
                started.release()
                go.wait()
                seen.append(sorted(os.sched_getaffinity(0)))
            seen = []
            started, go = threading.Semaphore(0), threading.Event()
            thread = threading.Thread(target=run)
            thread.start()
            started.acquire()
            pause()
            go.set()
            thread.join()
            say([seen, sorted(os.sched_getaffinity(0))])
            """
        ),
    )
    assert trip.said == trip.control
    assert len(trip.said[0][0][0]) == 1
