"""Results as KTAP, read back by the rules of the kernel's own page."""

from __future__ import annotations

from holdfast.report import as_ktap
from tests.unit.report import ktap, sample


def test_engines_hold_interfaces_hold_recipes() -> None:
    tests = ktap.read(as_ktap.of(sample.report()))
    assert [(t.name, t.ok) for t in tests] == [("criu:4.2", False), ("native", True)]
    criu, native = tests
    assert [(t.name, t.ok, t.directive) for t in criu.inside] == [("eventfd", False, ""), ("io_uring", True, ""), ("prctl", False, "")]
    assert [(t.name, t.ok, t.directive) for t in native.inside] == [("eventfd", True, ""), ("io_uring", True, ""), ("prctl", True, "SKIP")]
    assert [(t.name, t.ok, t.directive, t.note) for t in native.inside[1].inside] == [
        ("io_uring/setup", True, "XFAIL", "refused: refused.fd.io_uring: fd 3")
    ]
    assert [(t.directive, t.note) for t in native.inside[2].inside] == [
        ("SKIP", "blind: no oracle sees it"),
        ("SKIP", "unsettable: EINVAL"),
    ]


def test_one_engine_needs_no_level_of_its_own() -> None:
    report = sample.report()
    only = report.replace(results=tuple(r for r in report.results if r.engine == "native"))
    assert [t.name for t in ktap.read(as_ktap.of(only))] == ["eventfd", "io_uring", "prctl"]


def test_the_least_recipe_says_how_to_see_it_and_the_others_name_it() -> None:
    least, other = ktap.read(as_ktap.of(sample.report()))[0].inside[0].inside
    assert least.diagnostics[1:] == [
        "kernel leader.files.fd[3].private.flags: 1 before, 0 after",
        "again: # hunt recipe 1",
        "again: name a",
        "again: make fd = eventfd2(0, 1)",
    ]
    assert other.diagnostics[1:] == ["as eventfd/EFD_SEMAPHORE"]
    assert (least.ok, least.note, least.directive) == (False, "lost", "")


def test_hostile_text_makes_no_result_of_its_own() -> None:
    tests = ktap.read(as_ktap.of(sample.hostile()))
    assert len(tests) == 2
    assert [len(t.inside[0].inside) for t in tests] == [1, 1]
    assert all(not t.ok for t in tests)


def test_a_parent_follows_its_children_whatever_it_is_given() -> None:
    bad = as_ktap.Test("b", False)
    skipped = as_ktap.Test("s", directive="SKIP")
    read = ktap.read(as_ktap.render([as_ktap.Test("p", inside=(skipped, bad)), as_ktap.Test("q", inside=(skipped, skipped))]))
    assert [(t.name, t.ok, t.directive) for t in read] == [("p", False, ""), ("q", True, "SKIP")]
    assert as_ktap.render([]) == "KTAP version 1\n1..0\n"
