"""A report as plain values: sorted, the same bytes for the same input, with a schema version."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.model.record import Record
    from holdfast.report.result import Report

SCHEMA = 1


def facts(report: Report) -> dict[str, object]:
    """The report as plain values; empty parts of results and evidence are left out."""
    return {
        "title": report.title,
        "kernel": report.kernel,
        "facts": dict(report.facts),
        "gaps": list(report.gaps),
        "counts": {engine: report.counts(engine) for engine in report.engines},
        "verdicts": {w.word: {"outcome": w.outcome, "about": w.about} for w in report.words},
        "findings": [
            {**c.finding.plain(), "id": c.id, "evidence": [_plain(e) for e in c.evidence], "shown_by": list(c.shown_by)}
            for c in report.cases
        ],
        "results": [_plain(r) for r in report.results],
    }


def render(report: Report) -> str:
    """The report as one JSON document; text that is not Unicode stands in it as escapes."""
    document = {"schema": SCHEMA, "tool": report.tool, "verdict": report.verdict, **facts(report)}
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _plain(record: Record) -> dict[str, object]:
    return {name: value for name, value in record.items() if value}
