"""drift/check.py: each sort of problem is found, and a whole ledger has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.drift import check, ledger
from holdfast.drift.carriers import Known
from holdfast.drift.history import History, Span
from tests.unit.drift.test_ledger import RULES, STRUCT, write

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = Known({"fd.eventfd": ("count", "semaphore")}, {("Struct", "eventfd_ctx"): ("fd.eventfd",)}, {})
FIELDS = {"count": "__u64", "flags": "int", "lock": "spinlock_t"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))


def history(**more: str) -> History:
    return History(("6.12",), {f"eventfd_ctx.{n}": (Span(t, (0,)),) for n, t in {**FIELDS, **more}.items()})


def sorts(place: str, seen: History | None = None, known: Known = KNOWN) -> list[str]:
    return [p.sort for p in check.problems(ledger.load(place), seen or history(), known)]


def test_a_whole_ledger_has_no_problem(tmp_path: Path) -> None:
    assert sorts(write(tmp_path)) == []


@pytest.mark.parametrize(
    ("struct", "rules", "swept", "found"),
    [
        (STRUCT.replace('why = "it is shown"', ""), RULES, "", ["schema"]),
        (STRUCT.replace('source = "eventfd(2)"', "", 1), RULES, "", ["schema"]),
        (STRUCT.replace('about = "A counter"', ""), RULES, "", ["schema"]),
        (STRUCT.replace('"ignored"', '"skipped"'), RULES, "", ["schema"]),
        (STRUCT.replace('carried = "fd.eventfd.count"\n', ""), RULES, "", ["schema"]),
        (STRUCT.replace('until = "6.5"', 'until = "6.6"'), RULES, "", ["schema"]),
        (STRUCT.replace('"ignored"', '"refused"\nwhen = "shown"'), RULES, "", ["schema"]),
        (STRUCT.replace('"ignored"', '"refused"\nwhen = "it is"\nreads = "id != 0"\nunread = "shown: it"'), RULES, "", ["schema"]),
        (STRUCT.replace('"ignored"', '"ignored"\nreads = "id != 0"'), RULES, "", ["schema"]),
        (STRUCT.replace('"ignored"', '"refused"\nwhen = "it is"\nreads = "id != 0"\ndo = "end it"'), RULES, "", []),
        (STRUCT.replace('"ignored"', '"refused"\nwhen = "it is"\nunread = "shown: it"'), RULES, "", []),
        (STRUCT, RULES.replace('why = "a lock"', ""), "", ["schema"]),
        (STRUCT, RULES, "nobody = []", ["schema"]),
        (STRUCT, RULES, 'link = ["eventfd_ctx.never"]', ["stale"]),
        (STRUCT.replace("fd.eventfd.count", "fd.eventfd.total"), RULES, "", ["carried"]),
        (STRUCT.replace("fd.eventfd.count", "fd.elsewhere.count"), RULES, "", ["pending"]),
        (STRUCT.replace('names = ["count"]', 'names = ["count", "never"]'), RULES, "", ["stale"]),
    ],
)
def test_each_sort_is_found(tmp_path: Path, struct: str, rules: str, swept: str, found: list[str]) -> None:
    assert sorts(write(tmp_path, struct, rules, swept)) == found


def test_fields_that_nobody_decided_are_found(tmp_path: Path) -> None:
    assert sorts(write(tmp_path), history(fresh="int", chain="struct list_head")) == ["undecided", "unswept"]


def test_a_watch_that_the_ledger_does_not_know_is_found(tmp_path: Path) -> None:
    known = KNOWN.replace(
        watches={**KNOWN.watches, ("Struct", "unknown"): ("fd.eventfd",), ("Struct", "excused"): ("fd.eventfd",)}, absent={"excused": "why"}
    )
    assert sorts(write(tmp_path), known=known) == ["watch"]
    for sort in ("StatusKey", "FdinfoKey", "Link", "FlagSet"):
        assert sorts(write(tmp_path), known=KNOWN.replace(watches={(sort, "nobody's"): ("fd.eventfd",)})) == ["watch"]
    assert sorts(write(tmp_path), known=KNOWN.replace(broken="a kind cannot be imported")) == ["pending"]
