"""What task.comm promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_a_name_of_any_bytes_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            prctl(15, b"a\\n(b) \\\\ \\xff")
            pause()
            say(list(read("/proc/self/comm").encode("latin-1")))
            """
        ),
    )
    assert trip.said == trip.control == [list(b"a\n(b) \\ \xff\n")]


def test_each_thread_keeps_its_own_name(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            names = {}
            def run(i):
                prctl(15, b"worker%d" % i)
                started.release()
                go.wait()
                out = ctypes.create_string_buffer(16)
                prctl(16, out)
                names[i] = out.value.decode()
            started, go = threading.Semaphore(0), threading.Event()
            threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
            for thread in threads:
                thread.start()
                started.acquire()
            pause()
            go.set()
            for thread in threads:
                thread.join()
            say(names)
            """
        ),
    )
    assert trip.said == trip.control == [{str(i): f"worker{i}" for i in range(4)}]
