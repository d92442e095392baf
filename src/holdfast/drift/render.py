"""A comparison of two kernels as text, plain values, SARIF or KTAP; computes nothing."""

from __future__ import annotations

from holdfast.drift.judge import VERDICTS, Judged, Judgement, Massacre, sentence
from holdfast.report import as_ktap, as_sarif

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from holdfast.model.finding import Finding

_MARK = {"added": "+", "removed": "-", "retyped": "~", "renumbered": "#", "moved": ">"}


def summary(judgement: Judgement, failing: Iterable[str]) -> str:
    """One line: the verdict of the whole, and how many of each."""
    parts = ", ".join(f"{n} {v}" for v, n in judgement.counts().items() if n)
    return f"{verdict(judgement, failing)} {judgement.old} -> {judgement.new}: {parts or 'no difference'}"


def text(judgement: Judgement, found: Sequence[Finding], failing: Sequence[str], everything: bool = False) -> str:
    """The comparison for a person: the verdict, what is not green, then what was decided, in few words."""
    lines = [summary(judgement, failing)]
    lines += [f"  watched fields: {judgement.fields_old} -> {judgement.fields_new}"]
    lines += [f"  warning: {w}" for w in judgement.warnings]
    by_name = {(f.subject, f.code): f for f in found}
    shown = VERDICTS if everything else ("silent", "breaks", "undecided", "check")
    for word in shown:
        part = [j for j in judgement.singles if j.verdict == word]
        if part:
            lines += ["", f"{word}: {len(part)}"]
            lines += [line for j in part for line in _judged(j, by_name)]
        for massacre in judgement.massacres:
            if massacre.verdict == word:
                lines += ["", _title(massacre)]
                lines += [f"  {line}" for j in massacre.parts if j.verdict in shown for line in _judged(j, by_name)]
    rest = [m for m in judgement.massacres if m.verdict not in shown]
    if rest:
        lines += ["", *(_title(m) for m in rest)]
    hidden = sum(judgement.counts()[v] for v in VERDICTS if v not in shown)
    if hidden:
        lines += ["", f"not shown: {hidden} that are decided, were not carried, or only moved (--all)"]
    return "\n".join(lines) + "\n"


def _title(massacre: Massacre) -> str:
    counts = {v: sum(p.verdict == v for p in massacre.parts) for v in VERDICTS}
    where = ", ".join(x for x in (massacre.area, massacre.file) if x)
    return f"massacre: {massacre.title} ({where}): {', '.join(f'{n} {v}' for v, n in counts.items() if n)}"


def _judged(j: Judged, found: dict[tuple[str, str], Finding]) -> list[str]:
    c = j.change
    kind = " -> ".join(x for x in (c.old, c.new) if x)
    lines = [f"  {_MARK[c.what]} {c.name}  {kind}" + (f"  [CONFIG_{j.guard}{' differs' if j.config else ''}]" if j.guard else "")]
    finding = found.get((c.name, f"drift.{c.domain}.{c.what}"))
    if j.verdict in ("breaks", "silent", "check", "undecided") and finding:
        lines += [f"      {name:<7}{value}" for name, value in _details(j, finding)]
    elif j.verdict in ("covered", "decided", "gone", "changed"):
        lines += [f"      {j.row.decision}{f' by {j.row.by}' if j.row.by else ''}: {j.row.why}"]
    return lines


def _details(j: Judged, finding: Finding) -> Iterable[tuple[str, str]]:
    yield from ((n, v) for n, v in (("where", finding.where), ("hint", j.change.hint), ("kinds", " ".join(j.kinds))) if v)
    yield from ((n, v) for n, v in (("image", j.row.carried), ("tests", finding.fact("tests")), ("who", finding.fact("maintainers"))) if v)
    if finding.do:
        yield "do", finding.do


def verdict(judgement: Judgement, failing: Iterable[str]) -> str:
    """FOUND where a verdict that fails has a difference, else OK."""
    counts = judgement.counts()
    return "FOUND" if any(counts[v] for v in failing) else "OK"


def facts(judgement: Judgement, found: Iterable[Finding]) -> dict[str, Any]:
    """The comparison as plain values for JSON."""
    return {
        "old": judgement.old,
        "new": judgement.new,
        "fields": {"old": judgement.fields_old, "new": judgement.fields_new},
        "counts": judgement.counts(),
        "warnings": list(judgement.warnings),
        "massacres": [
            {"title": m.title, "area": m.area, "file": m.file, "verdict": m.verdict, "parts": [p.change.name for p in m.parts]}
            for m in judgement.massacres
        ],
        "findings": [f.plain() for f in found],
    }


def sarif(found: Iterable[Finding]) -> str:
    """The findings that are not green as a SARIF log; a result's place is the kernel's file."""
    items = [
        as_sarif.Item(
            f,
            f.code,
            f"{f.code}/{f.subject}",
            f.where,
            "KERNEL" if f.where else "",
            f.subject,
            "member",
            properties=(("verdict", f.verdict), ("subject", f.subject), ("kernel", f.kernel), *f.facts),
        )
        for f in found
        if f.severity != "none"
    ]
    return as_sarif.render("holdfast drift", items, bases={"KERNEL": "the root of the kernel's source tree"})


def ktap(judgement: Judgement, failing: Iterable[str]) -> str:
    """The comparison as KTAP: one test for each difference, grouped by holder; what fails is `not ok`."""
    bad = set(failing)
    groups: dict[str, list[Judged]] = {}
    for j in judgement.all():
        groups.setdefault(j.change.holder, []).append(j)
    return as_ktap.render(
        as_ktap.Test(
            holder, inside=tuple(as_ktap.Test(j.change.name, j.verdict not in bad, note=f"{j.verdict}: {sentence(j)}") for j in parts)
        )
        for holder, parts in sorted(groups.items())
    )
