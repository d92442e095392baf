"""task.rlimits. Text captured on Linux 6.18."""

from __future__ import annotations

import resource
import struct
from typing import TYPE_CHECKING

from holdfast.kinds.task import rlimits
from holdfast.kinds.task.rlimits import KIND, Limit, Rlimits
from tests.unit.kinds import captured

if TYPE_CHECKING:
    import pytest


TEXT = b"""Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            1024                 4096                 files
"""


def test_the_kernels_text_gives_the_record() -> None:
    got = captured.dumped(KIND, captured.process({"limits": TEXT}))
    assert got == Rlimits((Limit("RLIMIT_CPU", None, None), Limit("RLIMIT_NOFILE", 1024, 4096)))


def test_an_unknown_limit_is_refused_and_used_cpu_time_is_a_loss() -> None:
    assert captured.verdicts(KIND, captured.process({"limits": TEXT + b"Max new thing             1   2   things\n"})) == ["task.rlimit"]
    limited = TEXT.replace(b"unlimited            unlimited ", b"10                   20        ")
    assert captured.verdicts(KIND, captured.process({"limits": limited})) == ["Loss"]


def test_limits_are_set_last_of_all_that_needs_them() -> None:
    [part] = captured.written(KIND, Rlimits((Limit("RLIMIT_NOFILE", 5, None),)))
    assert (part.calls, part.ends) == ([("prlimit64", 0, 7, struct.pack("<QQ", 5, 2**64 - 1), 0)], {"limits"})


def test_what_a_child_of_the_restorer_has_is_not_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda number: (5, resource.RLIM_INFINITY))
    record = Rlimits((Limit("RLIMIT_AS", 5, None), Limit("RLIMIT_CORE", 5, 6), Limit("RLIMIT_NOFILE", 5, None)))
    assert [call[2] for call in captured.calls(KIND, record)] == [resource.RLIMIT_CORE, resource.RLIMIT_NOFILE]


def test_a_hard_limit_above_ours_needs_a_privilege(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda number: (5, 10))
    above = Rlimits((Limit("RLIMIT_NOFILE", 5, 11),))
    privileged = rlimits._privileged()
    monkeypatch.setattr(rlimits, "_privileged", lambda: False)
    assert captured.unready(KIND, above, captured.Disk({})) == ["task.rlimit_above"]
    assert captured.unready(KIND, Rlimits((Limit("RLIMIT_NOFILE", 5, 10),)), captured.Disk({})) == []
    assert captured.unready(KIND, Rlimits((Limit("RLIMIT_NOFILE", None, None),)), captured.Disk({})) == ["task.rlimit_above"]
    monkeypatch.setattr(rlimits, "_privileged", lambda: True)
    assert captured.unready(KIND, above, captured.Disk({})) == []
    assert isinstance(privileged, bool)
