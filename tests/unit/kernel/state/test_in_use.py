"""kernel/state/in_use.py: each test of a predicate, held and not, in memory made by hand."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel.state import credentials, in_use
from holdfast.kernel.state.in_use import InUse
from tests.unit.kernel.state import fake
from tests.unit.kernel.state.fake import KERNEL, FakeMemory

if TYPE_CHECKING:
    from holdfast.kernel.state.walk import Walk

AT, BEHIND = KERNEL + 0x1000, KERNEL + 0x2000
PLACES = {
    "thing.to": (0, 8),
    "thing.number": (8, 4),
    "thing.list": (16, 16),
    "thing.three": (32, 24),
    "behind.count": (4, 4),
    "thing.ways": (0, 16),
}
TO_COUNT = ("thing.to", "behind.count")


def asked(monkeypatch: pytest.MonkeyPatch, memory: FakeMemory, *tests: in_use.Test) -> list[InUse]:
    """What one predicate of these tests finds."""
    monkeypatch.setattr(in_use, "PREDICATES", (("thing", tests, "thing", "field", "shown", "why", "a(2)", "end it"),))
    asking = in_use._Asking(fake.walk(memory, fake.layouts({}, PLACES)))
    asking.ask("thing", AT, "descriptor 3: ")
    return asking.found


@pytest.mark.parametrize(
    ("at", "data", "test", "holds"),
    [
        (0, b"\0" * 8, (("thing.to",), "null", 0), False),
        (0, b"\0\0\0\0\0\0\0\1", (("thing.to",), "null", 0), True),
        (32, b"\0" * 24, (("thing.three",), "null", 0), False),
        (32, b"\0" * 23 + b"\1", (("thing.three",), "null", 0), True),  # any of an array
        (8, b"\0\0\0\0", (("thing.number",), "!=", 0), False),
        (8, b"\0\0\1\0", (("thing.number",), "!=", 0), True),
        (8, b"\7\0\0\0", (("thing.number",), "!=", 7), False),
        (8, b"\0\0\0\0", (("thing.number",), "!=", 7), True),
        (8, b"\2\0\0\0", (("thing.number",), "&", 5), False),
        (8, b"\6\0\0\0", (("thing.number",), "&", 5), True),
        (8, b"\xff\0\0\0", (("thing.number",), "lacks", 0x40), False),
        (8, b"\xbf\0\0\0", (("thing.number",), "lacks", 0x40), True),
        (16, (AT + 16).to_bytes(8, "little") * 2, (("thing.list",), "empty", 0), False),
        (16, bytes(16), (("thing.list",), "empty", 0), False),
        (16, BEHIND.to_bytes(8, "little") * 2, (("thing.list",), "empty", 0), True),
        (0, b"", ((), "exists", 0), True),
    ],
)
def test_a_test_holds_or_not(monkeypatch: pytest.MonkeyPatch, at: int, data: bytes, test: in_use.Test, holds: bool) -> None:
    memory = FakeMemory()
    memory.put(AT + at, data)
    assert len(asked(monkeypatch, memory, test)) == holds


def test_what_is_found_says_all_that_the_ledger_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, FakeMemory(), ((), "exists", 0)) == [
        InUse(0, 0, "thing", "field", "descriptor 3: shown", "why", "a(2)", "end it"),
    ]


@pytest.mark.parametrize(("count", "found"), [(0, 0), (2, 1)])
def test_a_path_goes_on_behind_a_pointer(monkeypatch: pytest.MonkeyPatch, count: int, found: int) -> None:
    memory = FakeMemory()
    memory.word(AT, BEHIND)
    memory.word(BEHIND + 4, count, 4)
    assert len(asked(monkeypatch, memory, (TO_COUNT, "!=", 0))) == found


def test_behind_null_is_nothing_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = FakeMemory()
    memory.word(AT, 0)
    assert asked(monkeypatch, memory, (TO_COUNT, "!=", 0)) == []


def test_every_pointer_of_an_array_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = FakeMemory()
    memory.word(AT, 0)
    memory.word(AT + 8, BEHIND)
    memory.word(BEHIND + 4, 1, 4)
    assert len(asked(monkeypatch, memory, (("thing.ways", "behind.count"), "!=", 0))) == 1


def test_one_of_several_tests_is_enough_and_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = FakeMemory()
    memory.word(AT, 1)
    memory.word(AT + 8, 1, 4)
    assert len(asked(monkeypatch, memory, (("thing.to",), "null", 0), (("thing.number",), "!=", 0))) == 1


def test_a_field_that_this_kernel_lacks_is_not_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, FakeMemory(), (("thing.newer",), "!=", 0)) == []


def test_an_object_is_asked_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_use, "PREDICATES", (("thing", (((), "exists", 0),), "thing", "", "shown", "why", "a(2)", "end it"),))
    asking = in_use._Asking(fake.walk(FakeMemory(), fake.layouts({}, PLACES)))
    for _ in range(3):
        asking.ask("thing", AT)
    asking.ask("thing", 0)
    asking.ask("other", AT)
    assert len(asking.found) == 1


class FakeReader:
    """A reader whose walks start in memory made by hand."""

    def walk(self) -> Walk:
        return fake.walk(FakeMemory(), fake.layouts({}, PLACES))


def unasked(monkeypatch: pytest.MonkeyPatch, release: tuple[int, ...], lost: bool) -> tuple[str, ...]:
    rows = (
        ("thing", ((("thing.number",), "!=", 0),), "thing", "number", "", "", "", ""),
        ("thing", ((("thing.renamed",), "!=", 0),), "thing", "renamed", "", "", "", ""),
        ("landlock_cred_security", (((), "exists", 0),), "landlock_cred_security", "", "", "", "", ""),
    )
    monkeypatch.setattr(in_use, "PREDICATES", rows)
    monkeypatch.setattr(in_use, "NEWEST", (7, 3))
    monkeypatch.setattr(in_use, "_version", lambda: release)
    monkeypatch.setattr(credentials, "_offsets", {"cred": None, "file": None})
    monkeypatch.setattr(credentials, "_unknown", {"cred"} if lost else set())
    return in_use.unasked(FakeReader())  # type: ignore[arg-type]


def test_a_field_that_a_known_kernel_lacks_is_a_no_and_that_a_newer_one_lacks_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unasked(monkeypatch, (7, 3), lost=False) == ()
    assert unasked(monkeypatch, (7, 4), lost=False) == ("thing.renamed",)
    assert unasked(monkeypatch, (6, 1), lost=True) == ("landlock_cred_security",)


@pytest.mark.parametrize(
    ("release", "version"), [("6.18.44-fc-v669", (6, 18)), ("7.4-rc1", (7, 4)), ("6.1.0-56-cloud-amd64", (6, 1)), ("7.4+", (7, 4))]
)
def test_the_version_is_that_of_the_running_kernel(monkeypatch: pytest.MonkeyPatch, release: str, version: tuple[int, ...]) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release=release))
    assert in_use._version() == version
