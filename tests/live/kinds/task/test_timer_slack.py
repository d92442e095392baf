"""What task.timer_slack promises, kept by a real dump and restore."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import holdfast
from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_the_slack_survives_and_the_default_is_the_same(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            prctl(29, 123456)
            pause()
            say(prctl(30))
            prctl(29, 0)
            say(prctl(30))
            """
        ),
    )
    assert trip.said == trip.control == [123456, 50000]


def test_the_longest_slack_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            libc.prctl(29, ctypes.c_ulong(2**64 - 1))
            pause()
            say(read("/proc/self/timerslack_ns"))
            """
        ),
    )
    assert trip.said == trip.control == ["18446744073709551615\n"]


def test_a_default_that_the_parent_gave_survives(tmp_path: Path) -> None:
    libc = ctypes.CDLL(None)
    before = libc.prctl(30)
    libc.prctl(29, 70000)
    try:
        subject = harness.start(
            tmp_path,
            with_calls(
                """
                prctl(29, 123456)
                pause()
                say(prctl(30))
                prctl(29, 0)
                say(prctl(30))
                """
            ),
        )
    finally:
        libc.prctl(29, before)
    try:
        holdfast.dump(subject.pid, tmp_path / "image")
        subject.process.wait()
    finally:
        subject.kill()
    harness.restored(tmp_path / "image", subject)
    assert subject.said == [123456, 70000]


def test_defaults_of_threads_and_children_that_their_makers_gave_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            import queue
            wanted, told = queue.Queue(), queue.Queue()

            def thread():
                wanted.get()
                prctl(29, 0)
                told.put(prctl(30))

            def child(end):
                os.read(end, 1)
                prctl(29, 0)
                os.write(up[1], b"%d " % prctl(30))
                os._exit(0)

            up, down = os.pipe(), os.pipe()
            threads, children = [], []
            for slack in (60000, 70000, 80000):
                prctl(29, slack)
                threads.append(threading.Thread(target=thread))
                threads[-1].start()
                children.append(os.fork() or child(down[0]))
            prctl(29, 90000)
            pause()
            for each in threads:
                wanted.put(1)
                each.join()
            os.write(down[1], b"go!")
            for pid in children:
                os.waitpid(pid, 0)
            say(sorted(told.get() for _ in threads))
            say(sorted(int(word) for word in os.read(up[0], 100).split()))
            say(prctl(30))
            prctl(29, 0)
            say(prctl(30))
            """
        ),
    )
    assert trip.said == trip.control == [[60000, 70000, 80000], [60000, 70000, 80000], 90000, 50000]
