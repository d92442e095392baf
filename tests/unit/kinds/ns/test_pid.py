"""ns.pid. Links as Linux 6.18 prints them."""

from __future__ import annotations

from holdfast.kernel.source import Link
from holdfast.kinds.ns.pid import KIND
from tests.unit.kinds import captured

ELSEWHERE = Link(b"pid:[4026532177]")


def test_our_own_passes_and_another_is_refused() -> None:
    assert captured.verdicts(KIND, captured.process().tree) == []
    assert captured.verdicts(KIND, captured.process({"ns/pid": ELSEWHERE}).tree) == ["ns.pid"]


def test_children_elsewhere_are_refused_even_where_one_thread_alone_makes_them() -> None:
    assert captured.verdicts(KIND, captured.process({"ns/pid_for_children": ELSEWHERE}).tree) == ["ns.pid_for_children"]
    threads = [(413, {"ns/pid_for_children": ELSEWHERE})]
    assert captured.verdicts(KIND, captured.process(threads=threads).tree) == ["ns.pid_for_children"]


def test_a_namespace_without_its_first_process_is_refused() -> None:
    # unshare(CLONE_NEWPID) before the first child: the link leads nowhere
    none: dict[str, bytes | OSError] = {"ns/pid_for_children": FileNotFoundError(2, "")}
    assert captured.verdicts(KIND, captured.process(none).tree) == ["ns.pid_for_children"]
