"""Is the hunt any good? Bugs are planted in the native engine; the hunt must find each and shrink it to the least recipe.

A bug is searched for among all recipes of the interfaces near it, in an order that a seed shuffles, with a budget of rounds. A loss counts
only for what the native engine without the bug keeps in the same round.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from holdfast.hunt import triage
from holdfast.hunt.deny import denied
from holdfast.hunt.engines.planted import PLANTED
from holdfast.hunt.interfaces.registry import chosen
from holdfast.hunt.recipe import Recipe, parse
from holdfast.hunt.shrink import shrink, whole
from holdfast.hunt.worker import Worker, crew_for, result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.verdict import Round

# one process for all of them: they share a sandbox and the list of recipes
pytestmark = [pytest.mark.live, pytest.mark.root, pytest.mark.xdist_group("quality"), pytest.mark.timeout(300)]

BUDGET = 250  # rounds to find a bug
SHRINKS = 120  # rounds to shrink it
ROUND_S = 60.0
START_S = 300.0

USUAL = (2, 1)
"""How long a least recipe is at most: lines that make the state (an object or a task, and what is done to it), lines that look or go on
(what no oracle sees from outside needs one)."""
LEAST: dict[str, tuple[int, int]] = {
    "eventfd-semaphore": (1, 2),  # its value, and what reading leaves of it
    "epoll-data": (4, 0),  # a child and its pidfd, an epoll, the entry
    "epoll-edge": (3, 0),
    "inotify-watch": (3, 0),
    "pipe-data": (3, 0),
    "oom": (3, 0),  # open, write, close
    "autogroup": (3, 0),
    "coredump-filter": (3, 0),
    "comm": (3, 0),
    "mempolicy": (3, 0),
    "rseq": (3, 0),  # memory, a thread, its area
    "sigmask": (2, 2),  # a signal that comes only when nothing blocks it
    "sigpending": (3, 0),
    "timer-interval": (3, 0),
    "termios": (4, 0),  # both ends, unlocked, the settings
    "winsize": (3, 0),
    "madvise-flags": (3, 0),
}


class Hunter:
    """Runs rounds one at a time, in a sandbox."""

    def __init__(self, rounds: str = "") -> None:
        crew = crew_for(("native",))
        self.worker = Worker(crew.replace(rounds=rounds) if rounds else crew)
        self.worker.wait_ready()

    def run(self, engine: str, recipe: Recipe) -> Round | None:
        """One round; None for a recipe that must not be run, as a shrunk one may be."""
        if denied(recipe):
            return None
        self.worker.send({"do": [engine, recipe.text()]})
        return result(self.worker.answer(ROUND_S))

    def recipes(self) -> list[Recipe]:
        """Everything that the interface tables know."""
        self.worker.send({"list": []})
        found = []
        while "end" not in (message := self.worker.answer(START_S)):
            found.append(parse(message["recipe"]))
        return found


class Ground(NamedTuple):
    """Where is hunted, and among what."""

    hunter: Hunter
    recipes: list[Recipe]


class Found(NamedTuple):
    """A recipe that shows a bug, by what, and after how many rounds."""

    recipe: Recipe
    by: str
    rounds: int


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    hunter = Hunter()
    try:
        yield Ground(hunter, hunter.recipes())
    finally:
        hunter.worker.close()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Hunter]:
    hunter = Hunter("tests.quality.checked:Rounds")
    try:
        yield hunter
    finally:
        hunter.worker.close()


def lost(round_: Round | None) -> list[str]:
    """What a round lost, the best name first; also what it calls told, because the engine warned of something of the same kind."""
    return triage.by_looking(round_) if round_ is not None and round_.verdict in ("lost", "told") else []


def search(ground: Ground, name: str) -> Found | None:
    """The first recipe near a bug that shows it."""
    near = chosen(ground.recipes, PLANTED[name].near)
    random.Random(name).shuffle(near)
    for count, recipe in enumerate(near[:BUDGET], 1):
        gone = lost(ground.hunter.run(f"planted:{name}", recipe))
        also = lost(ground.hunter.run("native", recipe)) if gone else []
        by = next((key for key in gone if key not in also), None)
        # what is not lost again was no bug
        if by is not None and by in lost(ground.hunter.run(f"planted:{name}", recipe)):
            return Found(recipe, by, count)
    return None


_found: dict[str, Found | None] = {}


def found(ground: Ground, name: str) -> Found:
    """As search, once for each bug."""
    if name not in _found:
        _found[name] = search(ground, name)
    hit = _found[name]
    assert hit is not None, f"{name} was not found in {BUDGET} rounds near {', '.join(PLANTED[name].near)}"
    return hit


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found_and_shrunk_to_the_least_recipe(ground: Ground, name: str) -> None:
    hit = found(ground, name)

    def still(recipe: Recipe) -> bool:
        return hit.by in lost(ground.hunter.run(f"planted:{name}", recipe))

    least = shrink(hit.recipe, still, SHRINKS)
    assert whole(least)
    assert still(least)
    assert (len(least.lines), len(least.get) + len(least.after)) <= LEAST.get(name, USUAL), least.text()
    assert hit.by not in lost(ground.hunter.run("native", least))


@pytest.mark.parametrize("name", PLANTED)
def test_the_check_of_a_restore_sees_a_planted_bug(ground: Ground, guarded: Hunter, name: str) -> None:
    round_ = guarded.run(f"planted:{name}", found(ground, name).recipe)
    assert round_ is not None
    assert (round_.verdict, round_.said.partition(":")[0]) == ("failed", "differs.verify")


def test_a_bug_among_other_states_is_shrunk_as_well(ground: Ground) -> None:
    hit = found(ground, "umask")
    others = [r for r in chosen(ground.recipes, ("eventfd", "setpriority", "timerfd")) if "child" not in r.name][::9][:3]
    crowd = hit.recipe.replace(
        make=(*(line for r in others for line in _renamed(r).make), *hit.recipe.make),
        state=(*(line for r in others for line in _renamed(r).state), *hit.recipe.state),
    )

    def still(recipe: Recipe) -> bool:
        return hit.by in lost(ground.hunter.run("planted:umask", recipe))

    assert len(crowd.lines) > len(hit.recipe.lines) + 2
    assert still(crowd)
    assert (len((least := shrink(crowd, still, SHRINKS)).lines), len(least.get) + len(least.after)) <= USUAL, least.text()


def _renamed(recipe: Recipe) -> Recipe:
    # names of its own, so that several recipes fit into one
    tag = f"_{recipe.key[:6]}"
    names = {line.result for line in recipe.lines if line.result}
    text = recipe.text()
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(f"${name}", f"${name}{tag}").replace(f" {name} = ", f" {name}{tag} = ")
    return parse(text)


def test_the_search_is_one(ground: Ground) -> None:
    """A bug is looked for among many recipes, not among the one that shows it."""
    counts = {name: len(chosen(ground.recipes, plant.near)) for name, plant in PLANTED.items()}
    assert [name for name, count in counts.items() if count < 5] == []
    assert len(PLANTED) >= 25


SAMPLE = 150


def test_the_clean_engine_gives_no_false_finding_in_three_runs(ground: Ground) -> None:
    """A sample over all interfaces, three times; nothing is lost, and no verdict changes from run to run."""
    step = max(1, len(ground.recipes) // SAMPLE)
    sample = ground.recipes[::step]
    runs = [{r.name: done for r in sample if (done := ground.hunter.run("native", r)) is not None} for _ in range(3)]
    assert {name: triage.keys_of(r) for run in runs for name, r in run.items() if r.verdict == "lost"} == {}
    assert {name: [run[name].verdict for run in runs] for name in runs[0] if len({run[name].verdict for run in runs}) > 1} == {}
    assert sum(r.verdict == "kept" for r in runs[0].values()) > SAMPLE // 4
