"""ns.uts. Links as Linux 6.18 prints them."""

from __future__ import annotations

from holdfast.kernel.source import Link
from holdfast.kinds.ns.uts import KIND
from tests.unit.kinds import captured

ELSEWHERE: dict[str, bytes | OSError] = {"ns/uts": Link(b"uts:[4026532177]")}


def test_our_own_passes_and_another_is_refused() -> None:
    assert captured.verdicts(KIND, captured.process().tree) == []
    assert captured.verdicts(KIND, captured.process(ELSEWHERE).tree) == ["ns.uts"]


def test_a_thread_alone_is_refused() -> None:
    assert captured.verdicts(KIND, captured.process(threads=[(413, ELSEWHERE)]).tree) == ["ns.uts"]
