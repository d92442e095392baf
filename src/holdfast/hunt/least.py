"""The least recipe of each loss that a campaign found: cases are shrunk side by side, by rounds of the same pool.

A case holds a generator of smaller recipes (hunt/shrink.py) and waits for one round at a time. What comes out is a round of the store
like every other, with ` (least)` behind its name; triage then takes it for the case's least by itself. It counts only when
it lost the same three times.
"""

from __future__ import annotations

import time

from holdfast.errors import HoldfastError
from holdfast.hunt import triage
from holdfast.hunt.campaign import SLICE_S, TRIES
from holdfast.hunt.deny import denied
from holdfast.hunt.draw import JOIN, SAME
from holdfast.hunt.pool import Task
from holdfast.hunt.recipe import parse
from holdfast.hunt.shrink import shrinking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from holdfast.hunt.pool import Known, Pool
    from holdfast.hunt.recipe import Recipe
    from holdfast.hunt.verdict import Round

MARK = " (least)"
BUDGET = 80  # rounds for one case
WHICH = ("none", "drawn", "all")
"""drawn: cases that only a combination, or a checkpoint at another point, shows. What the tables give is small as it is."""


class _Case:
    # one loss on its way down; `asked` is what a round is being run for, `best` the last round that showed it
    def __init__(self, engine: Known, recipe: Recipe, key: str, budget: int) -> None:
        # the best of its names: with any of them a smaller recipe could slip into another loss
        self.engine, self.key = engine, key
        self.first = recipe
        self.asking = shrinking(recipe.replace(name=recipe.name + MARK), budget)
        self.asked: Recipe | None = next(self.asking, None)
        self.best: Round | None = None
        self.seen = 1  # times that `best` was lost
        self._skip()

    @property
    def over(self) -> bool:
        return self.asked is None

    # The answer to what was asked; what may not be run is a no.
    def answered(self, round_: Round) -> None:
        said = round_.verdict == "lost" and self.key in triage.keys_of(round_)
        if self.best is not None and self.asked is not None and self.asked.key == self.best.key:
            # it is run again before it counts
            self.seen += said
            if not said:
                self.best = None
            if self.best is None or self.seen >= TRIES:
                self.asked = None
            return
        if said:
            self.best = round_
        self._send(said)
        self._skip()

    def _send(self, said: bool) -> None:
        try:
            self.asked = self.asking.send(said)
        except StopIteration:
            self.asked = None

    def _skip(self) -> None:
        while self.asked is not None and denied(self.asked):
            self._send(False)
        if self.asked is None and self.best is not None:
            self.asked = parse(self.best.text, self.best.recipe)


def find(
    rounds: Iterable[Round],
    engines: Sequence[Known],
    pool: Pool,
    which: str = "drawn",
    deadline: float | None = None,
    tick: Callable[[], None] = lambda: None,
    budget: int = BUDGET,
) -> Iterator[Round]:
    """The least round of each case of these rounds that has a smaller one than it has now.

    Shape:   `which` is one of WHICH; `deadline` by time.monotonic(): what has not ended then is dropped
    """
    by_name = {e.name: e for e in engines}
    waiting = list(_cases(rounds, by_name, which, budget))
    running: dict[tuple[str, str], _Case] = {}
    while waiting or running:
        late = deadline is not None and time.monotonic() >= deadline
        if late and not running:
            return
        # two cases may ask about the same recipe: one after the other
        for case in [] if late else list(waiting):
            asked = case.asked
            if asked is None:
                waiting.remove(case)
                continue
            if not pool.free():
                break
            key = (case.engine.text, asked.key)
            if key not in running:
                waiting.remove(case)
                running[key] = case
                pool.give(Task(case.engine, asked))
        for task, round_ in pool.wait(SLICE_S) if running else ():
            case = running.pop((task.engine.text, task.recipe.key))
            case.answered(round_)
            if not case.over:
                waiting.append(case)
            elif case.best is not None and case.best.key != case.first.key:
                yield case.best.replace(tries=TRIES)
        tick()


def _cases(rounds: Iterable[Round], engines: dict[str, Known], which: str, budget: int) -> Iterator[_Case]:
    if which == "none":
        return
    for engine, key, least in triage.least_of(rounds):
        if engine not in engines or least.recipe.endswith(MARK) or denied_or_broken(least):
            continue
        recipe = parse(least.text, least.recipe)
        if which == "all" or recipe.point is not None or JOIN in recipe.name or SAME in recipe.name:
            yield _Case(engines[engine], recipe, key, budget)


def denied_or_broken(round_: Round) -> bool:
    """Whether a round's recipe must not be run now, or is of a form that cannot be read any more."""
    try:
        return bool(denied(parse(round_.text, round_.recipe)))
    except HoldfastError:
        return True
