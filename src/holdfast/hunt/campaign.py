"""A campaign: which recipes are run on which engines, in what order, what counts as lost, and where it goes on after an end.

The order: what was lost, failed or flaky the last time; then what was never run; then the rest; then, where asked for, the
checkpoint at every other point of each recipe whose state is seen, and combinations that are drawn. Every round is in the store when
it counts, so a campaign that was killed goes on: it plans again, in the same way, and leaves out what it has done.

A loss is repeated before it counts: three times lost, with a proof that is the same each time, or it is flaky.
"""

from __future__ import annotations

import os
import time
from collections import deque

from holdfast.errors import InternalError
from holdfast.hunt.deny import denied
from holdfast.hunt.pool import Known, Task
from holdfast.hunt.recipe import Recipe, parse, unique
from holdfast.hunt.worker import Died, Worker
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from holdfast.hunt.pool import Pool
    from holdfast.hunt.progress import Progress
    from holdfast.hunt.store import Counted, Store
    from holdfast.hunt.verdict import Round
    from holdfast.hunt.worker import Crew

TRIES = 3  # of a loss
AGAIN = ("lost", "failed", "flaky")
TABLES_S = 300.0  # until the next recipe of the tables
SLICE_S = 0.2


class Plan(Record):
    """What a campaign does; what is stored of it, so that it can go on.

    Shape:   `only`: interfaces or patterns of names, all where empty; `pairs`: how many combinations are drawn
    """

    engines: tuple[str, ...] = ("native",)
    only: tuple[str, ...] = ()
    points: bool = False
    pairs: int = 0
    seed: int = 0
    user: bool = False


class Ended(Record):
    """What a campaign came to.

    Shape:   `left`: tasks that are still to be done; `denied`: recipes that are not run, and why; `lost`: what was lost now; `new`: of
             it the first round of each signature that no earlier campaign of this store has lost; `differing`: recipes with engine
             to verdict, where engines differ
    """

    campaign: int
    counts: tuple[Counted, ...]
    lost: tuple[Round, ...]
    new: tuple[Round, ...]
    differing: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    denied: tuple[tuple[str, str], ...]
    left: int
    done: int
    seconds: float


def plan_of(values: dict[str, object]) -> Plan:
    """The plan that a store holds; an option that this version does not know is left out."""
    known = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in Plan._infos}
    return Plan(**known)  # type: ignore[arg-type]


def known(engines: Iterable[str]) -> tuple[Known, ...]:
    """Engines by the texts that name them.

    Raises:  usage.engine: there is no such engine, or it does not run here
    """
    from holdfast.hunt.engines.registry import engine_of  # whoever only reads a store has no use for engines

    return tuple(Known(text, e.name, e.version) for text in engines for e in (engine_of(text),))


def listed(crew: Crew, only: Sequence[str]) -> list[Recipe]:
    """Every recipe of the interface tables that fits; they are listed in a sandbox, because tables ask subjects.

    Raises:  internal.tables: a table does not come to an end
    """
    worker, found = Worker(crew), []
    try:
        worker.wait_ready()
        worker.send({"list": list(only)})
        while "end" not in (message := worker.answer(TABLES_S)):
            found.append(parse(message["recipe"], "an interface table"))
    except Died as death:
        at = f", after {found[-1].name}" if found else ""
        raise InternalError("tables", f"the recipes cannot be listed{at}", where="src/holdfast/hunt/interfaces", why=str(death)) from death
    finally:
        worker.close()
    return found


class Campaign:
    """One campaign over one store."""

    def __init__(self, store: Store, number: int, engines: Sequence[Known], kernel: str = "") -> None:
        self._store, self._number, self._engines = store, number, tuple(engines)
        self._kernel = kernel or os.uname().release
        self._done = store.done(number)
        self._before = store.before(number)
        self._lost_before = frozenset(_signatures(store.lost_before(number)))
        self._lost_now = set(_signatures(store.rounds(number, ("lost",))))
        self._tries: dict[tuple[str, str], list[Round]] = {}
        self.denied: dict[str, str] = {}

    def old_failures(self) -> list[Recipe]:
        """What was lost, failed or flaky the last time that it was run, whether the tables still give it or not."""
        return unique(parse(r.text, r.recipe) for r in self._store.rounds(None, AGAIN))

    def order(self, recipes: Iterable[Recipe], failed: Iterable[Recipe] = ()) -> list[Task]:
        """What is to be done, first things first; what this campaign has done is left out, and what is on the deny list.

        Shape:   `failed`: recipes that only engines that failed on them are given
        """
        given = list(recipes)
        ranked: list[tuple[int, Task]] = []
        for at, recipe in enumerate(unique((*given, *failed))):
            why = denied(recipe)
            if why:
                self.denied[recipe.name] = why
                continue
            for engine in self._engines:
                last = self._before.get((engine.name, recipe.key))
                if at >= len(given) and last not in AGAIN:
                    continue  # another engine's failure
                if (self._kernel, engine.name, engine.version, recipe.key) not in self._done:
                    ranked.append((0 if last in AGAIN else 1 if last is None else 2, Task(engine, recipe)))
        ranked.sort(key=lambda one: one[0])
        return [task for _, task in ranked]

    def run(self, stages: Iterable[Iterable[Task]], pool: Pool, progress: Progress, deadline: float | None) -> int:
        """Do all tasks of all stages, as far as there is time; how many are left of the stages that were begun.

        Shape:   a stage is asked for when the one before it has ended; `deadline` by time.monotonic()
        """
        for stage in stages:
            waiting = deque(stage)
            progress.tally.planned += len(waiting)
            running = 0
            while waiting or running:
                late = deadline is not None and time.monotonic() >= deadline
                if late and not running:
                    return len(waiting)
                while not late and waiting and pool.free():
                    pool.give(waiting.popleft())
                    running += 1
                for task, round_ in pool.wait(SLICE_S):
                    running -= 1
                    judged = self._judge(task, round_)
                    if judged is None:
                        waiting.appendleft(task)
                    elif self._store.add(self._number, judged):
                        self._done.add((judged.kernel, judged.engine, judged.version, judged.key))
                        progress.done(judged, self._is_new(judged))
                        self._lost_now |= set(_signatures((judged,)))
                progress.tick()
        return 0

    # A loss counts when it is there each time; None: once more.
    def _judge(self, task: Task, round_: Round) -> Round | None:
        key = (task.engine.text, task.recipe.key)
        tries = self._tries.setdefault(key, [])
        tries.append(round_)
        if tries[0].verdict == "lost" and len(tries) < TRIES and round_.verdict == "lost":
            return None
        del self._tries[key]
        if tries[0].verdict != "lost":
            return round_
        each = [frozenset(p.signature for p in t.proofs) for t in tries]
        always = frozenset.intersection(*each)
        if len(tries) == TRIES and round_.verdict == "lost" and always:
            return tries[0].replace(proofs=tuple(p for p in tries[0].proofs if p.signature in always), tries=TRIES)
        said = f"lost, then {' and '.join(t.verdict for t in tries[1:])}" + ("" if always else "; not the same was lost")
        return tries[0].replace(verdict="flaky", said=said, tries=len(tries))

    def _is_new(self, round_: Round) -> bool:
        return round_.verdict == "lost" and bool(set(_signatures((round_,))) - self._lost_before - self._lost_now)

    # The first round of each signature that no earlier campaign has lost.
    def _first(self, lost: Iterable[Round]) -> Iterator[Round]:
        seen = set(self._lost_before)
        for round_ in lost:
            mine = set(_signatures((round_,)))
            if mine - seen:
                yield round_
            seen |= mine

    def rounds(self) -> list[Round]:
        """What this campaign has found so far."""
        return list(self._store.rounds(self._number))

    def points(self) -> Iterator[Recipe]:
        """The checkpoint at every other point of each recipe whose state an oracle saw in this campaign."""
        for round_ in self._store.rounds(self._number, ("kept", "told", "lost", "flaky", "refused")):
            recipe = parse(round_.text, round_.recipe)
            if recipe.point is None:
                yield from recipe.points()

    def ended(self, left: int, seconds: float) -> Ended:
        """What it came to."""
        lost = tuple(self._store.rounds(self._number, ("lost",)))
        counts = tuple(self._store.counts(self._number))
        return Ended(
            self._number,
            counts,
            lost,
            tuple(self._first(lost)),
            tuple((name, tuple(sorted(by.items()))) for name, by in self._store.differing(self._number)),
            tuple(sorted(self.denied.items())),
            left,
            sum(c.count for c in counts),
            seconds,
        )


def _signatures(rounds: Iterable[Round]) -> Iterator[tuple[str, str]]:
    for round_ in rounds:
        for proof in round_.proofs if round_.verdict == "lost" else ():
            yield round_.engine.partition(":")[0], proof.signature
