"""A report as JSON."""

from __future__ import annotations

import json

from holdfast.report import as_json
from tests.unit.report import sample


def test_the_document_says_schema_verdict_and_each_finding_with_its_evidence() -> None:
    document = json.loads(as_json.render(sample.report()))
    assert (document["schema"], document["tool"], document["verdict"]) == (1, "hunt", "FOUND")
    assert document["counts"]["criu:4.2"] == {"lost": 2, "failed": 1, "kept": 1}
    assert document["verdicts"]["refused"] == {"outcome": "known", "about": "refused by name"}
    first, second = document["findings"]
    assert (first["severity"], second["severity"]) == ("critical", "high")
    assert second["evidence"] == [
        {
            "oracle": "kernel",
            "path": "leader.files.fd[3].private.flags",
            "before": "1",
            "after": "0",
            "decision": "carried",
            "source": "eventfd_ctx.flags",
        }
    ]
    assert second["shown_by"] == ["eventfd/EFD_SEMAPHORE", "eventfd/EFD_SEMAPHORE@1"]
    assert [r["verdict"] for r in document["results"]] == [r.verdict for r in sample.report().results]


def test_the_same_report_is_the_same_bytes() -> None:
    assert as_json.render(sample.report()) == as_json.render(sample.report())


def test_hostile_text_comes_back_as_it_was() -> None:
    data = as_json.render(sample.hostile())
    assert data.isascii()
    assert json.loads(data)["findings"][0]["what"] == sample.EVIL
