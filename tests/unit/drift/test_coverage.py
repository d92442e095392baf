"""drift/coverage.py: every field is counted once, under what holds for that kernel."""

from __future__ import annotations

from holdfast.drift import coverage
from holdfast.drift.history import History, Span
from tests.unit.drift.test_judge import ledger, row

SEEN = History(("6.1", "6.12"), {"s.a": (Span("int", (0, 1)),), "s.b": (Span("int", (1,)),), "t.c": (Span("int", (0,)),)})


def test_counts_per_kernel_and_area() -> None:
    book = ledger(row("a", "ignored", until="6.5"), row("a", "rebuilt", since="6.5"), rest=row("", "refused", when="x"))
    lines = coverage.per_kernel(book, SEEN)
    assert [(line.name, line.total, {d: n for d, n in line.counts.items() if n}, line.by_rule) for line in lines] == [
        ("6.1", 2, {"ignored": 1, "undecided": 1}, 0),
        ("6.12", 2, {"rebuilt": 1, "refused": 1}, 1),
    ]
    assert [(line.name, line.total) for line in coverage.per_area(book, SEEN)] == [("files", 2)]
    assert [(line.name, line.total) for line in coverage.per_area(book, SEEN, 0)] == [("files", 1), ("not watched", 1)]
    assert coverage.per_area(book, History((), {})) == []
