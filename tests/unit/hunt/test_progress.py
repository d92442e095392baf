"""Numbers of a campaign and how they are shown."""

from __future__ import annotations

from io import StringIO

import pytest

from holdfast.hunt.progress import EVERY_S, Progress, Tally, span
from holdfast.hunt.verdict import Proof, Round


class Clock:
    """A clock that stands still until it is told to go on."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def made(verdict: str, engine: str = "native") -> Round:
    return Round("x/y", "k", "x", engine, "1", "6.18", verdict, (Proof("kernel", "p", "1", "0", "a.b"),) if verdict == "lost" else ())


def test_rate_and_time_left() -> None:
    clock = Clock()
    tally = Tally(0, clock)
    assert tally.left_s is None
    tally.planned = 40
    for _ in range(10):
        tally.count(made("kept"), False)
    clock.now += 5
    assert tally.rate == 2.0
    assert tally.line().endswith("15 s left")


def test_a_budget_ends_it_sooner() -> None:
    clock = Clock()
    tally = Tally(8, clock)
    tally.planned = 40
    tally.count(made("lost"), True)
    clock.now += 5
    assert tally.left_s == 3.0
    assert tally.line() == "1/40 rounds, 0.2/s, native: 1 lost, 1 new, 3 s left"


def test_without_a_terminal_a_line_comes_now_and_then_and_a_new_loss_at_once() -> None:
    clock, said = Clock(), list[str]()
    tally = Tally(0, clock)
    tally.planned = 4
    with Progress(tally, StringIO(), said.append, clock) as progress:
        progress.done(made("kept"), False)
        progress.done(made("lost"), True)
        assert said == ["lost: x/y on native: a.b"]
        clock.now += EVERY_S
        progress.tick()
        progress.tick()
    assert said[1:] == ["2/4 rounds, 0.2/s, native: 1 lost 1 kept, 1 new, 10 s left"]


class Screen(StringIO):
    """Something that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_engines_stand_side_by_side() -> None:
    clock, screen = Clock(), Screen()
    tally = Tally(0, clock)
    tally.planned = 2
    with Progress(tally, screen, lambda _: None, clock) as progress:
        clock.now += 1
        progress.done(made("kept"), False)
        clock.now += 1
        progress.done(made("lost", "criu:4.2"), True)
    text = screen.getvalue()
    assert "criu:4.2" in text
    assert "lost: x/y on criu:4.2: a.b" in text
    assert "2/2 rounds" in text


@pytest.mark.parametrize(("seconds", "text"), [(12, "12 s"), (200, "3 min 20 s"), (3900, "1 h 5 min")])
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text
