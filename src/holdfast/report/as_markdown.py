"""A report as a page for a repository: each case once, what a program itself can see of it first, and the text that shows it again."""

from __future__ import annotations

from holdfast.report.as_text import table
from holdfast.report.plain import block, line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.report.result import Case, Evidence, Report

SEEN_BY_PROGRAMS = ("getter", "behaviour", "proc", "memory")
"""Oracles that need no privilege: the program itself, or whoever may read its /proc, sees it. Strongest first."""
_MOST = 4  # pieces of evidence of one sort that are printed


def render(report: Report) -> str:
    """The page: engines side by side, an index, cases that programs see, those that only kernel structs show, those that fail loudly."""
    silent, loud = (
        _merged(c for c in report.cases if c.finding.verdict == "lost"),
        _merged(c for c in report.cases if c.finding.verdict != "lost"),
    )
    seen = [g for g in silent if any(e.oracle in SEEN_BY_PROGRAMS for c in g for e in c.evidence)]
    hidden = [g for g in silent if g not in seen]
    out = [f"# {_plain(report.title)}", "", f"Linux {_plain(report.kernel)}." if report.kernel else ""]
    out += [f"- {_plain(key)}: {_plain(value)}" for key, value in report.facts]
    out += [f"- not checked: {_plain(gap)}" for gap in report.gaps]
    out += ["", "```", *(row.replace("```", "'''") for row in table(report)), "```", ""]
    out += ["## Silent losses that a program sees", "", "| | severity | what | engines | shown by |", "|---|---|---|---|---|"]
    out += [_row(g, n) for n, g in enumerate(seen, 1)]
    out += ["", "## Evidence", ""]
    for n, group in enumerate(seen, 1):
        out += _case(group, n)
    out += ["## Silent changes that only kernel structs show", ""]
    out += ["| | severity | what | engines | before | after | shown by |", "|---|---|---|---|---|---|---|"]
    for n, group in enumerate(hidden, len(seen) + 1):
        first = next(iter(group[0].evidence), None)
        before, after = (_cell(first.before), _cell(first.after)) if first else ("", "")
        cells = (str(n), group[0].finding.severity, _cell(group[0].finding.subject), _engines(group), before, after, _shown(group))
        out.append(f"| {' | '.join(cells)} |")
    out += ["", "## Loud failures", "", "| | what | engines | shown by |", "|---|---|---|---|"]
    out += [
        f"| {n} | {_cell(g[0].finding.verdict)}: {_cell(g[0].finding.what)} | {_engines(g)} | {_shown(g)} |"
        for n, g in enumerate(loud, len(silent) + 1)
    ]
    return "\n".join(out).rstrip("\n") + "\n"


# The same subject on several engines is one case; the order of the first is kept.
def _merged(cases: Iterable[Case]) -> list[list[Case]]:
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.finding.code, case.finding.subject), []).append(case)
    return list(groups.values())


def _row(group: list[Case], number: int) -> str:
    f = group[0].finding
    return f"| [{number}](#{number}) | {f.severity} | {_cell(f.subject)} | {_engines(group)} | {_shown(group)} |"


def _engines(group: list[Case]) -> str:
    return _cell(", ".join(dict.fromkeys(c.finding.engine for c in group)))


def _shown(group: list[Case]) -> str:
    names = list(dict.fromkeys(n for c in group for n in c.shown_by))
    return _cell(names[0]) + (f" and {len(names) - 1} more" if len(names) > 1 else "") if names else ""


def _case(group: list[Case], number: int) -> Iterator[str]:
    case = group[0]
    f = case.finding
    yield f'<a id="{number}"></a>'
    yield ""
    yield f"### {number}. {_plain(f.subject)}"
    yield ""
    yield f"{f.severity}; {_engines(group)}; {_plain(f.what, 300)}"
    yield ""
    yield "| oracle | place | before | after |"
    yield "|---|---|---|---|"
    for oracle in (*SEEN_BY_PROGRAMS, "kernel"):
        mine = [e for e in case.evidence if e.oracle == oracle]
        for e in mine[:_MOST]:
            yield _evidence(e)
        if len(mine) > _MOST:
            yield f"| {oracle} | {len(mine) - _MOST} more | | |"
    yield ""
    if f.reproducer:
        yield "```"
        yield block(f.reproducer.rstrip("\n")).replace("```", "'''")
        yield "```"
        yield ""


def _evidence(e: Evidence) -> str:
    return f"| {_cell(e.oracle)} | {_cell(e.path)} | {_cell(e.before)} | {_cell(e.after)} |"


def _plain(text: str, most: int = 200) -> str:
    return line(text, most).replace("<", "&lt;").replace("`", "'")


# In code, so that nothing in it is markup; a bar would end the cell.
def _cell(text: str) -> str:
    plain = line(text, 90).replace("`", "'").replace("|", "\\|")
    return f"`{plain}`" if plain else ""
