"""The store: one row for each round of a campaign, what comes back, what is refused."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import UsageError
from holdfast.hunt.store import Store, round_of, told
from holdfast.hunt.verdict import Proof, Round

if TYPE_CHECKING:
    from pathlib import Path

PROOF = Proof("kernel", "leader.files.fd[3].private.flags", "1", "0", "eventfd_ctx.flags", "carried", "fd.eventfd.flags")


def made(key: str = "k", verdict: str = "kept", engine: str = "native", **more: object) -> Round:
    return Round(f"x/{key}", key, "x", engine, "1", "6.18", verdict, **more)  # type: ignore[arg-type]


def test_a_round_comes_back_as_it_was(tmp_path: Path) -> None:
    whole = made(
        verdict="lost", proofs=(PROOF,), seen=("a", "b"), said="no \udcff", text="# hunt recipe 1\n", took_ns=5, dump_ns=2, restore_ns=3,
        tries=3, facts=(("warned", "w"),),
    )  # fmt: skip
    with Store(str(tmp_path / "deep" / "s.db")) as store:
        assert store.add(store.begin({}), whole)
        assert [whole.replace(said="no \\udcff")] == list(store.rounds())


def test_told_and_round_of_are_inverse_and_forgive_the_unknown() -> None:
    round_ = made(proofs=(PROOF,), facts=(("a", "b"),))
    assert round_of(told(round_)) == round_
    later = told(round_) | {"shade": 1, "proofs": [dict(PROOF.items()) | {"weight": 2}]}
    assert round_of(later) == round_


def test_a_campaign_has_each_recipe_once_for_each_engine(tmp_path: Path) -> None:
    with Store(str(tmp_path / "s.db")) as store:
        first = store.begin({})
        assert store.add(first, made())
        assert not store.add(first, made(verdict="lost"))
        assert store.add(first, made(engine="criu:4.2", verdict="lost"))
        assert store.done(first) == {("6.18", "native", "1", "k"), ("6.18", "criu:4.2", "1", "k")}
        assert list(store.differing(first)) == [("x/k", {"native": "kept", "criu:4.2": "lost"})]


def test_a_later_campaign_has_the_last_word_and_the_earlier_one_stays(tmp_path: Path) -> None:
    with Store(str(tmp_path / "s.db")) as store:
        first, second = store.begin({}), store.begin({})
        store.add(first, made(verdict="lost", proofs=(PROOF,)))
        store.add(second, made())
        assert [r.verdict for r in store.rounds()] == ["kept"]
        assert [r.verdict for r in store.rounds(first)] == ["lost"]
        assert store.before(second) == {("native", "k"): "lost"}
        assert [r.proofs for r in store.lost_before(second)] == [(PROOF,)]
        assert list(store.lost_before(first)) == []
        assert [(c.verdict, c.count) for c in store.counts(second)] == [("kept", 1)]


def test_only_a_campaign_that_did_not_end_goes_on(tmp_path: Path) -> None:
    with Store(str(tmp_path / "s.db")) as store:
        assert store.unfinished() is None
        number = store.begin({"only": ["x"]})
        assert store.unfinished() == (number, {"only": ["x"]})
        store.end(number)
        assert store.unfinished() is None
        assert store.last() == number


def test_a_store_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    Store(str(path)).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(UsageError) as error:
        Store(str(path))
    assert error.value.why == "its form is 99, this version's is 1"


@pytest.mark.parametrize("sort", ["another program's", "text"])
def test_a_file_that_is_no_store_is_refused_and_not_touched(tmp_path: Path, sort: str) -> None:
    path = tmp_path / "s.db"
    if sort == "text":
        path.write_text("not a database, but long enough to be taken for one\n" * 20)
    else:
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE mine (a)")
        db.close()
    with pytest.raises(UsageError) as error:
        Store(str(path))
    assert error.value.code == "usage.store"
    if sort != "text":
        with sqlite3.connect(path) as db:
            assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("mine",)]
        db.close()
