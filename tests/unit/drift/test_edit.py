"""drift/edit.py: decisions written into a struct's file; what was there keeps its order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.drift import edit, ledger
from holdfast.drift.history import History, Span
from holdfast.drift.ledger import Row
from holdfast.errors import UsageError
from tests.unit.drift.test_ledger import REST, STRUCT, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))


def row(*names: str, **more: object) -> Row:
    return Row(names, "ignored", "it does not matter", "fs/eventfd.c").replace(**more)


def test_a_decision_is_added_before_the_rest_and_read_back(tmp_path: Path) -> None:
    place = write(tmp_path, STRUCT + REST)
    before = (tmp_path / "structs/eventfd_ctx.toml").read_text()
    edit.decide(ledger.load(place), "eventfd_ctx", row("id", "kref"))
    after = (tmp_path / "structs/eventfd_ctx.toml").read_text()
    assert after.startswith(before.split("[rest]")[0].rstrip())
    assert after.endswith(REST.lstrip())
    found = ledger.load(place)
    assert found.decide("eventfd_ctx", "id", "int").why == "it does not matter"
    assert found.decide("eventfd_ctx", "count", "__u64").decision == "carried"


def test_a_new_decision_for_all_kernels_takes_the_old_ones_place(tmp_path: Path) -> None:
    place = write(tmp_path)
    edit.decide(ledger.load(place), "eventfd_ctx", row("flags"))
    found = ledger.load(place)
    assert [r.decision for r in found.structs["eventfd_ctx"].rows] == ["carried", "ignored"]


def test_with_since_the_old_row_ends_there(tmp_path: Path) -> None:
    place = write(tmp_path)
    edit.decide(ledger.load(place), "eventfd_ctx", row("count", since=(7, 0)))
    found = ledger.load(place)
    assert [found.decide("eventfd_ctx", "count", "__u64", v).decision for v in ((6, 12), (7, 0))] == ["carried", "ignored"]


@pytest.mark.parametrize(
    "bad",
    [
        row(),
        row("id", why=""),
        row("id", source=""),
        row("id", decision="carried"),
        row("id", decision="refused"),
        row("id", decision="maybe"),
    ],
)
def test_a_decision_without_reason_or_source_is_refused(tmp_path: Path, bad: Row) -> None:
    with pytest.raises(UsageError, match=r"ledger\.row"):
        edit.decide(ledger.load(write(tmp_path)), "eventfd_ctx", bad)
    with pytest.raises(UsageError, match=r"ledger\.struct"):
        edit.decide(ledger.load(write(tmp_path)), "nobody", row("x"))


def test_a_sweep_lists_what_rules_fit_and_no_row_names(tmp_path: Path) -> None:
    found = ledger.load(write(tmp_path))
    seen = {"count": "spinlock_t", "lock": "spinlock_t", "chain": "struct list_head", "other": "int"}
    history = History(("6.1",), {f"eventfd_ctx.{n}": (Span(t, (0,)),) for n, t in seen.items()})
    swept = edit.sweep(found, history)
    assert swept == {"lock": ["eventfd_ctx.lock"], "link": ["eventfd_ctx.chain"]}
    (tmp_path / "swept.toml").write_text(edit.swept_text(swept))
    assert ledger.load(str(tmp_path)).decide("eventfd_ctx", "chain", "struct list_head").by == "rule link"
    assert edit.sweep(found, history, ["eventfd_ctx.nothing"]) == {"lock": [], "link": []}
