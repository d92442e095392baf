"""task.timer_slack."""

from __future__ import annotations

from typing import Any

from holdfast.kinds.task.timer_slack import KIND, TimerSlack
from tests.unit.kinds import captured


def test_the_default_is_looked_at_and_what_was_comes_back() -> None:
    dialogue: Any = KIND.verb("dump")(captured.process().leader)  # type: ignore[misc]
    program = next(dialogue)
    assert [c.args[0] for c in program.calls] == [30, 29, 30, 29]
    assert program.calls[3].args[1] is program.calls[0]
    assert captured.dumped(KIND, captured.process().leader, {("prctl", 30): 70000}) == TimerSlack(70000, 70000)


def test_a_real_time_thread_has_no_default_to_be_seen() -> None:
    words = captured.STAT.split()
    words[40] = b"1"
    got = captured.dumped(KIND, captured.process({"stat": b" ".join(words)}).leader)
    assert got == TimerSlack(0, None)
    assert captured.calls(KIND, got, captured.THREAD) == []


def test_a_slack_that_looks_like_an_error_is_one_all_the_same() -> None:
    # the call returns the slack: 2**64-1 ns is -1 to whoever takes it for an error
    got = captured.dumped(KIND, captured.process().leader, {("prctl", 30): -1})
    assert got == TimerSlack(2**64 - 1, 2**64 - 1)
    program = next(KIND.verb("dump")(captured.process().leader))  # type: ignore[misc]
    assert [c.check for c in program.calls] == ["any", "ok", "any", "ok"]
    assert captured.calls(KIND, got, captured.THREAD) == [("prctl", 29, 2**64 - 1, 0, 0, 0)]


def test_the_slack_is_set() -> None:
    assert captured.calls(KIND, TimerSlack(9, 50000), captured.THREAD) == [("prctl", 29, 9, 0, 0, 0)]
