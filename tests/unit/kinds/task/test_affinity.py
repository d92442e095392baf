"""task.affinity. Text captured on Linux 6.18."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.kinds.task import affinity
from holdfast.kinds.task.affinity import KIND, Affinity
from tests.unit.kinds import captured

if TYPE_CHECKING:
    import pytest


def dump(mask: str) -> Affinity:
    got: Affinity = captured.dumped(KIND, captured.process({"status": captured.line(captured.STATUS, "Cpus_allowed", mask)}).leader)
    return got


def test_a_thread_that_may_run_everywhere_has_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affinity, "own_cpus_are_all", lambda: False)
    assert dump("ffffffff,ffffffff,ffffffff,ffffffff,ffffffff,ffffffff,ffffffff,ffffffff") == Affinity(())
    [call] = captured.calls(KIND, Affinity(()), captured.THREAD)
    assert call == ("sched_setaffinity", 0, 1024, b"\xff" * 1024)


def test_nothing_is_asked_for_where_a_child_inherits_every_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affinity, "own_cpus_are_all", lambda: True)
    assert captured.calls(KIND, Affinity(()), captured.THREAD) == []


def test_bound_cpus_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert dump("80000000,00000005") == Affinity((0, 2, 63))
    [call] = captured.calls(KIND, Affinity((0, 2, 64)), captured.THREAD)
    assert call == ("sched_setaffinity", 0, 16, b"\x05" + bytes(7) + b"\x01" + bytes(7))


def test_a_machine_without_the_cpus_is_refused() -> None:
    top = b"/sys/devices/system/cpu"
    small = captured.Disk({top: True, top + b"/cpu0": True})
    assert captured.unready(KIND, Affinity((0, 3)), small) == ["task.affinity"]
    assert captured.unready(KIND, Affinity((0,)), small) == []
    assert captured.unready(KIND, Affinity(()), small) == []
