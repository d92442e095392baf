"""The command: options, wrong calls, what a store tells again. Nothing here starts a process."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from holdfast.cli.hunt import command
from holdfast.errors import HoldfastError
from holdfast.hunt.store import Store
from holdfast.hunt.verdict import Proof, Round

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

RECIPE = """# hunt recipe 1
name eventfd/EFD_SEMAPHORE
interface eventfd
make fd = eventfd2(3, 0)
state dup2($fd, 9)
get fcntl($fd, F_GETFL=3)
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "hunt.db"
    monkeypatch.setenv("HOLDFAST_HUNT", str(path))
    return path


def run(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(command, list(words), input=stdin)


def code(result: Result) -> str:
    assert isinstance(result.exception, HoldfastError), result.output
    return result.exception.code


def made(verdict: str, engine: str = "native", key: str = "k") -> Round:
    proofs = (Proof("kernel", "leader.files.fd[3].flags", "1", "0", "eventfd_ctx.flags"),) if verdict == "lost" else ()
    return Round(f"eventfd/{key}", key, "eventfd", engine, "1", "6.18", verdict, proofs, text=RECIPE)


def filled(path: Path, *rounds: Round) -> None:
    with Store(str(path)) as store:
        number = store.begin({"engines": ["native"]})
        for round_ in rounds:
            store.add(number, round_)


@pytest.mark.usefixtures("store")
def test_nothing_to_report_and_nothing_to_go_on_with() -> None:
    assert code(run("--report")) == "usage.hunt.report"
    assert code(run("--resume")) == "usage.hunt.resume"


def test_a_loss_makes_the_exit_code_60_and_the_answer_lossy(store: Path) -> None:
    filled(store, made("lost"), made("kept", key="other"))
    result = run("--report")
    assert result.exit_code == 60
    assert result.output.startswith("LOSSY ")
    assert "make fd = eventfd2(3, 0)" in result.output


def test_without_a_loss_it_is_ok_and_with_nothing_tried_unknown(store: Path) -> None:
    filled(store, made("kept"))
    assert (run("--report").exit_code, run("--report").output[:3]) == (0, "OK ")
    filled(store, made("unsettable"))
    assert (run("--report").exit_code, run("--report").output[:8]) == (0, "UNKNOWN ")


def test_what_failed_is_not_told_as_ok(store: Path) -> None:
    filled(store, made("kept"), made("failed", key="other"))
    assert (run("--report").exit_code, run("--report").output[:8]) == (0, "UNKNOWN ")


def test_engines_stand_side_by_side_where_they_differ(store: Path) -> None:
    filled(store, made("lost", "criu:4.2"), made("kept"), made("kept", key="same"), made("kept", "criu:4.2", key="same"))
    lines = run("--report").output.splitlines()
    at = lines.index("engines differ on 1 recipe:")
    assert [line.split() for line in lines[at + 1 : at + 3]] == [["recipe", "criu:4.2", "native"], ["eventfd/k", "lost", "kept"]]


def test_json_and_files_tell_the_same(store: Path, tmp_path: Path) -> None:
    filled(store, made("lost"), made("kept", key="other"))
    names = {form: tmp_path / f"r.{form}" for form in ("ktap", "junit", "sarif", "html")}
    result = run("--report", "--json", *(word for form, path in names.items() for word in (f"--{form}", str(path))))
    document = json.loads(result.output)
    assert (document["verdict"], document["counts"]) == ("LOSSY", {"native": {"lost": 1, "kept": 1}})
    assert names["ktap"].read_text().startswith("KTAP version 1\n")
    assert "<testsuite" in names["junit"].read_text()
    assert json.loads(names["sarif"].read_text())["version"] == "2.1.0"
    assert "eventfd/k" in names["html"].read_text()


def test_a_campaign_that_was_begun_by_a_replay_does_not_go_on(store: Path) -> None:
    with Store(str(store)) as opened:
        opened.begin({"engines": ["native"], "replayed": 1})
    assert code(run("--resume")) == "usage.hunt.resume"


@pytest.mark.usefixtures("store")
def test_a_replay_of_what_harms_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    (tmp_path / "r").write_text(RECIPE.replace("dup2($fd, 9)", "reboot(1, 2, 3, 4)"))
    assert code(run("--replay", str(tmp_path / "r"))) == "usage.denied"


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("words", "stdin", "expected"),
    [
        (("--replay", "/nowhere/recipe"), None, "usage.hunt.replay"),
        (("--replay", "-"), "not a recipe", "usage.recipe"),
        (("--engine", "nothing", "--replay", "-"), RECIPE, "usage.engine"),
    ],
)
def test_wrong_calls_are_told(words: tuple[str, ...], stdin: str | None, expected: str) -> None:
    assert code(run(*words, stdin=stdin)) == expected


@pytest.mark.usefixtures("store")
def test_several_recipes_in_one_file_are_listed() -> None:
    both = RECIPE + RECIPE.replace("dup2($fd, 9)", "dup2($fd, 8)").replace("EFD_SEMAPHORE", "OTHER")
    assert run("--list", "--replay", "-", stdin=both).output.split() == ["eventfd/EFD_SEMAPHORE", "eventfd/OTHER"]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("text", ["0", "-1", "soon", "m", "nan", "inf"])
def test_a_budget_that_is_no_time(text: str) -> None:
    assert run("--budget", text).exit_code == 2


@pytest.mark.usefixtures("store")
@pytest.mark.skipif(os.geteuid() == 0, reason="machine cannot: root may")
def test_root_is_for_root() -> None:
    assert code(run("--as", "root", "--replay", "-", stdin=RECIPE)) == "usage.hunt.as"
