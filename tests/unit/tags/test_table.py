"""Rows are honest: each names things that exist, says why, where that is written and how it was proven."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from holdfast.kernel.release import within
from holdfast.tags import scopes, table
from holdfast.tags.row import EFFECTS, ENGINES, FIXED, KINDS, PROOFS, VERDICTS, Tag

ROWS: list[Tag] = [row for area in table.known().values() for row in area]
SCOPES = scopes.shipped()
PATHS = {p for paths in SCOPES.values() for p in paths.split("|")}
PLACES = {p.rsplit("/", n)[0] for p in PATHS for n in range(p.count("/") + 1)}
WHEN = re.compile(r"set|unset|absent|!?=[\w,]+|[<>]=\d+")


def test_there_are_hundreds_and_no_two_have_one_name() -> None:
    names = Counter(row.name for row in ROWS)
    assert 400 <= len(ROWS) <= 999
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_row_is_complete(row: Tag) -> None:
    assert row.kind in KINDS
    assert row.scope
    assert row.why
    assert row.source
    assert row.proof.split(":")[0] in PROOFS
    assert set(row.on) == set(ENGINES)
    for on in (o for verdicts in row.on.values() for o in verdicts):
        assert on.verdict in VERDICTS
        assert on.effect in EFFECTS
        assert WHEN.fullmatch(on.when)
        assert (on.verdict == "safe") == (on.effect in {"none", "carried"})
        for span in (on.kernel, on.version):
            within("6.12", span)
    assert all(row.of(engine) for engine in ENGINES)


def test_every_option_exists_in_a_known_kernel() -> None:
    assert [(row.name, n) for row in ROWS if row.kind == "kconfig" for n in row.scope if n not in SCOPES] == []


def test_every_space_exists_in_a_known_kernel() -> None:
    assert [(row.name, p) for row in ROWS if row.kind == "space" for p in row.scope if p not in PLACES] == []


def test_no_place_has_two_spaces() -> None:
    spaces = Counter(p for row in ROWS if row.kind == "space" for p in row.scope)
    assert [p for p, count in spaces.items() if count > 1] == []


def test_an_unsafe_space_says_what_switches_it_off() -> None:
    unsafe = [row for row in ROWS if row.kind == "space" and any(o.verdict == "unsafe" for v in row.on.values() for o in v)]
    assert [row.name for row in unsafe if not row.roots] == []
    assert [(row.name, r) for row in ROWS for r in row.roots if r not in SCOPES and r != FIXED] == []


def test_every_option_of_every_known_kernel_has_a_row() -> None:
    rows = table.load()
    assert [name for name, path in SCOPES.items() if not rows.of_option(name, path)] == []


def test_ranges_and_texts_hold_no_control_characters() -> None:
    texts = [t for row in ROWS for t in (row.why, row.source, row.proof, row.do, *(o.why for v in row.on.values() for o in v))]
    assert [t for t in texts if re.search(r"[\x00-\x1f]|  ", t)] == []
