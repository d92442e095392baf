"""task.sigpending. struct siginfo as PTRACE_PEEKSIGINFO of Linux 6.18 gives it."""

from __future__ import annotations

import struct

import pytest

from holdfast.kinds.task.sigpending import KIND, Signal, SigPending, encode
from tests.unit.kinds import captured

USER = struct.pack("<iiixxxxiI", 10, 0, 0, 33, 1000).ljust(128, b"\0")
TIMER = struct.pack("<iiixxxxiiQi", 34, 0, -2, 3, 0, 77, 5).ljust(128, b"\0")
SIGNAL = Signal(10, 0, 0, struct.pack("<iI", 33, 1000).rstrip(b"\0"))
ALARM = Signal(14, 0x80, 0, b"")


def status(own: int, shared: int) -> dict[str, bytes | OSError]:
    return {"status": captured.line(captured.line(captured.STATUS, "SigPnd", f"{own:016x}"), "ShdPnd", f"{shared:016x}")}


def test_both_queues_are_kept_in_order() -> None:
    stopped = captured.NOTHING.replace(pending=(USER,), shared_pending=(TIMER, USER))
    got = captured.dumped(KIND, captured.process(status(1 << 9, 1 << 33 | 1 << 9), stopped=stopped).leader)
    assert got == SigPending((SIGNAL,), (Signal(34, -2, 0, struct.pack("<iiQ", 3, 0, 77).rstrip(b"\0")), SIGNAL))
    assert encode(SIGNAL) == USER


def test_a_signal_without_an_entry_says_that_nobody_sent_it() -> None:
    got = captured.dumped(KIND, captured.process(status(0, 1 << 14)).leader)
    assert got == SigPending((), (Signal(15, 0, 0, b""),))


def test_the_process_queue_is_the_first_threads() -> None:
    ev = captured.process(status(0, 1 << 14), threads=[(413, {})])
    detect = KIND.verb("detect")
    assert detect is not None
    assert detect(ev.threads[1]) is None


@pytest.mark.parametrize("signal", [19, 28])
def test_signals_that_cannot_be_sent_again_are_refused(signal: int) -> None:
    assert captured.verdicts(KIND, captured.process(status(0, 1 << (signal - 1))).leader) == ["task.pending_signal"]


def test_they_are_sent_by_the_thread_itself_once_actions_are_set() -> None:
    [part] = captured.written(KIND, SigPending((SIGNAL,), (SIGNAL,)), captured.THREAD)
    assert {"actions", "limits"} <= part.needs
    assert part.calls[2:] == [("rt_sigqueueinfo", "<getpid>", 10, USER), ("rt_tgsigqueueinfo", "<getpid>", "<gettid>", 10, USER)]


def test_a_timer_may_have_fired_since_and_nothing_else() -> None:
    before = SigPending((), (SIGNAL,))
    assert captured.differences(KIND, before, before) == []
    assert captured.differences(KIND, before, SigPending((), (ALARM, SIGNAL, Signal(34, -2, 0, b"")))) == []
    assert captured.differences(KIND, SigPending((), (ALARM,)), SigPending((), (ALARM, ALARM))) == []
    assert captured.differences(KIND, before, SigPending()) == ["process"]
    assert captured.differences(KIND, before, SigPending((), (SIGNAL, SIGNAL))) == ["process"]
    assert captured.differences(KIND, SigPending((SIGNAL, ALARM)), SigPending((ALARM, SIGNAL))) == ["thread"]
