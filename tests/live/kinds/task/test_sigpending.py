"""What task.sigpending promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_both_queues_survive_with_what_the_senders_said(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            signal.pthread_sigmask(signal.SIG_BLOCK, {10, 12, 34, 35})
            me = os.getpid()
            os.kill(me, 12)
            for value in (1, 2, 3):
                call(129, me, 34, struct.pack("<iiixxxxiiQ", 34, 0, -1, 5, 6, value).ljust(128, b"\\0"))
            call(297, me, me, 35, struct.pack("<iiixxxxiiQ", 35, 0, -1, 7, 8, 9).ljust(128, b"\\0"))
            pause()
            for _ in range(5):
                got = signal.sigtimedwait({12, 34, 35}, 0)
                say([got.si_signo, got.si_code, got.si_pid == me if got.si_signo == 12 else got.si_pid])
            say(signal.sigtimedwait({12, 34, 35}, 0))
            """
        ),
    )
    assert trip.said == trip.control
    assert [s[0] for s in trip.said[:5]] == [35, 12, 34, 34, 34]


def test_fast_timers_do_not_overtake_what_waited_already(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, 36})
            out = ctypes.c_int()
            call(222, 1, struct.pack("<Qiii44x", 3, 36, 0, 0), ctypes.byref(out))
            call(223, out.value, 0, struct.pack("<4q", 0, 700000, 0, 1), 0)
            while 36 not in signal.sigpending():
                pass
            signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
            while signal.SIGALRM not in signal.sigpending():
                pass
            pause()
            say(sorted(signal.sigwait({signal.SIGALRM, 36}) for _ in range(4)) != [])
            """
        ),
    )
    assert trip.said == trip.control == [True]
