"""How much of the ledger is decided, per area and per kernel: a table of counts."""

from __future__ import annotations

from collections import Counter

from holdfast.drift.history import version
from holdfast.drift.ledger import DECISIONS
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.drift.history import History
    from holdfast.drift.ledger import Ledger


class Line(Record):
    """The fields of one area or one kernel, counted by decision.

    Shape:   `counts` has every decision, and `by_rule` for those that a rule or a whole-object row decided
    """

    name: str
    total: int
    counts: dict[str, int]
    by_rule: int


def per_kernel(ledger: Ledger, history: History) -> list[Line]:
    """One line for each kernel of the history, oldest first."""
    return [
        _line(name, ((full, text, version(name)) for full, text in history.at(i).items()), ledger) for i, name in enumerate(history.kernels)
    ]


def per_area(ledger: Ledger, history: History, kernel: int = -1) -> list[Line]:
    """One line for each area of one kernel, sorted by name; the newest kernel if none is given."""
    if not history.kernels:
        return []
    index = kernel % len(history.kernels)
    areas: dict[str, list[tuple[str, str, tuple[int, ...]]]] = {}
    for full, text in history.at(index).items():
        topic = ledger.structs.get(full.partition(".")[0])
        areas.setdefault(topic.area if topic else "not watched", []).append((full, text, version(history.kernels[index])))
    return [_line(area, fields, ledger) for area, fields in sorted(areas.items())]


def _line(name: str, fields: Iterable[tuple[str, str, tuple[int, ...]]], ledger: Ledger) -> Line:
    counts: Counter[str] = Counter()
    ruled = 0
    for full, text, at in fields:
        struct, _, path = full.partition(".")
        row = ledger.decide(struct, path, text, at)
        counts[row.decision] += 1
        ruled += bool(row.by)
    return Line(name, sum(counts.values()), {d: counts[d] for d in DECISIONS}, ruled)
