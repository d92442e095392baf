"""Findings as a SARIF 2.1.0 log, what code scanning and editors read.

Source:  SARIF 2.1.0, OASIS Standard
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from holdfast.model.finding import Finding
    from holdfast.report.result import Report

LEVEL: dict[str, str] = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "none": "none"}
FORM = "https://json.schemastore.org/sarif-2.1.0.json"


class Item(Record):
    """A finding and how it stands in the log.

    Shape:   `uri` is a path, relative to `base` where one is given; `name` is what is meant inside it; `kind` is fail, or where a person
             must look, review; `mark` tells it from every other finding, in this log and the next
    """

    finding: Finding
    rule: str
    mark: str
    uri: str = ""
    base: str = ""
    name: str = ""
    sort: str = ""  # what the name is: member, function; empty: unsaid
    kind: str = "fail"
    text: str = ""  # instead of the verdict and what
    properties: tuple[tuple[str, str], ...] = field(default=())


class Rule(Record):
    """What a rule is about, for the reader of its results."""

    id: str
    about: str = ""
    help: str = ""


def render(tool: str, items: Iterable[Item], rules: Iterable[Rule] = (), bases: Mapping[str, str] | None = None) -> str:
    """The log of one run; rules that no result has are left out, rules that are not described are listed by their id.

    Shape:   `bases` says in words what each base of a path is
    """
    listed = list(items)
    ids = sorted({i.rule for i in listed})
    described = {r.id: r for r in rules}
    run: dict[str, Any] = {
        "tool": {"driver": {"name": tool, "rules": [_rule(described.get(i) or Rule(i)) for i in ids]}},
        "results": [_result(item, ids.index(item.rule)) for item in listed],
        "columnKind": "utf16CodeUnits",
    }
    used = {i.base for i in listed if i.base}
    if used:
        run["originalUriBaseIds"] = {base: {"description": {"text": (bases or {}).get(base, base)}} for base in sorted(used)}
    return json.dumps({"$schema": FORM, "version": "2.1.0", "runs": [run]}, indent=2, sort_keys=True) + "\n"


def of(report: Report) -> str:
    """The cases of a report; a finding's place is the file that its fact `file` names."""
    items = []
    rules: dict[str, Rule] = {}
    for case in report.cases:
        f = case.finding
        seen = "; ".join(f"{e.oracle} {e.path}: {e.before} before, {e.after} after" for e in case.evidence)
        extra = {
            "engine": f.engine,
            "kernel": f.kernel,
            "severity": f.severity,
            "reproducer": f.reproducer,
            "evidence": seen,
            **dict(f.facts),
        }
        items.append(Item(f, f.code, case.id, f.fact("file"), "", f.subject, properties=tuple((k, v) for k, v in extra.items() if v)))
        word = next((w for w in report.words if w.word == f.verdict), None)
        rules[f.code] = Rule(f.code, f"{word.word}: {word.about}" if word else "")
    return render(f"holdfast {report.tool}", items, rules.values())


def _rule(rule: Rule) -> dict[str, Any]:
    # a name is one word, by the standard in Pascal case (3.49.7)
    words = re.findall(r"[A-Za-z0-9]+", rule.id)
    out: dict[str, Any] = {"id": rule.id, "name": "".join(w[:1].upper() + w[1:] for w in words) or "Rule"}
    if rule.about:
        out["shortDescription"] = {"text": rule.about}
    if rule.help:
        out["help"] = {"text": rule.help}
    return out


def _result(item: Item, index: int) -> dict[str, Any]:
    f = item.finding
    # a kind other than fail has no level (3.27.10), and what has no severity did not fail
    kind = item.kind if f.severity != "none" or item.kind != "fail" else "informational"
    result: dict[str, Any] = {
        "ruleId": item.rule,
        "ruleIndex": index,
        "kind": kind,
        "level": LEVEL[f.severity] if kind == "fail" else "none",
        "message": {"text": item.text or f"{f.verdict}: {f.what}" + (f". Do: {f.do}" if f.do else "")},
        "partialFingerprints": {"holdfast/v1": item.mark},
    }
    place: dict[str, Any] = {}
    if item.uri:
        place["physicalLocation"] = {"artifactLocation": _artifact(item)}
    if item.name:
        place["logicalLocations"] = [{"fullyQualifiedName": item.name, **({"kind": item.sort} if item.sort else {})}]
    if place:
        result["locations"] = [place]
    if item.properties:
        result["properties"] = dict(item.properties)
    return result


def _artifact(item: Item) -> dict[str, str]:
    # a URI reference: whatever else a path holds is escaped, and a colon in its first part would make that a scheme (RFC 3986, 4.2)
    uri = quote(item.uri, safe="/#-._~!$&'()*+,;=@", errors="surrogatepass")
    return {"uri": uri, "uriBaseId": item.base} if item.base else {"uri": uri}
