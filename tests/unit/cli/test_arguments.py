"""The hand-made reader of command lines says the same as a person would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.arguments import Given, Option, Spec, help_text, parse, usage
from holdfast.errors import UsageError

SPEC = Spec(
    "save",
    "Save it.",
    (("WHAT", "The thing."),),
    (Option("output", "Where to.", "PLACE", "o", required=True), Option("quick", "Faster."), Option("json", "As JSON.")),
    "One paragraph.\n\nAnother.",
)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["x", "-o", "y"], Given(("x",), {"output": "y"}, frozenset())),
        (["-oy", "x"], Given(("x",), {"output": "y"}, frozenset())),
        (["--output=y", "--quick", "x"], Given(("x",), {"output": "y"}, frozenset({"quick"}))),
        (["--output", "--quick", "x"], Given(("x",), {"output": "--quick"}, frozenset())),
        (["-o", "y", "--", "--quick"], Given(("--quick",), {"output": "y"}, frozenset())),
        (["-o", "", "-"], Given(("-",), {"output": ""}, frozenset())),
        (["--output=a=b", "x"], Given(("x",), {"output": "a=b"}, frozenset())),
        (["-h"], Given((), {}, frozenset({"help"}))),
        (["--nothing-of-this-matters-after", "x"], None),
    ],
)
def test_words_are_read(words: list[str], wanted: Given | None) -> None:
    if wanted is None:
        with pytest.raises(UsageError):
            parse(SPEC, words)
    else:
        assert parse(SPEC, words) == wanted


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["x"], "usage.option", "--output PLACE is missing"),
        (["-o", "y"], "usage.argument", "WHAT is missing"),
        (["a", "b", "-o", "y"], "usage.argument", "there is more than WHAT: a b"),
        (["x", "-o"], "usage.option", "-o needs a value: PLACE"),
        (["x", "-o", "y", "--quick=1"], "usage.option", "--quick takes no value"),
        (["x", "-o", "y", "-z"], "usage.option", "holdfast save has no option -z"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(words: list[str], code: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(SPEC, words)
    assert (caught.value.code, caught.value.what, caught.value.exit_code) == (code, what, 2)


def test_a_mistyped_option_is_told_its_neighbour() -> None:
    with pytest.raises(UsageError) as caught:
        parse(SPEC, ["x", "-o", "y", "--quik"])
    assert caught.value.do == "did you mean --quick?"


@given(st.lists(st.text(max_size=8), max_size=6))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    try:
        parse(SPEC, words)
    except UsageError as error:
        told = [error.code, error.what, error.do]
    else:
        told = ["read"]
    assert "" not in told


def test_help_names_every_argument_and_option() -> None:
    text = help_text(SPEC)
    assert usage(SPEC) == "holdfast save WHAT -o, --output PLACE [OPTIONS]"
    assert [w for w in ("WHAT", "--output PLACE", "--quick", "--json", "-h, --help", "One paragraph.", "Another.") if w not in text] == []
    assert max(map(len, text.splitlines())) <= 100
