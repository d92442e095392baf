"""What task.sched promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_nice_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            os.nice(7)
            pause()
            say(os.getpriority(os.PRIO_PROCESS, 0))
            """
        ),
    )
    assert trip.said == trip.control == [7]


def test_batch_and_idle_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            seen = []
            def run(policy, nice):
                os.sched_setscheduler(0, policy, os.sched_param(0))
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
                started.release()
                go.wait()
                seen.append([os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())])
            started, go = threading.Semaphore(0), threading.Event()
            threads = [threading.Thread(target=run, args=a) for a in ((os.SCHED_BATCH, 3), (os.SCHED_IDLE, 9))]
            for thread in threads:
                thread.start()
                started.acquire()
            pause()
            go.set()
            for thread in threads:
                thread.join()
            say(sorted(seen))
            """
        ),
    )
    assert trip.said == trip.control == [[[3, 3], [5, 9]]]


@pytest.mark.root
def test_real_time_priority_reset_on_fork_and_the_hidden_nice_value_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            os.setpriority(os.PRIO_PROCESS, 0, 3)
            os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(7))
            pause()
            say([os.sched_getscheduler(0), os.sched_getparam(0).sched_priority, os.getpriority(os.PRIO_PROCESS, 0)])
            """
        ),
    )
    assert trip.said == trip.control == [[0x40000001, 7, 3]]


@pytest.mark.root
def test_deadline_parameters_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            wanted = struct.pack("<IIQiIQQQII", 56, 6, 0, 0, 0, 10_000_000, 30_000_000, 40_000_000, 0, 0)
            call(314, 0, wanted, 0)
            pause()
            out = ctypes.create_string_buffer(56)
            call(315, 0, out, 56, 0)
            say(list(struct.unpack("<IIQiIQQQII", out.raw)[5:8]))
            """
        ),
    )
    assert trip.said == trip.control == [[10_000_000, 30_000_000, 40_000_000]]


def test_a_time_slice_of_its_own_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            call(314, 0, struct.pack("<IIQiIQQQII", 56, 0, 0, 0, 0, 7_000_000, 0, 0, 0, 0), 0)
            pause()
            out = ctypes.create_string_buffer(56)
            call(315, 0, out, 56, 0)
            say(struct.unpack("<IIQiIQQQII", out.raw)[5])
            """
        ),
    )
    assert trip.said == trip.control
