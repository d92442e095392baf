"""drift/ledger.py: rows, ranges, rules and whole-object rows, on a small ledger written here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.drift import ledger
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

STRUCT = """
struct = "eventfd_ctx"
area = "files"
file = "fs/eventfd.c"
about = "A counter"

[[field]]
names = ["count"]
decision = "carried"
carried = "fd.eventfd.count"
why = "it is shown"
source = "eventfd(2)"

[[field]]
names = ["flags"]
decision = "ignored"
until = "6.5"
why = "not shown"
source = "eventfd(2)"

[[field]]
names = ["flags"]
decision = "carried"
carried = "fd.eventfd.semaphore"
since = "6.5"
why = "shown since 6.5"
source = "eventfd(2)"
"""
RULES = """
[[rule]]
name = "lock"
always = true
types = ["(raw_)?spinlock_t"]
decision = "rebuilt"
why = "a lock"
source = "x"

[[rule]]
name = "link"
types = ["struct list_head"]
structs = ["eventfd_ctx"]
decision = "rebuilt"
why = "a link"
source = "x"
"""
REST = """
[rest]
decision = "refused"
when = "always"
why = "all of it"
source = "x"
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))


def write(folder: Path, struct: str = STRUCT, rules: str = RULES, swept: str = "") -> str:
    (folder / "structs").mkdir(exist_ok=True)
    (folder / "structs" / "eventfd_ctx.toml").write_text(struct)
    (folder / "rules.toml").write_text(rules)
    (folder / "swept.toml").write_text(swept)
    return str(folder)


def test_a_row_holds_for_its_kernels_only(tmp_path: Path) -> None:
    found = ledger.load(write(tmp_path))
    assert found.decide("eventfd_ctx", "flags", "int", (6, 1)).decision == "ignored"
    assert found.decide("eventfd_ctx", "flags", "int", (6, 5)).carried == "fd.eventfd.semaphore"
    assert found.decide("eventfd_ctx", "flags", "int").carried == "fd.eventfd.semaphore"


def test_an_always_rule_decides_what_is_new_and_another_only_what_it_swept(tmp_path: Path) -> None:
    found = ledger.load(write(tmp_path))
    assert found.decide("eventfd_ctx", "fresh", "raw_spinlock_t").by == "rule lock"
    assert found.decide("eventfd_ctx", "chain", "struct list_head") == ledger.UNDECIDED
    assert found.ruled("eventfd_ctx", "chain", "struct list_head", unswept=True) is not None
    found = ledger.load(write(tmp_path, swept='link = ["eventfd_ctx.chain"]\n'))
    assert found.decide("eventfd_ctx", "chain", "struct list_head").by == "rule link"
    assert found.decide("eventfd_ctx", "other", "struct list_head") == ledger.UNDECIDED


def test_the_rest_comes_last(tmp_path: Path) -> None:
    found = ledger.load(write(tmp_path, STRUCT + REST))
    assert found.decide("eventfd_ctx", "fresh", "spinlock_t").by == "rule lock"
    assert found.decide("eventfd_ctx", "fresh", "int").by == "rest"
    assert found.decide("eventfd_ctx", "count", "__u64").by == ""
    assert found.decide("unwatched", "count", "__u64") == ledger.UNDECIDED


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    assert ledger.load(write(tmp_path)).decide("eventfd_ctx", "count", "__u64").why == "it is shown"
    assert (
        ledger.load(write(tmp_path, STRUCT.replace("it is shown", "another reason"))).decide("eventfd_ctx", "count", "__u64").why
        == "another reason"
    )


@pytest.mark.parametrize(
    ("struct", "rules"),
    [
        ("struct = ", RULES),
        (STRUCT.replace('decision = "ignored"', 'decisions = "ignored"').replace("[[field]]", "[[rest]]", 1), RULES),
        (STRUCT.replace("6.5", "six"), RULES),
        (STRUCT, RULES.replace("(raw_)", "(raw_")),
        (STRUCT, RULES.replace('name = "lock"', "")),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, struct: str, rules: str) -> None:
    with pytest.raises(UsageError, match=r"ledger\.malformed"):
        ledger.load(write(tmp_path, struct, rules))


def test_a_missing_ledger_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_LEDGER", str(tmp_path))
    with pytest.raises(UsageError, match=r"ledger\.missing"):
        ledger.load()
