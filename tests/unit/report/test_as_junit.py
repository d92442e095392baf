"""A report as JUnit XML."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from holdfast.report import as_junit
from holdfast.report.plain import line
from tests.unit.report import sample


def test_suites_count_what_they_hold() -> None:
    root = ET.fromstring(as_junit.render(sample.report()))
    assert root.tag == "testsuites"
    assert {k: root.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "8",
        "failures": "3",
        "errors": "0",
        "skipped": "3",
    }
    suites = root.findall("testsuite")
    assert [s.get("name") for s in suites] == [
        "criu:4.2/eventfd",
        "criu:4.2/io_uring",
        "criu:4.2/prctl",
        "native/eventfd",
        "native/io_uring",
        "native/prctl",
    ]
    for suite in (root, *suites):
        cases = list(suite.iter("testcase"))
        assert suite.get("tests") == str(len(cases))
        assert suite.get("failures") == str(sum(c.find("failure") is not None for c in cases))
        assert suite.get("skipped") == str(sum(c.find("skipped") is not None for c in cases))
    assert [(c.get("name"), c.get("time")) for c in suites[0]][1:] == [
        ("eventfd/EFD_SEMAPHORE", "1.500"),
        ("eventfd/EFD_SEMAPHORE@1", "0.000"),
    ]


def test_a_failure_holds_evidence_and_reproducer_and_a_limit_is_skipped_with_its_words() -> None:
    root = ET.fromstring(as_junit.render(sample.report()))
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("lost", "it is gone")
    assert "flags: 1 before, 0 after" in (failure.text or "")
    assert "make fd = eventfd2(0, 1)" in (failure.text or "")
    assert [s.get("message") for s in root.iter("skipped")] == [
        "refused: refused.fd.io_uring: fd 3",
        "blind: no oracle sees it",
        "unsettable: EINVAL",
    ]


def test_hostile_text_stays_text() -> None:
    text = as_junit.render(sample.hostile())
    assert text.isascii()
    root = ET.fromstring(text)
    assert {e.tag for e in root.iter()} == {"testsuites", "testsuite", "properties", "property", "testcase", "failure"}
    assert root.get("name") == line(sample.EVIL)
