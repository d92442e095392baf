"""What many threads of one process are asked, in the room that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import holdfast
from holdfast.engine import dump as dumping
from holdfast.errors import InternalError
from holdfast.tracee.inject import PAGE, Hand
from tests import harness

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

THREADS = """
    import threading
    go, seen = threading.Event(), []
    def run(n):
        go.wait()
        seen.append(n)
    threads = [threading.Thread(target=run, args=(n,)) for n in range(60)]
    for thread in threads:
        thread.start()
    pause()
    go.set()
    for thread in threads:
        thread.join()
    say(sorted(seen) == list(range(60)))
    """


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[harness.Subject]:
    made = harness.start(tmp_path, THREADS)
    yield made
    made.kill()


@pytest.mark.root
def test_questions_that_do_not_fit_together_are_asked_in_turn(
    tmp_path: Path, subject: harness.Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    # room for what the process is asked and for a few threads beside
    rounds: list[int] = []
    real = Hand.start

    def start(self: Hand, program: Any, offset: int = 0) -> None:
        rounds.append(offset)
        real(self, program, offset)

    monkeypatch.setattr(Hand, "start", start)
    for name in ("AREA", "BIG_AREA"):
        monkeypatch.setattr(dumping, name, 8 * PAGE)
    holdfast.dump(subject.pid, tmp_path / "image")
    assert sum(offset == 0 for offset in rounds) > 3
    subject.process.wait()
    harness.restored(tmp_path / "image", subject)
    assert subject.said == [True]


@pytest.mark.root
def test_a_failure_while_others_run_leaves_all_as_they_were(
    tmp_path: Path, subject: harness.Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, begun = Hand.start, []

    def start(self: Hand, program: Any, offset: int = 0) -> None:
        begun.append(self.tid)
        if len(begun) == 20:
            raise InternalError("area", "no room")
        real(self, program, offset)

    with monkeypatch.context() as patch:
        patch.setattr(Hand, "start", start)
        with pytest.raises(InternalError, match="no room"):
            holdfast.dump(subject.pid, tmp_path / "image")
    assert len(set(begun)) > 10
    assert not (tmp_path / "image").exists()
    subject.go()
    subject.end()
    assert subject.said == [True]
