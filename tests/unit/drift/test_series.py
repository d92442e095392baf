"""drift/series.py: steps, first and last appearance, as text and as plain values."""

from __future__ import annotations

import json

import pytest

from holdfast.drift import carriers, series
from tests.unit.drift.test_judge import NOBODY, leaf, ledger, row, snapshot


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> series.Series:
    monkeypatch.setattr(carriers, "known", lambda: NOBODY)
    kernels = [
        snapshot((6, 1), leaf("a"), leaf("b")),
        snapshot((6, 12), leaf("a", "long"), leaf("b"), leaf("brief")),
        snapshot((7, 0), leaf("a", "long"), leaf("fresh")),
    ]
    return series.of(kernels, ledger(row("a", "ignored"), row("b", "carried", carried="fd.x.b"), row("brief", "ignored")))


def test_each_step_counts_what_it_changed(walked: series.Series) -> None:
    assert [series.changes(step) for step in walked.steps] == [
        {"added": 1, "removed": 0, "retyped": 1, "renumbered": 0},
        {"added": 1, "removed": 2, "retyped": 0, "renumbered": 0},
    ]


def test_text_names_what_came_and_went(walked: series.Series) -> None:
    lines = series.text(walked).splitlines()
    assert lines[1].split() == ["k6.1", "->", "k6.12", "3", "1", "0", "1", "0", "0", "0"]
    assert lines[2].split() == ["k6.12", "->", "k7.0", "2", "1", "2", "0", "0", "1", "1"]
    assert lines[-2:] == ["came and went", "  s.brief (6.12)"]


def test_facts_say_first_and_last(walked: series.Series) -> None:
    facts = json.loads(json.dumps(series.facts(walked)))
    assert facts["steps"][1]["removed"] == ["s.b", "s.brief"]
    assert {n: (f["first"], f["last"]) for n, f in facts["fields"].items()} == {
        "s.a": ("6.1", "7.0"),
        "s.b": ("6.1", "6.12"),
        "s.brief": ("6.12", "6.12"),
        "s.fresh": ("7.0", "7.0"),
    }
