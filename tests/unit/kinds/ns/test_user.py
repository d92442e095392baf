"""ns.user. Links as Linux 6.18 prints them."""

from __future__ import annotations

from holdfast.kernel.source import Link
from holdfast.kinds.ns.user import KIND
from tests.unit.kinds import captured

ELSEWHERE: dict[str, bytes | OSError] = {"ns/user": Link(b"user:[4026532177]")}


def test_our_own_passes_and_another_is_refused() -> None:
    assert captured.verdicts(KIND, captured.process().tree) == []
    assert captured.verdicts(KIND, captured.process(ELSEWHERE).tree) == ["ns.user"]


def test_a_job_may_have_its_inits() -> None:
    tree = captured.process(ELSEWHERE, host={"9/ns/user": Link(b"user:[4026532177]")}).tree
    tree.in_run, tree.init = True, 9
    assert captured.verdicts(KIND, tree) == []
