"""What task.sigmask promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_each_thread_keeps_its_mask(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            def run(i):
                signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1, i, 40 + i})
                started.release()
                go.wait()
                seen[i] = sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, [])))
            seen = {}
            started, go = threading.Semaphore(0), threading.Event()
            threads = [threading.Thread(target=run, args=(i,)) for i in (3, 5)]
            for thread in threads:
                thread.start()
                started.acquire()
            pause()
            go.set()
            for thread in threads:
                thread.join()
            say(seen)
            """
        ),
    )
    assert trip.said == trip.control == [{"3": [3, 10, 43], "5": [5, 10, 45]}]
