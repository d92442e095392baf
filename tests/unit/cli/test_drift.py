"""cli/drift.py: two kernels in files against a small ledger, every format, and the exit codes of the gate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from holdfast.cli import drift
from holdfast.errors import UsageError
from holdfast.kernel.btf import decode
from tests.unit.kernel.btf.test_decode import Writer

if TYPE_CHECKING:
    from pathlib import Path

ROWS = """
struct = "thing"
area = "files"
file = "fs/thing.c"
about = "A thing"

[[field]]
names = ["kept", "gone"]
decision = "ignored"
why = "it does not matter"
source = "fs/thing.c"
"""


def blob(*names: str) -> bytes:
    w = Writer()
    number = w.add(decode.INT, "int", 4, 1 << 24 | 32)
    w.struct("thing", 4 * len(names), *((n, number, 32 * i) for i, n in enumerate(names)))
    return w.blob()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    (tmp_path / "ledger" / "structs").mkdir(parents=True)
    (tmp_path / "ledger" / "structs" / "thing.toml").write_text(ROWS)
    (tmp_path / "old-6.1.0").write_bytes(blob("kept", "gone"))
    (tmp_path / "new-6.12.0").write_bytes(blob("kept", "fresh"))
    return tmp_path


def run(place: Path, *options: str) -> Result:
    words = [str(place / "old-6.1.0"), str(place / "new-6.12.0"), "--ledger", str(place / "ledger"), *options]
    return CliRunner().invoke(drift.command, words)


def test_the_gate_fails_on_what_nobody_decided(place: Path) -> None:
    done = run(place)
    assert done.exit_code == 60
    assert done.stdout.startswith("FOUND ")
    assert "thing.fresh" in done.stdout
    (place / "ledger" / "structs" / "thing.toml").write_text(ROWS.replace('"gone"', '"gone", "fresh"'))
    done = run(place)
    assert (done.exit_code, done.stdout.split(" ", 1)[0]) == (0, "OK")


@pytest.mark.parametrize(("fail_on", "code"), [("breaks", 0), ("silent", 60), ("none", 0), ("breaks,gone", 60)])
def test_the_caller_says_what_fails(place: Path, fail_on: str, code: int) -> None:
    assert run(place, "--fail-on", fail_on).exit_code == code


def test_every_format_says_the_same(place: Path) -> None:
    document = json.loads(run(place, "--json").stdout)
    assert (document["verdict"], [f["subject"] for f in document["findings"]]) == ("FOUND", ["thing.fresh", "thing.gone"])
    log = json.loads(run(place, "--format", "sarif").stdout)
    assert [r["properties"]["subject"] for r in log["runs"][0]["results"]] == ["thing.fresh"]
    assert "not ok 1 thing.fresh" in run(place, "--format", "ktap").stdout
    assert "thing.gone" not in run(place, "--only", "thing.fresh", "--all").stdout


def test_a_wrong_call_is_an_error_of_the_caller(place: Path) -> None:
    for words in (["--fail-on", "often"], []):
        done = CliRunner().invoke(drift.command, words)
        assert isinstance(done.exception, UsageError)
    done = CliRunner().invoke(drift.command, [str(place / "absent"), "live", "--ledger", str(place / "ledger")])
    assert isinstance(done.exception, UsageError)
    assert done.exception.code == "usage.kernel.unreadable"
