"""A finding is a plain, ordered, printable value."""

from __future__ import annotations

from holdfast.model.finding import Finding, at_least, worst


def make(severity: str = "low") -> Finding:
    return Finding("tags.kconfig.unsafe", "CONFIG_X", "UNSAFE", severity, "x is on", why="because", facts=(("value", "y"),))


def test_plain_leaves_out_what_is_empty() -> None:
    assert make().plain() == {
        "code": "tags.kconfig.unsafe",
        "subject": "CONFIG_X",
        "verdict": "UNSAFE",
        "severity": "low",
        "what": "x is on",
        "why": "because",
        "facts": {"value": "y"},
    }


def test_text_has_the_verdict_first_and_only_parts_that_are_there() -> None:
    assert str(make()).splitlines() == ["UNSAFE CONFIG_X: x is on", "  why    because"]


def test_tool_and_fact() -> None:
    assert (make().tool, make().fact("value"), make().fact("none", "-")) == ("tags", "y", "-")


def test_worst_and_floor_follow_the_order_of_severities() -> None:
    assert worst([make("low"), make("critical"), make("high")]) == "critical"
    assert worst([]) == "none"
    assert (at_least("high", "medium"), at_least("medium", "high")) == (True, False)
