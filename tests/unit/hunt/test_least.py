"""The cases of a campaign are shrunk side by side."""

from __future__ import annotations

from collections import deque

import pytest

from holdfast.hunt import least
from holdfast.hunt.pool import Known, Task
from holdfast.hunt.recipe import Recipe, parse
from holdfast.hunt.verdict import Proof, Round

NATIVE = Known("native", "native", "1")
OTHER = Known("criu:/x", "criu:4.2", "4.2")


def recipe(name: str, *calls: str) -> Recipe:
    lines = "\n".join(f"state {c}" for c in calls)
    return parse(f"name {name}\ninterface i\n{lines}\n")


class Fake:
    """A pool that loses signature `s.X` of a recipe that calls X, except what `quiet` says."""

    def __init__(self, jobs: int = 2, quiet: int = 10**9) -> None:
        self.jobs, self.quiet = jobs, quiet
        self.tasks: deque[Task] = deque()
        self.runs: list[tuple[str, str]] = []
        self.most = 0

    def free(self) -> int:
        return self.jobs - len(self.tasks)

    def give(self, task: Task) -> None:
        assert self.free() > 0
        self.tasks.append(task)
        self.most = max(self.most, len(self.tasks))

    def wait(self, seconds: float) -> list[tuple[Task, Round]]:
        task = self.tasks.popleft()
        self.runs.append((task.engine.name, task.recipe.text()))
        return [(task, result(task.engine, task.recipe) if len(self.runs) <= self.quiet else kept(task.engine, task.recipe))]

    def close(self) -> None:
        assert not self.tasks


def kept(engine: Known, r: Recipe) -> Round:
    return Round(r.name, r.key, r.interface, engine.name, engine.version, "k", "kept", text=r.text())


def result(engine: Known, r: Recipe) -> Round:
    found = tuple(Proof("kernel", f"p.{w}", "1", "0", f"s.{w}") for w in ("umask", "chdir", "sync") if w in r.text())
    return kept(engine, r).replace(verdict="lost", proofs=found) if found else kept(engine, r)


PAIR = recipe("a/x + b/y", "umask(18)", "getpid()", "getppid()", "getuid()")
PLAIN = recipe("c/z", "chdir(5)", "getpid()")


def test_each_case_ends_in_a_round_with_its_least_recipe() -> None:
    pool = Fake()
    found = list(least.find([result(NATIVE, PAIR), result(NATIVE, PLAIN)], [NATIVE], pool, "all"))
    assert sorted(r.text for r in found) == [
        "# hunt recipe 1\nname a/x + b/y (least)\ninterface i\nstate umask(0)\n",
        "# hunt recipe 1\nname c/z (least)\ninterface i\nstate chdir(0)\n",
    ]
    assert [(r.verdict, r.tries) for r in found] == [("lost", 3), ("lost", 3)]
    assert pool.most == 2


@pytest.mark.parametrize(
    ("which", "names"), [("none", []), ("drawn", ["a/x + b/y (least)"]), ("all", ["a/x + b/y (least)", "c/z (least)"])]
)
def test_what_tables_give_is_shrunk_only_when_asked(which: str, names: list[str]) -> None:
    found = least.find([result(NATIVE, PAIR), result(NATIVE, PLAIN)], [NATIVE], Fake(1), which)
    assert sorted(r.recipe for r in found) == names


def test_every_engine_has_its_own_and_engines_of_other_campaigns_are_left_out() -> None:
    rounds = [result(NATIVE, PAIR), result(OTHER, PAIR), result(Known("gone", "gone", ""), PAIR)]
    assert sorted(r.engine for r in least.find(rounds, [NATIVE, OTHER], Fake())) == ["criu:4.2", "native"]


def test_what_is_least_already_is_not_shrunk_again() -> None:
    (once,) = least.find([result(NATIVE, PAIR)], [NATIVE], Fake())
    pool = Fake()
    assert list(least.find([result(NATIVE, PAIR), once], [NATIVE], pool)) == []
    assert pool.runs == []


def test_a_least_that_is_not_lost_each_time_does_not_count() -> None:
    pool = Fake()
    (_,) = least.find([result(NATIVE, PAIR)], [NATIVE], pool)
    # the last two runs are the repetitions
    assert list(least.find([result(NATIVE, PAIR)], [NATIVE], Fake(quiet=len(pool.runs) - 1))) == []


def test_what_would_harm_others_is_never_run() -> None:
    evil = recipe("a/x + b/y", "umask(18)", "kill(-1, 9)")
    pool = Fake()
    assert list(least.find([result(NATIVE, evil)], [NATIVE], pool)) == []
    assert pool.runs == []


def test_a_deadline_ends_it() -> None:
    pool = Fake()
    assert list(least.find([result(NATIVE, PAIR)], [NATIVE], pool, deadline=0.0)) == []
    pool.close()
