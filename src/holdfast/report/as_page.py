"""A report as one HTML page that needs nothing else: no server, no network, no file beside it.

What subjects, engines and recipes wrote is hostile: every value is escaped by the template, control and direction characters are made
visible before that, and the page's own policy lets no script or style run but the two that stand in it.
"""

from __future__ import annotations

import base64
import hashlib
import os

import jinja2

from holdfast.model.finding import SEVERITIES
from holdfast.model.record import Record
from holdfast.report.plain import block, line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.report.result import Report, Result

# The colours of each outcome's words, in the order that the report gives them: page.css has one for each.
_TONES = {"fail": ("red", "orange", "amber"), "known": ("blue",), "pass": ("green",), "skip": ("grey", "pale")}
_HERE = os.path.dirname(os.path.abspath(__file__))


class Piece(Record):
    """One part of a bar.

    Unit:    start and width in hundredths of the bar
    """

    word: str
    tone: str
    count: int
    start: float
    width: float


class Cell(Record):
    """What one engine made of one recipe, or nothing."""

    engine: str
    result: Result | None
    severity: int = 0


class Line(Record):
    """One recipe and what each engine made of it."""

    name: str
    cells: tuple[Cell, ...]


class Group(Record):
    """One interface: a bar for each engine, then its recipes."""

    name: str
    anchor: str
    bars: tuple[tuple[str, tuple[Piece, ...]], ...]
    lines: tuple[Line, ...]


def render(report: Report) -> str:
    """The page, as text to be written in UTF-8."""
    tones = _tones(report)
    css, js = _read("page.css"), _read("page.js")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update({"line": _line, "block": _block})
    page = environment.from_string(_read("page.html"))
    return page.render(
        report=report,
        groups=_groups(report, tones),
        bars=[(engine, _pieces(report.counts(engine), tones)) for engine in report.engines],
        tones=tones,
        words=[w for w in report.words if any(r.verdict == w.word for r in report.results)],
        severities=list(enumerate(SEVERITIES)),
        rank={name: n for n, name in enumerate(SEVERITIES)},
        group_of={r.case: r.group for r in reversed(report.results) if r.case},
        css=css,
        js=js,
        css_digest=_digest(css),
        js_digest=_digest(js),
    )


def _tones(report: Report) -> dict[str, str]:
    used: dict[str, int] = {}
    out: dict[str, str] = {}
    for w in report.words:
        tones = _TONES.get(w.outcome, _TONES["fail"])
        n = used.get(w.outcome, 0)
        used[w.outcome] = n + 1
        out[w.word] = tones[min(n, len(tones) - 1)]
    for r in report.results:
        out.setdefault(r.verdict, "red")
    return out


def _pieces(counts: Mapping[str, int], tones: Mapping[str, str]) -> tuple[Piece, ...]:
    total = sum(counts.values())
    out: list[Piece] = []
    at = 0.0
    for word, count in counts.items():
        width = 100 * count / total
        out.append(Piece(word, tones[word], count, round(at, 2), round(width, 2)))
        at += width
    return tuple(out)


def _groups(report: Report, tones: Mapping[str, str]) -> list[Group]:
    severity = {c.id: SEVERITIES.index(c.finding.severity) for c in report.cases}
    order = {w.word: n for n, w in enumerate(report.words)}
    found: dict[str, dict[str, dict[str, Result]]] = {}
    counted: dict[tuple[str, str], dict[str, int]] = {}
    for r in report.results:
        found.setdefault(r.group, {}).setdefault(r.name, {})[r.engine] = r
        counts = counted.setdefault((r.group, r.engine), {})
        counts[r.verdict] = counts.get(r.verdict, 0) + 1
    out = []
    for number, (group, names) in enumerate(sorted(found.items())):
        lines = tuple(
            Line(name, tuple(Cell(e, by.get(e), severity.get(by[e].case, 0) if e in by else 0) for e in report.engines))
            for name, by in names.items()
        )
        sorted_counts = {e: dict(sorted(counted.get((group, e), {}).items(), key=lambda p: order.get(p[0], -1))) for e in report.engines}
        bars = tuple((e, _pieces(sorted_counts[e], tones)) for e in report.engines)
        # a name may hold anything: a number makes a better anchor
        out.append(Group(group, f"g{number}", bars, lines))
    return out


def _line(value: object, limit: int = 0) -> str:
    return line(str(value), limit)


def _block(value: object) -> str:
    return block(str(value))


def _read(name: str) -> str:
    with open(os.path.join(_HERE, name), encoding="utf-8") as file:
        return file.read()


# As a policy names an element's text (CSP level 3, 2.3.1).
def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
