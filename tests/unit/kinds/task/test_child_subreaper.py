"""task.child_subreaper."""

from __future__ import annotations

import pytest

from holdfast.kinds.task.child_subreaper import KIND, ChildSubreaper
from tests.unit.kinds import captured


def test_only_a_process_that_adopts_has_a_record() -> None:
    assert captured.dumped(KIND, captured.process()) is None
    assert captured.dumped(KIND, captured.process(), {("prctl", 37): (0, b"\x01\0\0\0")}) == ChildSubreaper(adopts=True)


def test_no_record_and_a_record_differ() -> None:
    with pytest.raises(TypeError):
        ChildSubreaper()  # type: ignore[call-arg]
