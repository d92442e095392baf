"""task.cgroup. Text captured on Linux 6.18."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.kinds.task.cgroup import KIND
from tests.unit.kinds import captured

if TYPE_CHECKING:
    from holdfast.kinds.evidence import TreeEvidence


def tree(theirs: bytes, *threads: bytes) -> TreeEvidence:
    others = [(413 + n, {"cgroup": text}) for n, text in enumerate(threads)]
    return captured.process({"cgroup": theirs}, host={"self/cgroup": b"0::/user.slice\n"}, threads=others).tree


def test_our_own_group_says_nothing() -> None:
    assert captured.verdicts(KIND, tree(b"0::/user.slice\n")) == []


def test_each_other_group_is_one_loss() -> None:
    assert captured.verdicts(KIND, tree(b"0::/a\n", b"0::/a\n", b"0::/b\n")) == ["Loss", "Loss"]


def test_a_kernel_without_groups_says_nothing() -> None:
    assert captured.verdicts(KIND, captured.process().tree) == []
