"""Order, repetition and resumption, with a pool that says what a script says."""

from __future__ import annotations

from io import StringIO

import pytest

from holdfast.hunt.campaign import Campaign, Plan, plan_of
from holdfast.hunt.pool import Known, Task
from holdfast.hunt.progress import Progress, Tally
from holdfast.hunt.recipe import Recipe
from holdfast.hunt.store import Store
from holdfast.hunt.verdict import Proof, Round
from holdfast.prog.text import parse_line

NATIVE = Known("native", "native", "1")
CRIU = Known("criu:/x", "criu:4.2", "4.2")
RECIPES = [Recipe(f"x/{n}", "x", (parse_line(f"dup2(0, {n})"),)) for n in range(5)]


def proof(signature: str) -> Proof:
    return Proof("kernel", f"leader.{signature}", "1", "0", signature)


def round_of(task: Task, verdict: str, *signatures: str) -> Round:
    r = task.recipe
    proofs = tuple(map(proof, signatures))
    return Round(r.name, r.key, r.interface, task.engine.name, task.engine.version, "k", verdict, proofs, text=r.text())


class Scripted:
    """A pool of two that ends the later task first; verdicts by recipe, one for each try."""

    def __init__(self, script: dict[str, list[tuple[str, ...]]] | None = None, most: int = 10**6) -> None:
        self.script, self.most = script or {}, most
        self.given: list[str] = []
        self.running: list[Task] = []

    def free(self) -> int:
        return 2 - len(self.running)

    def give(self, task: Task) -> None:
        assert self.free()
        if len(self.given) == self.most:
            raise KeyboardInterrupt
        self.given.append(f"{task.recipe.name} {task.engine.name}")
        self.running.append(task)

    def wait(self, seconds: float) -> list[tuple[Task, Round]]:
        task = self.running.pop()
        said = self.script.get(task.recipe.name, [])
        return [(task, round_of(task, *(said.pop(0) if said else ("kept",))))]

    def close(self) -> None:
        self.running.clear()


def progress() -> Progress:
    return Progress(Tally(0), StringIO(), lambda _: None)


def run(store: Store, pool: Scripted, number: int, engines: tuple[Known, ...] = (NATIVE,)) -> Campaign:
    campaign = Campaign(store, number, engines, "k")
    assert campaign.run([campaign.order(RECIPES)], pool, progress(), None) == 0
    return campaign


def test_each_recipe_goes_to_each_engine_once() -> None:
    with Store(":memory:") as store:
        pool = Scripted()
        run(store, pool, store.begin({}), (NATIVE, CRIU))
        assert sorted(pool.given) == sorted(f"x/{n} {e}" for n in range(5) for e in ("native", "criu:4.2"))
        assert sum(c.count for c in store.counts(1)) == 10


def test_old_failures_come_first_then_what_was_never_run() -> None:
    with Store(":memory:") as store:
        first = store.begin({})
        for n, verdict in ((1, "kept"), (3, "failed"), (4, "kept")):
            store.add(first, round_of(Task(NATIVE, RECIPES[n]), verdict))
        campaign = Campaign(store, store.begin({}), (NATIVE,), "k")
        assert [t.recipe.name for t in campaign.order(RECIPES)] == ["x/3", "x/0", "x/2", "x/1", "x/4"]


def test_an_old_failure_that_no_table_gives_is_run_on_the_engine_that_failed() -> None:
    with Store(":memory:") as store:
        store.add(store.begin({}), round_of(Task(CRIU, RECIPES[4]), "lost", "a.b"))
        campaign = Campaign(store, store.begin({}), (NATIVE, CRIU), "k")
        tasks = campaign.order(RECIPES[:1], campaign.old_failures())
        assert [(t.recipe.name, t.engine.name) for t in tasks] == [("x/4", "criu:4.2"), ("x/0", "native"), ("x/0", "criu:4.2")]


def test_what_is_on_the_deny_list_is_not_run_and_is_named() -> None:
    with Store(":memory:") as store:
        campaign = Campaign(store, store.begin({}), (NATIVE,), "k")
        assert campaign.order([Recipe("x/bad", "x", (parse_line("vhangup()"),))]) == []
        assert list(campaign.denied) == ["x/bad"]


def test_a_campaign_that_was_killed_goes_on_with_what_is_left() -> None:
    with Store(":memory:") as store:
        number = store.begin({})
        first = Scripted(most=3)
        with pytest.raises(KeyboardInterrupt):
            run(store, first, number)
        done = {key for *_, key in store.done(number)}
        second = Scripted()
        run(store, second, number)
        assert sorted(second.given) == sorted(f"{r.name} native" for r in RECIPES if r.key not in done)
        assert len(list(store.rounds(number))) == 5


LOST = ("lost", "a.b")


@pytest.mark.parametrize(
    ("script", "verdict", "signatures", "tries"),
    [
        ([LOST, LOST, LOST], "lost", ["a.b"], 3),
        ([("lost", "a.b", "c.d"), LOST, ("lost", "a.b", "e.f")], "lost", ["a.b"], 3),
        ([LOST, ("kept",)], "flaky", ["a.b"], 2),
        ([LOST, LOST, ("failed",)], "flaky", ["a.b"], 3),
        ([LOST, ("lost", "c.d"), LOST], "flaky", ["a.b"], 3),
        ([("failed",)], "failed", [], 1),
    ],
)
def test_a_loss_counts_when_it_is_there_each_time(script: list[tuple[str, ...]], verdict: str, signatures: list[str], tries: int) -> None:
    with Store(":memory:") as store:
        number = store.begin({})
        run(store, Scripted({"x/2": script}), number)
        (found,) = [r for r in store.rounds(number) if r.recipe == "x/2"]
        assert (found.verdict, [p.signature for p in found.proofs], found.tries) == (verdict, signatures, tries)


def test_a_loss_is_new_once() -> None:
    with Store(":memory:") as store:
        first = run(store, Scripted({"x/2": [LOST] * 3}), store.begin({}))
        assert [r.recipe for r in first.ended(0, 1.0).new] == ["x/2"]
        script: dict[str, list[tuple[str, ...]]] = {"x/2": [LOST] * 3, **{f"x/{n}": [("lost", "c.d")] * 3 for n in (1, 3)}}
        second = run(store, Scripted(script), store.begin({}))
        ended = second.ended(0, 1.0)
        assert sorted(r.recipe for r in ended.lost) == ["x/1", "x/2", "x/3"]
        assert [r.proofs for r in ended.new] == [(proof("c.d"),)]


def test_nothing_is_begun_after_the_deadline_and_what_is_left_is_counted() -> None:
    with Store(":memory:") as store:
        campaign = Campaign(store, store.begin({}), (NATIVE,), "k")
        assert campaign.run([campaign.order(RECIPES)], Scripted(), progress(), 0.0) == 5


def test_points_are_those_of_recipes_whose_state_was_seen() -> None:
    with Store(":memory:") as store:
        number = store.begin({})
        campaign = run(store, Scripted({"x/0": [("blind",)], "x/1": [("unsettable",)]}), number)
        assert sorted(r.name for r in campaign.points()) == ["x/2@0", "x/3@0", "x/4@0"]


def test_a_plan_survives_the_store() -> None:
    plan = Plan(("native", "criu:/x"), ("x",), True, True)
    assert plan_of({**dict(plan.items()), "engines": ["native", "criu:/x"], "only": ["x"], "replayed": 0}) == plan
