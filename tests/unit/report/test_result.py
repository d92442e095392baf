"""A report counts, and says its verdict."""

from __future__ import annotations

from holdfast.report.result import Report
from tests.unit.report import sample


def test_counts_are_worst_first_and_leave_out_what_nothing_has() -> None:
    report = sample.report()
    assert list(report.counts().items()) == [("lost", 2), ("failed", 1), ("refused", 1), ("kept", 2), ("blind", 1), ("unsettable", 1)]
    assert report.counts("native", "prctl") == {"blind": 1, "unsettable": 1}
    assert report.engines == ("criu:4.2", "native")
    assert report.groups == ("eventfd", "io_uring", "prctl")


def test_the_verdict_is_never_ok_where_nothing_was_seen() -> None:
    report = sample.report()
    assert report.verdict == "FOUND"
    kept = tuple(r for r in report.results if r.verdict == "kept")
    blind = tuple(r for r in report.results if r.verdict in ("blind", "unsettable"))
    verdicts = [Report("hunt", "t", sample.WORDS, part).verdict for part in ((), blind, kept, kept + blind)]
    assert verdicts == ["UNKNOWN", "UNKNOWN", "OK", "OK"]


def test_a_word_that_is_not_known_fails() -> None:
    odd = sample.report().results[0].replace(verdict="odd")
    report = Report("hunt", "t", sample.WORDS, (odd,))
    assert (report.outcome("odd"), report.verdict, report.counts()) == ("fail", "FOUND", {"odd": 1})


def test_the_worst_case_comes_first_and_its_id_does_not_depend_on_values() -> None:
    first, second = sample.report().cases
    assert (first.finding.severity, second.finding.severity) == ("critical", "high")
    assert second.replace(finding=second.finding.replace(what="other", severity="low", kernel="7.0")).id == second.id
    assert len({first.id, second.id, second.replace(finding=second.finding.replace(engine="native")).id}) == 3
