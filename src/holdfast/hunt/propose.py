"""What findings ask a reviewer to decide: ledger rows, discovered tags and reproducers, in a folder of their own.

    DIR/README.md            each finding, and what it asks for
    DIR/ledger/structs/*.toml, DIR/ledger/facts/*.toml   rows as `holdfast ledger decide` writes them, to be moved or thrown away
    DIR/tags/ID.json         findings that `holdfast tags add` takes into the chain of discovered tags
    DIR/recipes/ID.recipe    reproducers for `holdfast hunt --replay` and for the corpus

Nothing outside DIR is touched. A row that is proposed says refused: what was lost once must be carried or refused by name, and only a
person knows how to carry it. What the ledger says is carried already needs no row but a fix.
"""

from __future__ import annotations

import json
import os
import re

from holdfast.drift import edit, ledger
from holdfast.drift.check import faults
from holdfast.drift.ledger import Row
from holdfast.errors import UsageError
from holdfast.hunt import corpus, triage
from holdfast.hunt.recipe import parse
from holdfast.kernel import cache
from holdfast.report.plain import line
from holdfast.tags import discovered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.drift.ledger import Ledger
    from holdfast.hunt.verdict import Round
    from holdfast.model.finding import Finding
    from holdfast.report.result import Case, Evidence

FACTS = {
    "status-keys": "status-keys",
    "fdinfo-keys": "fdinfo-keys",
    "smaps-keys": "smaps-keys",
    "proc": "proc-files",
}
"""Tables of the ledger for the words that places of /proc begin with."""

_HEAD = """\
# Proposed by a hunt

Nothing here is decided. Each row says `refused`, because what was lost must not be lost again; where it can be carried, carry it and say
so instead. `holdfast tags add tags/ID.json` makes a finding a discovered tag; `holdfast hunt --replay recipes/ID.recipe` shows it again.
"""


def write(place: str, rounds: Iterable[Round], book: Ledger | None = None) -> list[str]:
    """Write everything that rounds ask for into a folder; the paths of the files.

    Shape:   `place` is made; files of an earlier proposal are written over, others stay
    Raises:  usage.ledger.missing: there is no ledger to propose rows for
    """
    book = book or ledger.load()
    files: dict[str, str] = {}
    told = [_HEAD]
    rows: dict[str, dict[str, tuple[Row, str]]] = {}
    for case in triage.cases(rounds, book):
        f = case.finding
        asks = []
        files[f"recipes/{case.id}{corpus.ENDING}"] = _recipe(case)
        wanted = proposed(case, book)
        for path, row, full in wanted:
            rows.setdefault(path, {}).setdefault(full, (row, case.id))
            asks.append(f"decide {full}: {path}")
        tag = tag_of(f)
        if tag is not None:
            files[f"tags/{case.id}.json"] = json.dumps(tag.plain(), indent=2, sort_keys=True) + "\n"
            asks.append(f"tag {tag.fact('runtime')}: tags/{case.id}.json")
        elif f.verdict == "lost":
            asks.append("no tag: no key names this state alone, and one on the object would condemn all of its users")
        if f.fact("ledger") and not wanted:
            asks.append(f"fix it: {f.fact('ledger')}")
        told += [f"## {case.id} {f.severity} {f.verdict} {f.engine}\n", f"{_plain(f.subject)}: {_plain(f.what)}\n"]
        told += [*(f"- {_plain(a)}" for a in asks), ""]
    for path, found in rows.items():
        files[path] = "\n".join(f"# {case_id}\n{edit.block(row)}" for row, case_id in found.values())
    if len(told) == 1:
        told.append("Nothing was found.")
    files["README.md"] = "\n".join(told).rstrip("\n") + "\n"
    out = []
    for name, text in sorted(files.items()):
        path = os.path.join(place, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        cache.write(path, text.encode("utf-8", "backslashreplace"))
        out.append(path)
    return out


def proposed(case: Case, book: Ledger) -> list[tuple[str, Row, str]]:
    """Rows for what a case lost and nobody has decided: the file below DIR, the row, and the name of what it decides.

    Shape:   only losses of the native engine: what another engine loses is no decision about this one
    """
    f = case.finding
    out: list[tuple[str, Row, str]] = []
    if f.engine != "native" or f.verdict != "lost":
        return out
    signatures = set(f.fact("signature").split("; "))
    seen: set[str] = set()
    for e in case.evidence:
        found = _place(e, book) if e.decision in ("undecided", "") and e.signature in signatures - seen else None
        if found is None:
            continue
        seen.add(e.signature)
        path, name = found
        row = Row(
            (name,),
            "refused",
            f"a hunt lost it: {line(f.fact('recipe'), 120)}",
            f"{case.id}: recipes/{case.id}{corpus.ENDING}, Linux {f.kernel}",
            when=f"{e.signature} is not {line(e.after, 60)}",
        )
        assert not list(faults(row))
        out.append((path, row, e.signature))
    return out


def _place(e: Evidence, book: Ledger) -> tuple[str, str] | None:
    # the file and the name in it of what a piece of evidence is about
    word, _, name = e.signature.partition(".")
    if e.oracle == "kernel" and word in book.structs and name:
        return os.path.join("ledger", book.structs[word].origin), name
    table = FACTS.get(word)
    if e.oracle == "proc" and table in book.facts and name:
        return os.path.join("ledger", "facts", f"{table}.toml"), name
    return None


def tag_of(finding: Finding) -> Finding | None:
    """The finding as `holdfast tags add` takes it; None where no key names the state alone, or it may be gone next time."""
    if not finding.fact("runtime") or finding.verdict == "flaky":
        return None
    engine, _, version = finding.engine.partition(":")
    facts = {k: v for k, v in finding.facts if k in ("runtime", "recipe", "signature")}
    if version:
        facts["version"] = version
    kernel = re.match(r"\d+\.\d+", finding.kernel)
    made = finding.replace(engine=engine, kernel=kernel[0] if kernel else "", facts=tuple(sorted(facts.items())))
    try:
        discovered.from_finding(made)
    except UsageError:
        return None  # a word that tags do not know
    return made


def _recipe(case: Case) -> str:
    try:
        return corpus.text(case, parse(case.finding.reproducer, case.id))
    except UsageError:
        return case.finding.reproducer  # of an older form: kept as it is


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_<>\[\]|#])", r"\\\1", line(text))
