"""drift/render.py: one judgement in every format."""

from __future__ import annotations

import json

from holdfast.drift import judge, render
from tests.unit.drift.test_judge import NOBODY, leaf, ledger, row, snapshot
from tests.unit.report import ktap, sarif

OLD = snapshot((6, 1), leaf("a"), leaf("b"), leaf("kept"))
NEW = snapshot((6, 12), leaf("b", "long"), leaf("fresh"), leaf("kept"))
JUDGEMENT = judge.judge(
    OLD, NEW, ledger(row("a", "carried", carried="fd.x.a"), row("b", "ignored")), NOBODY, warnings=["configuration not known: k6.1"]
)
FOUND = judge.findings(JUDGEMENT, tests=lambda _: ())


def test_text_says_the_verdict_first_and_hides_what_is_decided() -> None:
    text = render.text(JUDGEMENT, FOUND, ["silent"])
    lines = text.splitlines()
    assert lines[0] == "FOUND k6.1 -> k6.12: 1 silent, 1 breaks, 1 changed"
    assert "warning: configuration not known: k6.1" in text
    assert "s.fresh" in text
    assert "s.b" not in text
    assert "s.b" in render.text(JUDGEMENT, FOUND, ["silent"], everything=True)
    assert render.text(JUDGEMENT, FOUND, []).startswith("OK ")


def test_facts_are_plain_and_the_worst_comes_first() -> None:
    facts = json.loads(json.dumps(render.facts(JUDGEMENT, FOUND)))
    assert facts["counts"]["silent"] == 1
    assert [(f["subject"], f["verdict"]) for f in facts["findings"]] == [("s.fresh", "silent"), ("s.a", "breaks"), ("s.b", "changed")]
    assert (render.verdict(JUDGEMENT, ["silent"]), render.verdict(JUDGEMENT, ["check"])) == ("FOUND", "OK")


def test_sarif_holds_what_is_not_green() -> None:
    run = sarif.read(render.sarif(FOUND))
    assert [(r["ruleId"], r["level"]) for r in run["results"]] == [("drift.struct.added", "error"), ("drift.struct.removed", "error")]
    artifact = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": "fs/s.c", "uriBaseId": "KERNEL"}
    assert run["results"][0]["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "s.fresh", "kind": "member"}]


def test_ktap_counts_and_fails_what_fails() -> None:
    (holder,) = ktap.read(render.ktap(JUDGEMENT, ["silent"]))
    assert (holder.name, holder.ok) == ("s", False)
    assert [(t.name, t.ok) for t in holder.inside] == [("s.fresh", False), ("s.a", True), ("s.b", True)]
    assert holder.inside[0].note.startswith("silent: ")
