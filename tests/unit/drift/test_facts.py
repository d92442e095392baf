"""drift/facts.py: recorded answers of Debian's 6.12 and 6.18 (cloud), and of kernels made up here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from holdfast.drift import facts
from holdfast.drift.facts import Facts
from holdfast.drift.snapshot import Snapshot
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

LEDGER = os.path.join(os.path.dirname(__file__), "..", "..", "..", "ledger")


def snapshot(release: str, version: tuple[int, ...]) -> Snapshot:
    return Snapshot("k", release, version, "", {}, {}, {})


def test_the_area_that_broke_engines_is_found_between_6_12_and_6_18() -> None:
    old, new = (facts.of(snapshot("", v), LEDGER) for v in ((6, 12), (6, 18)))
    assert old is not None
    assert new is not None
    found = {c.name: (c.what, c.old, c.new) for c in facts.changes(old, new)}
    assert found["vma-names.[vvar_vclock]"] == ("added", "", "2 pages")
    assert found["vma-names.order"] == ("renumbered", "[vvar] [vdso]", "[vvar] [vvar_vclock] [vdso]")


def test_rseq_grew_in_7_0() -> None:
    old, new = (facts.of(snapshot("", v), LEDGER) for v in ((6, 18), (7, 0)))
    assert old is not None
    assert new is not None
    found = {c.name: (c.old, c.new) for c in facts.changes(old, new)}
    assert found["auxv-keys.AT_27"] == ("rseq feature size 28", "rseq feature size 33")


def test_the_data_area_of_the_vdso_changed_its_flags_in_7_1_and_7_3() -> None:
    known = [facts.of(snapshot("", v), LEDGER) for v in ((7, 0), (7, 1), (7, 2), (7, 3))]
    found = [f.tables["vma-names"]["[vvar] flags"] for f in known if f]
    assert found == ["rd mr pf io de dd", "rd mr io de dd mm", "rd mr io de dd mm", "rd mr de dd mm"]


def test_an_answer_that_means_no_is_absent_and_what_was_not_made_is_unknown() -> None:
    old = Facts("a", {"calls": {"x": "missing", "y": "there", "z": "EINVAL"}, "link-names": {"ring": "not made: EPERM"}, "old": {"n": "1"}})
    new = Facts("b", {"calls": {"x": "there", "z": "ENOSYS", "n": "5"}, "link-names": {"ring": "anon_inode:[io_uring]"}, "new": {"n": "1"}})
    assert [(c.what, c.name) for c in facts.changes(old, new)] == [("added", "calls.n"), ("added", "calls.x"), ("removed", "calls.y")]


def test_a_release_is_found_exactly_or_by_its_series(tmp_path: Path) -> None:
    for release in ("6.12.1-cloud-amd64", "6.12.9-cloud-amd64"):
        facts.save(str(tmp_path), Facts(release, {"t": {"n": release}}))
    exact = facts.of(snapshot("6.12.1-cloud-amd64", (6, 12)), str(tmp_path))
    near = facts.of(snapshot("6.12.5-cloud-amd64", (6, 12)), str(tmp_path))
    assert [f.release if f else None for f in (exact, near)] == ["6.12.1-cloud-amd64", "6.12.9-cloud-amd64"]
    assert facts.of(snapshot("6.13.0", (6, 13)), str(tmp_path)) is None


@pytest.mark.parametrize("data", [b"", b"{}", b'{"form": 9, "release": "x", "tables": {}}', b'{"form": 1, "release": "x", "tables": [1]}'])
def test_other_files_are_named(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"usage\.facts"):
        facts.parse(data, "FILE")
