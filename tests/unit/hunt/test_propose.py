"""What a hunt proposes is what the ledger and the tags take, and it stands in a folder of its own."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest

from holdfast.drift import ledger
from holdfast.drift.check import faults
from holdfast.drift.ledger import Row
from holdfast.hunt import corpus, propose
from holdfast.tags import discovered
from tests.unit.hunt.test_triage import lost, proof, recipe

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.hunt.verdict import Round

NNP = recipe("prctl/PR_SET_NO_NEW_PRIVS=1", "prctl(PR_SET_NO_NEW_PRIVS=38, 1, 0, 0, 0)", security=True)


def rounds() -> list[Round]:
    return [
        lost("", proof("sock.sk_new", decision="undecided"), made=recipe("setsockopt/new", "fd = socket(AF_INET=2, SOCK_STREAM=1, 0)")),
        lost("", proof("status-keys.NoNewPrivs", "proc"), made=NNP),
        lost("", proof("status-keys.NoNewPrivs", "proc"), made=NNP, engine="criu:4.2"),
        lost("eventfd/sem", proof("eventfd_ctx.flags", decision="carried", source="fd.eventfd.semaphore")),
        lost("flaky/x", proof("sock.sk_y", decision="undecided"), verdict="flaky"),
    ]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    propose.write(str(tmp_path / "out"), rounds(), ledger.load())
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    return {str(p.relative_to(tmp_path / "out")): p.read_text() for p in (tmp_path / "out").rglob("*") if p.is_file()}


def test_a_field_that_nobody_decided_gets_a_row_that_the_ledger_takes(files: dict[str, str]) -> None:
    (raw,) = tomllib.loads(files["ledger/structs/sock.toml"])["field"]
    assert (raw["names"], raw["decision"], raw["when"]) == (["sk_new"], "refused", "sock.sk_new is not 0")
    assert list(faults(Row(tuple(raw["names"]), raw["decision"], raw["why"], raw["source"], when=raw["when"]))) == []
    # what flaky lost is not decided by a hunt, what is carried already needs a fix, and another engine's loss is no decision of ours
    assert sorted(n for n in files if n.startswith("ledger/")) == ["ledger/facts/status-keys.toml", "ledger/structs/sock.toml"]


def test_what_names_the_state_alone_becomes_a_tag_that_the_chain_takes(files: dict[str, str], tmp_path: Path) -> None:
    found = [discovered.load_finding(text.encode()) for name, text in files.items() if name.startswith("tags/")]
    entries = sorted((e for f in found for e in discovered.from_finding(f)), key=lambda e: e.engine)
    assert [(e.engine, e.version, e.kernel, e.kind, e.names, e.verdict, e.effect) for e in entries] == [
        ("criu", "4.2", "6.18", "runtime", ("status:NoNewPrivs",), "unsafe", "lost"),
        ("native", "", "6.18", "runtime", ("status:NoNewPrivs",), "unsafe", "lost"),
    ]
    assert len(discovered.add(str(tmp_path / "store"), entries)) == 2
    assert all(e.reproducer == NNP.text() for e in entries)


def test_every_finding_is_told_and_can_be_run_again(files: dict[str, str], tmp_path: Path) -> None:
    recipes = corpus.load(str(tmp_path / "out" / "recipes"))
    assert sorted(r.name for r in recipes) == sorted({r.recipe for r in rounds()})
    readme = files["README.md"]
    assert readme.count("\n## F") == len(rounds())
    assert "fix it: eventfd\\_ctx.flags carried by fd.eventfd.semaphore" in readme
    assert "decide sock.sk\\_new: ledger/structs/sock.toml" in readme
    assert all(name.split("/")[1].partition(".")[0] in readme for name in files if name.startswith("tags/"))


def test_nothing_found_is_said(tmp_path: Path) -> None:
    (path,) = propose.write(str(tmp_path), [], ledger.load())
    assert path.endswith("README.md")
    assert (tmp_path / "README.md").read_text().endswith("Nothing was found.\n")


def test_a_tag_says_the_range_that_it_was_seen_on(files: dict[str, str]) -> None:
    (criu,) = [json.loads(t) for n, t in files.items() if n.startswith("tags/") and '"criu"' in t]
    assert (criu["engine"], criu["facts"]["version"], criu["kernel"]) == ("criu", "4.2", "6.18")
