"""task.tracer. Text captured on Linux 6.18."""

from __future__ import annotations

from holdfast.kinds.task.tracer import KIND
from tests.unit.kinds import captured


def test_a_running_task_that_is_traced_is_refused() -> None:
    traced: dict[str, bytes | OSError] = {"status": captured.line(captured.STATUS, "TracerPid", "7")}
    assert captured.verdicts(KIND, captured.process(traced, stopped=None).leader) == ["task.traced"]
    assert captured.verdicts(KIND, captured.process(stopped=None).leader) == []


def test_a_task_that_we_stopped_is_traced_by_us() -> None:
    traced: dict[str, bytes | OSError] = {"status": captured.line(captured.STATUS, "TracerPid", "7")}
    assert captured.verdicts(KIND, captured.process(traced).leader) == []
