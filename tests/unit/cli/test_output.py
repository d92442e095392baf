"""Text and JSON come from one value; JSON is the same bytes for the same value."""

from __future__ import annotations

import base64
import json
import os
import select
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli import output
from holdfast.errors import BadImage, Differs, HoldfastError, KernelLacks, Refused, TargetChanged, UsageError
from holdfast.model.census import Refusal
from holdfast.model.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping


class Thing(Record):
    name: bytes
    many: tuple[int, ...] = ()
    flags: frozenset[str] = frozenset()


def first_line(facts: Mapping[str, Any]) -> list[str]:
    return [f"there are {facts['count']}", "  more"]


def test_the_first_word_is_the_verdict_and_the_exit_code_is_the_answers(capsys: pytest.CaptureFixture[str]) -> None:
    code = output.say(output.Answer("x", "LOSSY", {"count": 3}, first_line, 11), as_json=False)
    assert (code, capsys.readouterr().out) == (11, "LOSSY there are 3\n  more\n")


def test_json_has_a_schema_and_sorted_keys(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(output.Answer("x", "OK", {"count": 3, "b": {"z": 1, "a": None}}, first_line), as_json=True)
    text = capsys.readouterr().out
    assert json.loads(text) == {"schema": 1, "command": "x", "verdict": "OK", "count": 3, "b": {"a": None, "z": 1}}
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_facts_cannot_hide_the_verdict_or_the_schema() -> None:
    assert json.loads(output.document("x", "OK", {"schema": 9, "verdict": "REFUSED"}))["schema"] == 1
    assert json.loads(output.document("x", "OK", {"schema": 9, "verdict": "REFUSED"}))["verdict"] == "OK"


def test_bytes_that_are_not_text_keep_their_value() -> None:
    assert output.plain({"path": b"/a/b"}) == {"path": "/a/b"}
    assert output.plain({"path": b"/a/\xff"}) == {"path": "/a/\\xff", "path_b64": base64.b64encode(b"/a/\xff").decode()}
    assert output.plain((b"a", b"\xff")) == ["a", {"text": "\\xff", "b64": "/w=="}]


def test_records_and_sets_are_plain() -> None:
    assert output.plain(Thing(b"x", (1, 2), frozenset({"b", "a"}))) == {"name": "x", "many": [1, 2], "flags": ["a", "b"]}


@given(st.binary(max_size=40))
def test_no_two_byte_strings_look_alike_in_json(raw: bytes) -> None:
    made = output.plain({"path": raw})
    assert (base64.b64decode(made["path_b64"]) if "path_b64" in made else made["path"].encode()) == raw


@pytest.mark.parametrize(
    ("error", "verdict", "code"),
    [
        (Refused("dump", "no"), "REFUSED", 10),
        (KernelLacks("x", "no"), "REFUSED", 20),
        (BadImage("x", "no"), "REFUSED", 30),
        (UsageError("x", "no"), "UNKNOWN", 2),
        (TargetChanged("x", "no"), "UNKNOWN", 40),
        (Differs("x", "no"), "UNKNOWN", 50),
    ],
)
def test_an_error_is_one_document(error: HoldfastError, verdict: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert output.failed(error, "dump", as_json=True) == code
    said = capsys.readouterr()
    assert (json.loads(said.out)["verdict"], json.loads(said.out)["error"]["what"], said.err) == (verdict, "no", "")


def test_a_refusal_is_told_with_all_its_reasons_and_parts(capsys: pytest.CaptureFixture[str]) -> None:
    refusals = [Refusal("fd.a", "one", "here", "because", "close it"), Refusal("fd.b", "two")]
    output.failed(Refused("dump", "2 reasons", refusals=refusals), "dump", as_json=False)
    assert capsys.readouterr().err.splitlines() == [
        "REFUSED refused.dump: 2 reasons",
        "refused.fd.a: one",
        "  where  here",
        "  why    because",
        "  do     close it",
        "refused.fd.b: two",
    ]


def test_what_nobody_foresaw_is_told_with_its_traceback_and_exits_with_70(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.crashed(KeyError("x"), "dump", as_json=False) == 70
    said = capsys.readouterr().err
    assert ("KeyError: 'x'" in said, "internal.unexpected" in said) == (True, True)


def test_control_characters_of_a_name_do_not_reach_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.write("a\x1b]0;evil\x07b\u202ec\nd")
    assert capsys.readouterr().out == "a\\x1b]0;evil\\x07b\\u202ec\nd\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (104857600, "100 MiB"), (3 << 30, "3 GiB"), (1 << 50, "1.02e+03 TiB")],
)
def test_sizes(value: int, text: str) -> None:
    assert output.size(value) == text


@pytest.mark.parametrize(("ns", "text"), [(999, "1 us"), (350_000, "350 us"), (3_140_000, "3.1 ms"), (2_400_000_000, "2.40 s")])
def test_durations(ns: int, text: str) -> None:
    assert output.duration(ns) == text


def test_counts() -> None:
    assert [output.count(1, "process", "processes"), output.count(0, "file"), output.count(2, "process", "processes")] == [
        "1 process",
        "0 files",
        "2 processes",
    ]


def test_a_bar_never_waits_for_its_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.openpty()
    os.set_blocking(writer, False)
    try:
        while select.select([], [writer], [], 0)[1]:  # nobody reads: it fills up
            try:
                os.write(writer, b"x" * 4096)
            except BlockingIOError:
                break
        os.set_blocking(writer, True)
        with open(writer, "w", closefd=False) as terminal:
            monkeypatch.setattr(sys, "stderr", terminal)
            monkeypatch.setattr(output, "LONG_S", 0.0)
            with output.Bar("dumping") as bar:
                for done in range(100):
                    bar(done, 100)
    finally:
        os.close(reader)
        os.close(writer)


def test_a_bar_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.openpty()
    try:
        with open(writer, "w", closefd=False) as terminal:
            monkeypatch.setattr(sys, "stderr", terminal)
            monkeypatch.setattr(output, "LONG_S", 0.0)
            with output.Bar("dumping") as bar:
                bar(1, 4)
            terminal.flush()
        shown = os.read(reader, 1 << 16).decode()
    finally:
        os.close(reader)
        os.close(writer)
    assert "dumping" in shown
    assert "25%" in shown
