"""Workers that hang, die and fail: each becomes the verdict of its round, and nothing is left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import InternalError, UsageError
from holdfast.hunt import campaign, sandbox
from holdfast.hunt.pool import Known, Local, Task
from holdfast.hunt.recipe import Recipe
from holdfast.hunt.sandbox import Sandbox
from holdfast.hunt.worker import Asker, Crew, Worker
from holdfast.prog.text import parse_line
from tests.harness import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.hunt.verdict import Round

NATIVE = Known("native", "native", "1")
CREW = Crew(Sandbox(user=True), rounds="tests.live.hunt.stand_in:Fake", tables="tests.live.hunt.stand_in:no_tables")


def recipe(call: str, number: int = 0) -> Recipe:
    return Recipe(f"x/{call}.{number}", "x", (parse_line(f"{call}({number})"),))


def run(calls: Iterable[str], jobs: int = 2, limit_s: float = PATIENCE_S) -> list[Round]:
    """Every call once; the rounds, by the order of the calls."""
    waiting = [Task(NATIVE, recipe(call, n)) for n, call in enumerate(calls)]
    order = [t.recipe.key for t in waiting]
    pool, done = Local(CREW, jobs, limit_s, "k"), dict[str, "Round"]()
    try:
        while len(done) < len(order):
            while waiting and pool.free():
                pool.give(waiting.pop(0))
            for task, round_ in pool.wait(PATIENCE_S):
                assert task.recipe.key not in done
                done[task.recipe.key] = round_
    finally:
        pool.close()
    return [done[key] for key in order]


def test_a_worker_does_one_round_after_the_other() -> None:
    rounds = run(["dup2"] * 5, jobs=1)
    assert [r.verdict for r in rounds] == ["kept"] * 5
    assert len({dict(r.facts)["pid"] for r in rounds}) == 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("exit", "the worker ended with 137, killed"),
        ("getpid", "ValueError: a mistake in the runner"),
        ("pause", "no end within 5 s"),
    ],
)
def test_what_goes_wrong_is_the_verdict_of_its_round_and_of_no_other(call: str, said: str) -> None:
    rounds = run(["dup2", call, "dup2", "dup2"], limit_s=5.0 if call == "pause" else PATIENCE_S)
    assert [r.verdict for r in rounds] == ["kept", "failed", "kept", "kept"]
    assert said in rounds[1].said


def test_processes_of_a_round_die_with_its_worker() -> None:
    (round_,) = run(["fork"], limit_s=2.0)  # conftest looks for what is left
    assert round_.verdict == "failed"


def test_what_a_round_leaves_in_files_is_not_there_for_the_next() -> None:
    rounds = run(["socket", "dup2"], jobs=1)
    assert [dict(r.facts)["left"] for r in rounds] == ["left", ""]


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(CREW)
    yield made
    made.close()


def test_a_denied_recipe_is_not_run_by_a_worker_either(worker: Worker) -> None:
    worker.wait_ready()
    worker.send({"do": ["native", recipe("vhangup").text()]})
    with pytest.raises(UsageError) as error:
        worker.answer(PATIENCE_S)
    assert error.value.code == "usage.denied"


def test_an_engine_that_does_not_run_there_ends_the_campaign(worker: Worker) -> None:
    worker.wait_ready()
    worker.send({"do": ["criu:/nowhere/criu", recipe("dup2").text()]})
    with pytest.raises(UsageError) as error:
        worker.answer(PATIENCE_S)
    assert error.value.code == "usage.engine"


def test_a_worker_that_has_ended_says_how(worker: Worker) -> None:
    worker.wait_ready()
    os.kill(worker.pid, 15)
    assert "the worker ended with 143" in worker.last_words()


def test_tables_that_fail_are_told() -> None:
    with pytest.raises(InternalError) as error:
        campaign.listed(CREW, ("x",))
    assert "no tables for ['x']" in error.value.why


def asked(folder: str) -> list[object]:
    lines, getter, failing = [parse_line("umask(0x17)")], parse_line("umask(0)"), parse_line("close(77)")
    asker = Asker(f"{folder}/subject", f"{folder}/kept")
    written = parse_line("getrandom([4 b'abcd'], 0, 0)")
    answers = [asker(lines, getter), asker([], failing), asker([failing], getter), asker([], written)]
    asker.close()
    # another one has the answers and needs no subject
    again = Asker("/nowhere/subject", f"{folder}/kept")
    return [repr(a) for a in (*answers, again(lines, getter), again([], failing))]


def test_tables_are_answered_by_a_fresh_subject_and_once_for_all() -> None:
    assert sandbox.run(asked, "/tmp", how=Sandbox(user=True)) == ["23", "None", "None", "b'abcd'", "23", "None"]
