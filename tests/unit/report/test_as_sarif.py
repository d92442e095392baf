"""Findings as SARIF, held against the rules of the standard."""

from __future__ import annotations

import pytest

from holdfast.report import as_sarif
from tests.unit.report import sample, sarif


def test_a_report_is_a_log_with_a_rule_a_place_and_a_mark_for_each_case() -> None:
    report = sample.report()
    run = sarif.read(as_sarif.of(report))
    assert run["tool"]["driver"]["name"] == "holdfast hunt"
    assert [(r["id"], r["name"]) for r in run["tool"]["driver"]["rules"]] == [("hunt.failed", "HuntFailed"), ("hunt.lost", "HuntLost")]
    assert [(r["ruleId"], r["level"], r["partialFingerprints"]["holdfast/v1"]) for r in run["results"]] == [
        ("hunt.failed", "error", report.cases[0].id),
        ("hunt.lost", "error", report.cases[1].id),
    ]
    lost = run["results"][1]
    assert lost["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "src/holdfast/kinds/fd/eventfd.py"
    assert lost["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "eventfd_ctx.flags"
    assert "1 before, 0 after" in lost["properties"]["evidence"]
    assert lost["message"]["text"] == "lost: it is gone. Do: carry it"


@pytest.mark.parametrize(
    ("severity", "kind", "level"), [("none", "informational", "none"), ("low", "fail", "note"), ("medium", "fail", "warning")]
)
def test_what_has_no_severity_did_not_fail(severity: str, kind: str, level: str) -> None:
    item = as_sarif.Item(sample.finding("a.b", "native", severity), "a", "m")
    (result,) = sarif.read(as_sarif.render("t", [item]))["results"]
    assert (result["kind"], result["level"]) == (kind, level)


def test_a_review_has_no_level() -> None:
    item = as_sarif.Item(sample.finding("a.b", "native"), "a", "m", kind="review")
    (result,) = sarif.read(as_sarif.render("t", [item]))["results"]
    assert (result["kind"], result["level"]) == ("review", "none")


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("fs/a b.c", "fs/a%20b.c"),
        ("a:b", "a%3Ab"),
        ("50%[x]?", "50%25%5Bx%5D%3F"),
        ("\udcff/ü", "%ED%B3%BF/%C3%BC"),
    ],
)
def test_a_path_becomes_a_uri_reference(path: str, uri: str) -> None:
    item = as_sarif.Item(sample.finding("a.b", "native"), "a", "m", path, "KERNEL")
    run = sarif.read(as_sarif.render("t", [item], bases={"KERNEL": "the tree"}))
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": uri, "uriBaseId": "KERNEL"}
    assert run["originalUriBaseIds"] == {"KERNEL": {"description": {"text": "the tree"}}}


def test_hostile_text_is_text_and_an_empty_log_is_a_log() -> None:
    text = as_sarif.of(sample.hostile())
    assert text.isascii()
    assert sample.EVIL in sarif.read(text)["results"][0]["message"]["text"]
    assert sarif.read(as_sarif.render("t", []))["results"] == []
