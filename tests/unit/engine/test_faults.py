"""Points where a test makes us fail: each is there once, and none fails by itself."""

from __future__ import annotations

import re

import pytest

from holdfast.engine import faults
from holdfast.errors import InternalError
from tests.repo import tree


def test_every_point_is_in_the_flow_and_every_one_in_the_flow_is_a_point() -> None:
    found: list[str] = []
    for path in sorted((tree.TOP / "src" / "holdfast" / "engine").glob("*.py")):
        found += re.findall(r'faults\.point\("([a-z.]+)"\)', path.read_text())
    assert sorted(set(found)) == sorted(faults.POINTS)
    assert len(set(faults.POINTS)) == len(faults.POINTS)


def test_a_point_that_is_not_asked_for_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    for wanted in ("", "dump.frozen:raise"):
        monkeypatch.setattr(faults, "_wanted", wanted)
        faults.point("dump.written")


def test_a_point_that_is_asked_for_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_wanted", "dump.written:raise")
    with pytest.raises(InternalError) as e:
        faults.point("dump.written")
    assert e.value.code == "internal.fault"
    assert "dump.written" in e.value.what
