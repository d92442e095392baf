"""What task.affinity promises, kept by a real dump and restore."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import harness
from tests.live.kinds.task.calls import with_calls


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


CPUSET = "/sys/fs/cgroup/cpuset"


@pytest.mark.root
@pytest.mark.skipif(not os.path.isdir(CPUSET) or (os.cpu_count() or 1) < 2, reason="machine cannot: no second CPU, or no v1 cpusets")
def test_a_free_thread_goes_with_its_cpuset(tmp_path: Path) -> None:
    # who asks for every CPU, as a restore does, is as free as one that never asked
    folder = Path(CPUSET) / f"holdfast-{os.getpid()}"
    folder.mkdir()
    source = f"""
        def put(name, text):
            with open({str(folder)!r} + "/" + name, "w") as file:
                file.write(text)
        pause()
        put("cgroup.procs", str(os.getpid()))
        seen = []
        for cpus in ("0", "0-1"):
            put("cpuset.cpus", cpus)
            seen.append(sorted(os.sched_getaffinity(0)))
        put("../cgroup.procs", str(os.getpid()))
        say(seen)
        """
    try:
        (folder / "cpuset.mems").write_text("0")
        (folder / "cpuset.cpus").write_text("0-1")
        assert harness.roundtrip(tmp_path, source).said == [[[0], [0, 1]]]
    finally:
        folder.rmdir()
