"""task.ioprio. Values of include/uapi/linux/ioprio.h."""

from __future__ import annotations

import pytest

from holdfast.errors import Refused
from holdfast.kinds.task import ioprio
from holdfast.kinds.task.ioprio import KIND, IoPrio
from tests.unit.kinds import captured


@pytest.mark.parametrize(
    ("value", "record"),
    [
        (0, IoPrio("none")),
        (2 << 13 | 6, IoPrio("best_effort", 6)),
        (1 << 13 | 5 << 3 | 3, IoPrio("realtime", 3, 5)),
        (3 << 13, IoPrio("idle")),
    ],
)
def test_the_kernels_number_gives_the_record_and_back(value: int, record: IoPrio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ioprio, "own_io_priority", lambda: 1 << 13)
    assert captured.dumped(KIND, captured.process().leader, {("ioprio_get", 1, 0): value}) == record
    assert captured.calls(KIND, record, captured.THREAD) == [("ioprio_set", 1, 0, value)]


def test_no_priority_makes_no_io_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ioprio, "own_io_priority", lambda: 0)
    assert captured.calls(KIND, IoPrio("none"), captured.THREAD) == []


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, captured.process().leader, {("ioprio_get",): 5 << 13})
    assert caught.value.code == "refused.task.ioprio"
