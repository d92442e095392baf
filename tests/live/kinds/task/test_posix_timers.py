"""What task.posix_timers promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_ids_clocks_and_targets_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            def make(clock, value, number, notify, thread=0):
                out = ctypes.c_int()
                call(222, clock, struct.pack("<Qiii44x", value, number, notify, thread), ctypes.byref(out))
                return out.value
            def gone(n):
                for _ in range(n):
                    call(226, make(1, 0, 0, 1))
            signal.pthread_sigmask(signal.SIG_BLOCK, range(34, 60))
            gone(3)
            ids = [make(1, 0x1122334455667788, 34, 0)]
            call(223, ids[0], 0, struct.pack("<4q", 300, 5, 1000, 7), 0)
            gone(1)
            ids += [make(0, 7, 35, 0), make(7, 9, 0, 1), make(-6, 5, 36, 0), make(1, 6, 37, 4, threading.get_native_id())]
            before = read("/proc/self/timers")
            pause()
            say([ids, read("/proc/self/timers") == before])
            out = ctypes.create_string_buffer(32)
            call(224, ids[0], out)
            got = struct.unpack("<4q", out.raw)
            say([got[0], got[1], 900 < got[2] <= 1000])
            call(223, ids[4], 0, struct.pack("<4q", 0, 0, 0, 1000), 0)
            found = signal.sigwaitinfo({37})
            say([found.si_signo, found.si_code])
            """
        ),
    )
    assert trip.said == trip.control == [[[3, 5, 6, 7, 8], True], [300, 5, True], [37, -2]]


def test_a_number_beyond_a_thousand_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            out = ctypes.c_int()
            for _ in range(1500):
                call(222, 1, struct.pack("<Qiii44x", 0, 0, 1, 0), ctypes.byref(out))
                call(226, out.value)
            call(222, 1, struct.pack("<Qiii44x", 0, 0, 1, 0), ctypes.byref(out))
            pause()
            say([out.value, call(225, out.value)])
            """
        ),
    )
    assert trip.said == trip.control == [[1500, 0]]


def test_a_timer_that_fires_while_the_tree_is_stopped_is_not_lost(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            signal.pthread_sigmask(signal.SIG_BLOCK, {38})
            out = ctypes.c_int()
            call(222, 1, struct.pack("<Qiii44x", 77, 38, 0, 0), ctypes.byref(out))
            ready_at = time.monotonic() + 0.02
            call(223, out.value, 1, struct.pack("<4q", 0, 0, int(ready_at), int(ready_at % 1 * 1e9)), 0)
            pause()
            found = signal.sigtimedwait({38}, 5)
            say([found.si_signo, found.si_code])
            """
        ),
    )
    assert trip.said == trip.control == [[38, -2]]
