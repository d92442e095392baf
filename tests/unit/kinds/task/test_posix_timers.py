"""task.posix_timers. Text captured on Linux 6.18."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holdfast.errors import TargetChanged
from holdfast.kernel.source import Captured
from holdfast.kinds.task.posix_timers import EVENT, KIND, VALUE, PosixTimers, Timer
from holdfast.model.ids import NsPid
from tests.unit.kinds import captured

if TYPE_CHECKING:
    from holdfast.kinds.evidence import ProcessEvidence


TEXT = b"""ID: 4
signal: 34/0000000000000007
notify: signal/pid.412
ClockID: 1
ID: 6
signal: 37/0000000000000006
notify: signal/tid.413
ClockID: -6
"""
FOUR = Timer(4, "monotonic", None, False, "signal", 34, 7, None, 3_000_000_004, 1_000_000_002)
SIX = Timer(6, "sched", NsPid(0), False, "signal", 37, 6, NsPid(413))


def process(text: bytes = TEXT, later: bytes = captured.STATUS, **stopped: Any) -> ProcessEvidence:
    # `status` of a thread's own folder is read again once the timers were asked
    class Changing(Captured):
        def read(self, path: str) -> bytes:
            return later if path == "status" and self.files.get("asked") else super().read(path)

    ev = captured.process({"timers": text}, threads=[(413, {})], stopped=captured.NOTHING.replace(**stopped), cls=Changing)
    for thread in ev.threads:
        assert thread.status is not None
        thread.source.files["asked"] = b"yes"  # type: ignore[attr-defined]
    return ev


def dump(ev: ProcessEvidence) -> PosixTimers:
    got: PosixTimers = captured.dumped(KIND, ev, {("timer_gettime", 4): (0, VALUE.pack(1, 2, 3, 4))})
    return got


def test_the_kernels_text_gives_the_record() -> None:
    assert dump(process()) == PosixTimers((FOUR, SIX))


def test_a_process_without_timers_has_no_record() -> None:
    detect = KIND.verb("detect")
    assert detect is not None
    assert detect(captured.process({"timers": b""})) is None


def test_a_kernel_that_lists_no_timers_is_unchecked() -> None:
    assert captured.verdicts(KIND, captured.process()) == ["Unchecked"]


@pytest.mark.parametrize(
    "block",
    [
        b"ID: 0\nsignal: 34/7\nnotify: signal/tid.999\nClockID: 1\n",
        b"ID: 0\nsignal: 34/7\nnotify: signal/pid.412\nClockID: 5\n",
        b"ID: 0\nsignal: 34/7\nnotify: signal/pid.412\nClockID: -2\n",
        b"ID: 0\nsignal: 34/7\nnotify: signal/pid.412\nClockID: %d\n" % (~999 << 3 | 2),
        b"ID: 0\nsignal: 34/7\nnotify: signal/pid.412\nClockID: -5\n",
        b"ID: 0\nsignal: 34/7\nnotify: signal/pid.412\nClockID: 1\nNew: 5\n",
    ],
)
def test_what_cannot_be_made_again_is_refused(block: bytes) -> None:
    assert captured.verdicts(KIND, process(block)) == ["task.posix_timer"]


@pytest.mark.parametrize(("key", "signal", "told"), [("ShdPnd", 34, True), ("ShdPnd", 35, False), ("SigPnd", 34, False)])
def test_the_count_of_a_signal_that_waits_is_told(key: str, signal: int, told: bool) -> None:
    status = captured.line(captured.STATUS, key, f"{1 << signal - 1:016x}")
    ev = captured.process({"timers": TEXT, "status": status}, threads=[(413, {})])
    assert captured.verdicts(KIND, ev) == ["Loss"] * told


@pytest.mark.parametrize(("task", "thread"), [(412, False), (413, True), (412, True)])
def test_cpu_clocks_of_the_process_and_of_its_threads_are_carried(task: int, thread: bool) -> None:
    clock = ~task << 3 | 2 | (4 if thread else 0)
    ev = process(b"ID: 0\nsignal: 34/7\nnotify: signal/pid.412\nClockID: %d\n" % clock)
    [timer] = captured.dumped(KIND, ev).timers
    assert (timer.clock, timer.clock_task, timer.clock_of_thread) == ("sched", task, thread)
    assert captured.calls(KIND, PosixTimers((timer,)))[0][1] == clock


def test_a_signal_that_came_since_the_stop_is_the_timers() -> None:
    later = captured.line(captured.STATUS, "ShdPnd", f"{1 << 33:016x}")
    assert dump(process(later=later)).timers == (FOUR.replace(fired=True), SIX)
    known = process(later=later, shared_pending=((34).to_bytes(4, "little") + bytes(124),))
    assert dump(known).timers == (FOUR, SIX)


def test_two_timers_that_look_alike_ask_for_another_try() -> None:
    twice = TEXT + TEXT.split(b"ID: 6")[0].replace(b"ID: 4", b"ID: 9")
    with pytest.raises(TargetChanged):
        dump(process(twice, captured.line(captured.STATUS, "ShdPnd", f"{1 << 33:016x}")))


def test_ids_are_counted_up_to() -> None:
    got = captured.calls(KIND, PosixTimers((FOUR.replace(id=2),)))
    assert [c[0] for c in got] == ["timer_create", "timer_delete"] * 2 + ["timer_create", "timer_settime"]
    assert got[-1] == ("timer_settime", 2, 0, VALUE.pack(1, 2, 3, 4), 0)


def test_far_ids_are_given_to_the_kernel() -> None:
    got = captured.calls(KIND, PosixTimers((FOUR.replace(id=99999, remaining_ns=0),)))
    assert got == [
        ("prctl", 77, 1, 0, 0, 0),
        ("timer_create", 1, EVENT.pack(7, 34, 0, 0), ("out", 8, (99999).to_bytes(4, "little"))),
        ("prctl", 77, 0, 0, 0, 0),
    ]


def test_the_signal_of_a_thread_is_sent_in_that_thread() -> None:
    first, second = captured.written(KIND, PosixTimers((FOUR.replace(id=0, fired=True), SIX.replace(id=1, fired=True))))
    assert [c[:3:2] for c in first.calls if c[0] == "rt_sigqueueinfo"] == [("rt_sigqueueinfo", 34)]
    assert (first.ends, "actions" in second.needs) == ({"actions"}, True)
    assert (second.task, second.calls[-1][:4]) == ("thread:413", ("rt_tgsigqueueinfo", "<getpid>", "<gettid>", 37))


def test_time_may_go_on_and_nothing_else() -> None:
    before = PosixTimers((FOUR,))
    for change in ({"remaining_ns": 1}, {"remaining_ns": 2_000_000_000}):
        assert captured.differences(KIND, before, PosixTimers((FOUR.replace(**change),))) == []
    for change in ({"remaining_ns": 0}, {"interval_ns": 5}, {"signal": 35}, {"remaining_ns": 4_000_000_000}):
        assert captured.differences(KIND, before, PosixTimers((FOUR.replace(**change),))) != []
    once = FOUR.replace(interval_ns=0)
    assert captured.differences(KIND, PosixTimers((once,)), PosixTimers((once.replace(remaining_ns=0),))) == []
    long = once.replace(remaining_ns=10**11)
    assert captured.differences(KIND, PosixTimers((long,)), PosixTimers((long.replace(remaining_ns=0),))) != []
    assert captured.differences(KIND, before, PosixTimers(())) == ["timers"]
