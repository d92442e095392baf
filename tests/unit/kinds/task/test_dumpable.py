"""task.dumpable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.errors import Refused
from holdfast.kinds.task import dumpable
from holdfast.kinds.task.dumpable import KIND, Dumpable
from tests.unit.kinds import captured

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("value", "name"), [(0, "off"), (1, "on"), (2, "root_only")])
def test_the_kernels_number_gives_the_record(value: int, name: str) -> None:
    assert captured.dumped(KIND, captured.process(), {("prctl", 3): value}) == Dumpable(name)


def test_it_is_set_after_every_change_of_credentials() -> None:
    [part] = captured.written(KIND, Dumpable("off"))
    assert (part.calls, "creds" in part.needs) == ([("prctl", 4, 0, 0, 0, 0)], True)


def test_root_only_comes_from_a_change_of_ids_that_is_undone() -> None:
    [part] = captured.written(KIND, Dumpable("root_only"))
    assert (part.calls, "caps" in part.needs) == ([("setfsuid", 65534), ("setfsuid", "<setfsuid>")], True)


def test_root_only_needs_the_systems_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sysctl").write_text("0\n")
    monkeypatch.setattr(dumpable, "SYSCTL", str(tmp_path / "sysctl"))
    assert captured.unready(KIND, Dumpable("root_only"), captured.Disk({})) == ["task.dumpable"]
    assert captured.unready(KIND, Dumpable("off"), captured.Disk({})) == []
    (tmp_path / "sysctl").write_text("2\n")
    assert captured.unready(KIND, Dumpable("root_only"), captured.Disk({})) == []


def test_an_unknown_value_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, captured.process(), {("prctl", 3): 3})
    assert caught.value.code == "refused.task.dumpable"
