"""drift/predicates.py: predicates of rows as tests, where they may go, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.drift import predicates
from holdfast.drift.ledger import Ledger
from holdfast.errors import UsageError

NONE: dict[str, object] = {"enums": [], "flags": [], "facts": [], "rules": [], "swept": {}}


def ledger(**row: str) -> Ledger:
    """A ledger with one struct, cred, and one row of it."""
    given = {
        "names": ["domain"],
        "decision": "refused",
        "when": "it is set",
        "why": "cannot be read",
        "source": "a(2)",
        "do": "end it",
        **row,
    }
    return Ledger({**NONE, "structs": [{"struct": "cred", "origin": "structs/cred.toml", "field": [given]}]}, "")


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        ("domain != null", [(("cred.domain",), "null", 0)]),
        ("count != 0 or list.head != empty", [(("cred.count",), "!=", 0), (("cred.list.head",), "empty", 0)]),
        ("count != 4194304", [(("cred.count",), "!=", 4194304)]),
        ("flags != own", [(("cred.flags",), "own", 0)]),
        ("mask & 0x40", [(("cred.mask",), "&", 64)]),
        ("rights lacks 16", [(("cred.rights",), "lacks", 16)]),
        ("session_keyring != shared", [(("cred.session_keyring",), "shared", 0)]),
        ("thread_keyring.keys != null", [(("cred.thread_keyring", "key.keys"), "null", 0)]),
        ("exists", [((), "exists", 0)]),
    ],
)
def test_a_predicate_becomes_tests(reads: str, expected: object) -> None:
    assert predicates.tests(reads, "cred", "here") == expected


@pytest.mark.parametrize(
    "reads",
    ["", "domain", "domain == null", "domain != x", "domain != -7", "domain & x", "a != null and b != null", "do main != 0"],
)
def test_anything_else_is_malformed(reads: str) -> None:
    with pytest.raises(UsageError) as error:
        predicates.tests(reads, "cred", "here")
    assert error.value.code == "usage.ledger.malformed"


def test_a_row_is_one_line_of_the_table() -> None:
    (row,) = predicates.rows(ledger(reads="domain != null"))
    assert row == ("cred", [(("cred.domain",), "null", 0)], "cred", "domain", "it is set", "cannot be read", "a(2)", "end it")


@pytest.mark.parametrize(
    "row",
    [{"via": "inode", "reads": "i != 0"}, {"do": "", "reads": "domain != 0"}, {"decision": "ignored", "reads": "domain != 0"}],
    ids=["no way there", "nothing to do", "not refused"],
)
def test_a_row_that_cannot_be_asked_is_malformed(row: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        list(predicates.rows(ledger(**row)))


def test_the_text_is_a_module_that_holds_the_same() -> None:
    found = ledger(reads="domain != null or thread_keyring.keys != null")
    space: dict[str, Any] = {}
    exec(compile(predicates.predicates_text(found), "predicates", "exec"), space)
    start, tests, *rest = space["PREDICATES"][0]
    assert (start, list(tests), *rest) == next(predicates.rows(found))
    assert space["SEGMENTS"] == ("cred.domain", "cred.thread_keyring", "key.keys")
    assert '"""\n    cred\n    """' in predicates.watched_text(found)
