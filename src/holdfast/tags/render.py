"""A judgement as lines, as plain values for JSON, as a SARIF log: three views of one value."""

from __future__ import annotations

from holdfast.tags.evaluate import ORDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.tags.evaluate import Judged


def verdict(parts: Iterable[Judged]) -> str:
    """The worst verdict of several judgements."""
    return max((j.verdict for j in parts), key=ORDER.index, default="UNKNOWN")


def text(parts: Sequence[tuple[str, Judged]], *, everything: bool = False, why: bool = False) -> str:
    """The first line is the verdict; then what was not checked, then one line for each finding that is not OK, and with `why` its parts."""
    lines = []
    for where, judged in parts:
        counts = ", ".join(f"{judged.counts[w]} {w}" for w in reversed(ORDER) if judged.counts.get(w))
        kernel = f", Linux {judged.kernel}" if judged.kernel else ""
        lines.append(f"{judged.verdict} {where}: engine {judged.engine}{kernel}; {counts or 'nothing found'}")
        lines += [f"  not sure    {gap}" for gap in judged.gaps]
        shown = [f for f in judged.findings if everything or f.verdict != "OK"]
        width = max((len(f.subject) for f in shown), default=0)
        for f in shown:
            effect = f.fact("effect")
            mark = f" (discovered, {f.reproducer})" if f.evidence == "discovered" else ""
            lines.append(f"  {f.verdict:<8}  {effect:<8} {f.subject:<{width}}  {f.what}{mark}")
            if why:
                rows = (("where", f.where), ("why", f.why), ("source", f.source), ("proof", f.fact("proof")), ("do", f.do))
                lines += [f"      {name:<7}{value}" for name, value in rows if value]
    return "\n".join(lines) + "\n"


def facts(parts: Sequence[tuple[str, Judged]], *, options: bool = False) -> dict[str, object]:
    """The judgements as plain values, ready for JSON; with `options` also the verdict of every single option."""
    judged = []
    for where, j in parts:
        row: dict[str, object] = {
            "where": where,
            "engine": j.engine,
            "kernel": j.kernel,
            "verdict": j.verdict,
            "counts": j.counts,
            "gaps": list(j.gaps),
            "findings": [f.plain() for f in j.findings],
        }
        if options:
            row["options"] = j.options
        judged.append(row)
    return {"judged": judged}


def sarif(parts: Sequence[tuple[str, Judged]]) -> str:
    """What is not OK as a SARIF log; a result's place is the file that was judged."""
    # the other formats do not pay for it
    from holdfast.report import as_sarif

    listed = [(where, f) for where, j in parts for f in j.findings if f.verdict != "OK"]
    items = [
        as_sarif.Item(
            f,
            f.subject,
            f"{f.subject}/{f.engine}/{f.fact('effect')}",
            where.replace(": ", "#"),
            "",
            f.where or f.subject,
            kind="review" if f.verdict in {"UNKNOWN", "UNTESTED"} else "fail",
            properties=(("verdict", f.verdict), ("engine", f.engine), ("evidence", f.evidence), ("effect", f.fact("effect"))),
        )
        for where, f in listed
    ]
    rules = [as_sarif.Rule(f.subject, f.why or f.what, f"source: {f.source or 'none'}") for _, f in listed]
    return as_sarif.render("holdfast tags", items, rules)
