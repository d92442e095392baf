"""How answers are judged and kept. What this kernel answers: tests/live/kernel/test_probe.py."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel import answer, probe, trial
from holdfast.kernel.probe import NO, UNKNOWN, YES, Answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    probe.names()  # the questions are there before one is added
    probe.forget()
    yield
    probe.forget()


@pytest.mark.parametrize(
    ("result", "verdict", "said"),
    [
        (0, YES, "it works"),
        (7, YES, "it works"),
        (-errno.ENOSYS, NO, "ENOSYS"),
        (-errno.EINVAL, NO, "no such thing"),
        (-errno.EPERM, NO, "not allowed"),
        (-errno.EACCES, NO, "not allowed"),
        (-errno.ENOMEM, UNKNOWN, "ENOMEM"),
        (-errno.EFAULT, UNKNOWN, "EFAULT"),
        (-answer.LOST, UNKNOWN, "lost"),
    ],
)
def test_judgement(result: int, verdict: str, said: str) -> None:
    given = answer.judged(result, "it")
    assert given.verdict == verdict
    assert given.yes == (verdict == YES)
    assert said in given.reason


def test_a_question_is_asked_once_and_again_after_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def question() -> Answer:
        asked.append(1)
        return Answer(YES, "because", len(asked))

    monkeypatch.setitem(answer.QUESTIONS, "new", question)
    assert [probe.ask("new").value, probe.ask("new").value] == [1, 1]
    probe.forget()
    assert probe.ask("new").value == 2


def test_a_question_that_fails_is_unknown_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def question() -> Answer:
        raise OSError(errno.ENFILE, "no descriptor left")

    monkeypatch.setitem(answer.QUESTIONS, "new", question)
    assert probe.ask("new").verdict == UNKNOWN
    assert "no descriptor left" in probe.ask("new").reason


def test_an_unknown_question_is_an_error() -> None:
    with pytest.raises(KeyError):
        probe.ask("can it make coffee")


@pytest.mark.parametrize(
    ("text", "value"), [(b"65530\n", 65530), (b"-1\n", -1), (b"|/usr/bin/core %p\n", "|/usr/bin/core %p"), (b"\n", "")]
)
def test_settings(tmp_path: Path, text: bytes, value: int | str) -> None:
    (tmp_path / "s").write_bytes(text)
    assert answer.setting(str(tmp_path / "s")).value == value
    assert answer.setting(str(tmp_path / "none")).verdict == NO
    assert answer.setting(str(tmp_path)).verdict == UNKNOWN


def test_a_child_tells_its_errno() -> None:
    assert trial.in_child(lambda: 0) == 0
    assert trial.in_child(lambda: errno.EXDEV) == errno.EXDEV


def test_a_system_call_returns_its_value_or_minus_its_errno() -> None:
    assert trial.syscall("close", -1) == -errno.EBADF
    assert trial.syscall("getpid") > 0
