"""Three views of one judgement agree."""

from __future__ import annotations

import json

from holdfast.tags import evaluate, render, table
from tests.unit.report import sarif

KEYS = ["fd:anon_inode:[io_uring]", "fd:regular", "fd:brand-new"]


def parts() -> list[tuple[str, evaluate.Judged]]:
    return [("pid 1", evaluate.process(KEYS, table.load(), "native", "6.18"))]


def test_text_begins_with_the_verdict_and_leaves_out_what_is_ok() -> None:
    lines = render.text(parts()).splitlines()
    assert lines[0] == "UNSAFE pid 1: engine native, Linux 6.18; 1 UNSAFE, 1 UNKNOWN, 1 OK"
    assert [line.split()[0] for line in lines[1:]] == ["UNSAFE", "UNKNOWN"]
    assert len(render.text(parts(), everything=True).splitlines()) == 4
    assert "      source io_uring(7)" in render.text(parts(), why=True)


def test_gaps_are_said_and_spoil_the_verdict() -> None:
    judged = evaluate.judge((), "native", "", {}, ["the file is cut"])
    assert render.text([("x", judged)]).splitlines() == ["UNKNOWN x: engine native; nothing found", "  not sure    the file is cut"]


def test_plain_values_are_json() -> None:
    facts = render.facts(parts(), options=True)
    assert json.loads(json.dumps(facts))["judged"][0]["counts"]["UNSAFE"] == 1
    assert render.verdict([]) == "UNKNOWN"


def test_sarif_has_a_rule_a_place_and_a_fingerprint_for_each_result() -> None:
    run = sarif.read(render.sarif(parts()))
    assert [(r["ruleId"], r["level"], r["kind"]) for r in run["results"]] == [
        ("runtime.fd_io_uring", "note", "fail"),
        ("fd:brand-new", "none", "review"),
    ]
    assert all(r["partialFingerprints"] for r in run["results"])
    assert [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in run["results"]] == ["pid%201", "pid%201"]
