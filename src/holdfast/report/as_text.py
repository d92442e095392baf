"""A report as lines for a person: the verdict first, engines side by side, then each case with its reproducer."""

from __future__ import annotations

from holdfast.report.plain import block, line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.report.result import Case, Report


def render(report: Report, *, everything: bool = False) -> str:
    """The report; with `everything` also each result that is not part of a case."""
    lines = [f"{report.verdict} {line(report.title)}" + (f" on Linux {line(report.kernel)}" if report.kernel else "")]
    lines += [f"  {line(key)}: {line(value)}" for key, value in report.facts]
    lines += [f"  not checked: {line(gap)}" for gap in report.gaps]
    lines += ["", *table(report)]
    for case in report.cases:
        lines += ["", *_case(case)]
    if everything:
        lines += ["", *_results(report)]
    return "\n".join(lines) + "\n"


def table(report: Report) -> list[str]:
    """One line for each engine: how many of each verdict."""
    words = [w.word for w in report.words if any(r.verdict == w.word for r in report.results)]
    rows = [("engine", *words, "all")]
    for engine in report.engines:
        counts = report.counts(engine)
        rows.append((line(engine), *(str(counts.get(w, 0)) for w in words), str(sum(counts.values()))))
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip() for row in rows]


def _case(case: Case) -> Iterator[str]:
    f = case.finding
    yield f"{f.severity} {line(f.verdict)} {line(f.engine)} {line(f.subject)}: {line(f.what)}  [{case.id}]"
    for name in ("where", "why", "source", "do"):
        if value := getattr(f, name):
            yield f"  {name:<8}{line(value)}"
    for e in case.evidence:
        decided = ": ".join(line(part) for part in (e.decision, e.source) if part)
        yield f"  {line(e.oracle):<9} {line(e.path)}: {line(e.before, 200)} before, {line(e.after, 200)} after" + (
            f"  [{decided}]" if decided else ""
        )
    if len(case.shown_by) > 1:
        more = ", ".join(line(n) for n in case.shown_by[1:6])
        yield f"  also    {len(case.shown_by) - 1} more: {more}" + (", ..." if len(case.shown_by) > 6 else "")
    if f.reproducer:
        yield "  again"
        yield from (f"    {part}" for part in block(f.reproducer.rstrip("\n")).split("\n"))


def _results(report: Report) -> Iterator[str]:
    width = max((len(w.word) for w in report.words), default=0)
    for r in report.results:
        yield f"{line(r.verdict):<{width}}  {line(r.engine)}  {line(r.name)}" + (f": {line(r.note, 200)}" if r.note else "")
