"""task.itimers."""

from __future__ import annotations

import struct

from holdfast.kinds.task.itimers import KIND, TIMERS, VALUE, Itimers
from tests.unit.kinds import captured


def dump(stopped_with: tuple[bytes, ...] = (), waiting: int = 0, **values: tuple[int, int, int, int]) -> Itimers | None:
    replies: dict[tuple[str | int, ...], int | tuple[int, bytes]] = {("rt_sigpending",): (0, waiting.to_bytes(8, "little"))}
    for name, words in values.items():
        replies["getitimer", TIMERS.index(name)] = (0, VALUE.pack(*words))
    ev = captured.process(stopped=captured.NOTHING.replace(shared_pending=stopped_with))
    got: Itimers | None = captured.dumped(KIND, ev, replies)
    return got


def test_timers_that_do_not_run_are_no_record() -> None:
    assert dump() is None


def test_what_remains_and_the_interval_are_kept() -> None:
    assert dump(real=(1, 2, 3, 4), prof=(0, 0, 0, 7)) == Itimers(real_ns=3_000_004_000, real_interval_ns=1_000_002_000, prof_ns=7_000)


def test_a_signal_that_came_since_the_stop_is_the_timers() -> None:
    alarm = 1 << 13
    assert dump(waiting=alarm) == Itimers(fired=("real",))
    assert dump(waiting=alarm, stopped_with=((14).to_bytes(4, "little") + bytes(124),)) is None


def test_timers_are_set_and_their_signals_sent() -> None:
    got = captured.calls(KIND, Itimers(real_ns=3_000_004_000, real_interval_ns=5_000, fired=("virtual",)))
    info = struct.pack("<iii", 26, 0, 0x80).ljust(128, b"\0")
    assert got == [("setitimer", 0, VALUE.pack(0, 5, 3, 4), 0), ("getpid",), ("rt_sigqueueinfo", "<getpid>", 26, info)]


def test_no_timer_runs_before_the_signals_that_waited_are_queued() -> None:
    [part] = captured.written(KIND, Itimers(real_ns=10**9))
    assert part.ends == {"actions"}


def test_one_that_waits_for_its_signal_to_be_taken_runs_out_again() -> None:
    assert captured.calls(KIND, Itimers(real_interval_ns=5_000)) == [("setitimer", 0, VALUE.pack(0, 5, 0, 1), 0)]


def test_an_interval_of_a_timer_that_does_not_run_starts_none() -> None:
    got = captured.calls(KIND, Itimers(virtual_interval_ns=5_000, prof_interval_ns=6_000))
    assert got == [("setitimer", 1, VALUE.pack(0, 5, 0, 0), 0), ("setitimer", 2, VALUE.pack(0, 6, 0, 0), 0)]


def test_time_may_go_on_and_nothing_else() -> None:
    once, again = Itimers(real_ns=10**9), Itimers(real_ns=10**9, real_interval_ns=10**9)
    assert captured.differences(KIND, once, once.replace(real_ns=1)) == []
    assert captured.differences(KIND, once, Itimers()) == []
    assert captured.differences(KIND, again, again.replace(real_ns=5)) == []
    assert captured.differences(KIND, again, Itimers(real_interval_ns=10**9)) == []
    assert captured.differences(KIND, again, Itimers()) == ["real_interval_ns"]
    assert captured.differences(KIND, again, once) == ["real_interval_ns"]
    assert captured.differences(KIND, Itimers(real_ns=10**11), Itimers()) == ["real_ns"]
    assert captured.differences(KIND, once, once.replace(real_ns=2 * 10**9)) == ["real_ns"]
    assert captured.differences(KIND, Itimers(), once) == ["real_ns"]
