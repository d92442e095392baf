"""task.affinity. Text captured on Linux 6.18."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.kinds.task.affinity import KIND, Affinity
from tests.unit.kinds import captured

if TYPE_CHECKING:
    import pytest


def dump(mask: str) -> Affinity:
    got: Affinity = captured.dumped(KIND, captured.process({"status": captured.line(captured.STATUS, "Cpus_allowed", mask)}).leader)
    return got


def test_a_thread_that_may_run_everywhere_has_no_list() -> None:
    assert dump("ffffffff,ffffffff,ffffffff,ffffffff,ffffffff,ffffffff,ffffffff,ffffffff") == Affinity(())


def test_a_bound_thread_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert dump("80000000,00000005") == Affinity((0, 2, 63))


def test_the_engine_sets_it_and_no_call_of_the_task() -> None:
    assert captured.calls(KIND, Affinity((0, 2)), captured.THREAD) == []


def test_a_machine_without_the_cpus_is_refused() -> None:
    top = b"/sys/devices/system/cpu"
    small = captured.Disk({top: True, top + b"/cpu0": True})
    assert captured.unready(KIND, Affinity((0, 3)), small) == ["task.affinity"]
    assert captured.unready(KIND, Affinity((0,)), small) == []
    assert captured.unready(KIND, Affinity(()), small) == []
