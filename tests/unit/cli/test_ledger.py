"""cli/ledger.py: show, decide, check, count and sweep, on a small ledger."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from holdfast.cli import ledger
from holdfast.errors import UsageError
from tests.unit.drift.test_ledger import write

if TYPE_CHECKING:
    from pathlib import Path

HISTORY = """\
# kernels: 6.1 6.12
eventfd_ctx.count\t__u64\t6.1-
eventfd_ctx.flags\tint\t6.1-
eventfd_ctx.fresh\tint\t6.12-
eventfd_ctx.list\tstruct list_head\t6.12-
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    (tmp_path / "history.tsv").write_text(HISTORY)
    return write(tmp_path)


def run(place: str, *words: str) -> Result:
    return CliRunner().invoke(ledger.command, [*words, "--ledger", place])


def test_show_has_decision_history_and_ranges(place: str) -> None:
    text = run(place, "show", "eventfd_ctx.flags").stdout
    assert [part in text for part in ("ignored (-6.5)", "carried (6.5-): fd.eventfd.semaphore", "6.1-", "not shown")] == [True] * 4
    fields = json.loads(run(place, "show", "eventfd_ctx", "--json").stdout)["fields"]
    assert [f["name"] for f in fields] == ["eventfd_ctx.count", "eventfd_ctx.flags", "eventfd_ctx.fresh", "eventfd_ctx.list"]
    for name in ("eventfd", "eventfd_ctx.never"):
        assert isinstance(run(place, "show", name).exception, UsageError)


def test_a_field_is_undecided_until_it_is_decided(place: str) -> None:
    rows = json.loads(run(place, "undecided", "--json").stdout)["undecided"]
    assert [(r["name"], r["would_be_swept_by"]) for r in rows] == [("eventfd_ctx.fresh", ""), ("eventfd_ctx.list", "rule link")]
    done = run(place, "decide", "eventfd_ctx.fresh", "--decision", "rebuilt", "--why", "made anew", "--source", "fs/eventfd.c")
    assert (done.exit_code, done.stdout.split(" ", 1)[0]) == (0, "OK")
    assert "eventfd_ctx.list" in run(place, "sweep").stdout
    assert run(place, "undecided").stdout == "0 undecided of 4\n"


def test_decide_asks_for_reason_and_source(place: str) -> None:
    done = CliRunner().invoke(
        ledger.command, ["decide", "eventfd_ctx.fresh", "--decision", "ignored", "--ledger", place], input="it is speed\nfs/eventfd.c\n"
    )
    assert done.exit_code == 0
    assert "it is speed" in run(place, "show", "eventfd_ctx.fresh").stdout
    assert isinstance(run(place, "decide", "nofield", "--decision", "ignored", "--why", "x", "--source", "y").exception, UsageError)


def test_check_fails_with_the_problems_it_names(place: str) -> None:
    done = run(place, "check", "--only", "undecided", "--only", "unswept", "--json")
    assert done.exit_code == 60
    assert [p["where"] for p in json.loads(done.stdout)["problems"]] == ["eventfd_ctx.fresh", "eventfd_ctx.list"]
    assert run(place, "check", "--only", "schema").exit_code == 0


def test_coverage_counts_every_field_once(place: str) -> None:
    document = json.loads(run(place, "coverage", "--json").stdout)
    assert [(line["name"], line["total"], line["counts"]["undecided"]) for line in document["kernel"]] == [("6.1", 2, 0), ("6.12", 4, 2)]
    assert [(line["name"], line["counts"]["carried"]) for line in document["area"]] == [("files", 2)]


def test_guards_are_read_from_a_tree(place: str, tmp_path: Path) -> None:
    (tmp_path / "tree" / "fs").mkdir(parents=True)
    (tmp_path / "tree" / "fs" / "eventfd.c").write_text("struct eventfd_ctx {\n\tint count;\n#ifdef CONFIG_X\n\tint fresh;\n#endif\n};\n")
    assert run(place, "guards", str(tmp_path / "tree")).exit_code == 0
    assert (tmp_path / "guards.tsv").read_text().splitlines()[-1] == "eventfd_ctx.fresh\tX"
    assert isinstance(run(place, "guards", str(tmp_path / "cache")).exception, UsageError)
