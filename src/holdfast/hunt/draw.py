"""Combinations of recipes, drawn by Hypothesis: states that were each seen alone, together in one process.

What breaks only together (a timer on a descriptor that a child shares, a limit under a credential) is rarely in a table. A
combination makes the objects of its parts, then their states, then looks with the getters of all. States are put on one object
where the parts make the same one, or on objects of their own. Pairs of interfaces that were tried rarely are drawn most.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations, combinations_with_replacement

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, configuration, settings
from hypothesis import strategies as st

from holdfast.hunt.shrink import whole
from holdfast.kernel import cache
from holdfast.model.record import Record
from holdfast.prog.text import Const, Parts, Pointer, Ref, Room, Taken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from holdfast.hunt.recipe import Recipe
    from holdfast.hunt.verdict import Round
    from holdfast.prog.text import Line, Value

JOIN = " + "  # between the names of parts that have objects of their own
SAME = " & "  # between the names of parts whose states are put on one object
MOST_LINES = 24
_PASSES = 8


class Drawn(Record):
    """What was drawn: which recipes, in which order, and whether they share what they can."""

    parts: tuple[Recipe, ...]
    shared: bool


def tried(rounds: Iterable[Round]) -> dict[tuple[str, str], int]:
    """How often each pair of interfaces was in one recipe, by the names of the interfaces, sorted."""
    out: Counter[tuple[str, str]] = Counter()
    for r in rounds:
        names = r.interface.replace(SAME, JOIN).split(JOIN)
        out.update(_pair(a, b) for a, b in combinations(names, 2))
    return dict(out)


def worth(recipes: Iterable[Recipe], rounds: Iterable[Round]) -> list[Recipe]:
    """The recipes whose state was seen and kept, or that were not run: what cannot be made or is refused alone says nothing together."""
    verdicts: dict[str, set[str]] = {}
    for r in rounds:
        verdicts.setdefault(r.key, set()).add(r.verdict)
    return [r for r in recipes if r.key not in verdicts or "kept" in verdicts[r.key]]


def pairs(recipes: Sequence[Recipe], tried: Mapping[tuple[str, str], int], n: int, seed: int) -> Iterator[Recipe]:
    """Combinations of two and more recipes; the same seed, recipes and counts give the same.

    Shape:   at most `n`, each once; fewer where there are no more
    """
    groups: dict[str, list[Recipe]] = {}
    for recipe in recipes:
        # a checkpoint inside a call, or before the state is there, is a part's own
        if recipe.point is None and not recipe.inside:
            groups.setdefault(recipe.interface, []).append(recipe)
    if n <= 0 or sum(map(len, groups.values())) < 2:
        return
    found: dict[str, Recipe] = {}
    for run in range(_PASSES):
        for drawn in _sampled(_drawn(groups, tried), max(2 * (n - len(found)), 20), seed + run * 1_000_003):
            made = merged(drawn.parts, drawn.shared)
            if made is not None and len(found) < n:
                found.setdefault(made.key, made)
        if len(found) >= n:
            break
    yield from found.values()


# What Hypothesis draws, as a list: it runs a test that only remembers what it was given.
def _sampled(strategy: st.SearchStrategy[Drawn], n: int, seed: int) -> list[Drawn]:
    out: list[Drawn] = []
    # nothing is kept between runs, and no folder is left in the caller's working directory
    configuration.set_hypothesis_home_dir(cache.folder("hypothesis"))

    @hypothesis.seed(seed)
    @settings(
        max_examples=n,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    @hypothesis.given(strategy)
    def remember(drawn: Drawn) -> None:
        out.append(drawn)

    remember()
    return out


@st.composite
def _drawn(draw: st.DrawFn, groups: Mapping[str, Sequence[Recipe]], tried: Mapping[tuple[str, str], int]) -> Drawn:
    names = sorted(groups)
    # two states of one interface need two recipes of it
    known = [p for p in combinations_with_replacement(names, 2) if p[0] != p[1] or len(groups[p[0]]) > 1]
    # by how often they were tried: each step is drawn four times as often as the next
    levels: dict[int, list[tuple[str, str]]] = {}
    for pair in known:
        levels.setdefault(tried.get(pair, 0), []).append(pair)
    weighted = [level for n, level in enumerate(sorted(levels)) for _ in range(max(1, 64 >> 2 * n))]
    chosen = list(draw(st.sampled_from(levels[draw(st.sampled_from(weighted))])))
    while len(chosen) < 4 and draw(st.integers(0, 4)) == 4:
        chosen.append(draw(st.sampled_from(names)))
    parts = [draw(st.sampled_from(groups[name])) for name in chosen]
    return Drawn(tuple(draw(st.permutations(parts))), draw(st.booleans()))


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a <= b else (b, a)


# --- one recipe of several


def merged(parts: Sequence[Recipe], shared: bool) -> Recipe | None:
    """One recipe that makes the states of all parts; None where they do not go together.

    Shape:   `shared`: a line of make that an earlier part has as well is made once, and its object gets the states of both
    """
    if len({p.key for p in parts}) < len(parts):
        return None
    # who is left blocked in a call can do nothing more: such a part comes last
    ordered = sorted(parts, key=_blocks)
    made = ordered[0]
    count = 0
    for number, part in enumerate(ordered[1:], 2):
        names, lines, same = _placed(made, part, number, shared)
        count += same
        renamed = {s: tuple(_renamed(line, names) for line in getattr(part, s)) for s in ("state", "get", "after")}
        made = made.replace(
            make=made.make + lines,
            state=made.state + renamed["state"],
            get=_once((*made.get, *renamed["get"])),
            after=made.after + renamed["after"],
            security=made.security or part.security,
        )
    if shared and not count:
        return None  # the same as without
    joint = SAME if count else JOIN
    made = made.replace(
        name=joint.join(p.name for p in ordered),
        interface=JOIN.join(sorted(p.interface for p in ordered)),
        point=None,
        inside=False,
    )
    return made if len(made.lines) <= MOST_LINES and whole(made) and not _conflict(made) else None


def _placed(made: Recipe, part: Recipe, number: int, shared: bool) -> tuple[dict[str, str], tuple[Line, ...], int]:
    # what the part's names are called in the whole, the lines of make that are new, and how many were there already
    taken = {name for line in (*made.lines, *made.get, *made.after) for name in _makes(line)}
    there = list(made.make) if shared else []
    names: dict[str, str] = {}
    new: list[Line] = []
    same = 0
    for line in part.make:
        twin = next((t for t in there if _shape(t) == _shape(_renamed(line, names))), None)
        if twin is not None:
            there.remove(twin)
            names.update(zip(_makes(line), _makes(twin), strict=True))
            same += 1
            continue
        for name in _makes(line):
            names[name] = _free(name, number, taken)
        new.append(_renamed(line, names))
    for line in (*part.state, *part.get, *part.after):
        for name in _makes(line):
            names.setdefault(name, _free(name, number, taken))
    return names, tuple(new), same


def _free(name: str, number: int, taken: set[str]) -> str:
    found = name
    while found in taken:
        found = f"{name}_{number}"
        number += 1
    taken.add(found)
    return found


def _makes(line: Line) -> list[str]:
    return ([line.result] if line.result else []) + [v.name for v in line.values if isinstance(v, Room) and v.name]


def _shape(line: Line) -> str:
    # the line with its own names left out: what two parts call the same object does not matter
    own = dict.fromkeys(_makes(line), "_")
    return str(_renamed(line, own))


def _renamed(line: Line, names: Mapping[str, str]) -> Line:
    return line.replace(
        args=tuple(_value(a, names) for a in line.args),
        result=names.get(line.result, line.result),
        actor=names.get(line.actor, line.actor),
    )


def _value(value: Value, names: Mapping[str, str]) -> Value:
    if isinstance(value, (Ref, Taken)):
        return value.replace(name=names.get(value.name, value.name))
    if isinstance(value, Room):
        return value.replace(name=names.get(value.name, value.name)) if value.name else value
    if isinstance(value, Parts):
        return Parts(tuple(_part(p, names) for p in value.parts))
    return value


def _part(part: bytes | Ref | Taken | Pointer, names: Mapping[str, str]) -> bytes | Ref | Taken | Pointer:
    if isinstance(part, Pointer):
        to = _value(part.to, names)
        assert isinstance(to, (bytes, Room, Parts))
        return Pointer(to)
    value = part if isinstance(part, bytes) else _value(part, names)
    assert isinstance(value, (bytes, Ref, Taken))
    return value


def _blocks(recipe: Recipe) -> bool:
    return any(line.blocks for line in recipe.lines)


def _once(lines: Iterable[Line]) -> tuple[Line, ...]:
    return tuple({str(line): line for line in lines}.values())


def _conflict(recipe: Recipe) -> bool:
    # two states for one thing, of which only the last would be there; or work for a task that is blocked
    seen: set[tuple[object, ...]] = set()
    blocked: set[str] = set()
    for line in recipe.state:
        thing = (
            line.call,
            line.actor,
            *(v.name for v in line.values if isinstance(v, (Const, Ref))),
            *((v.name, v.offset) for v in line.values if isinstance(v, Taken)),
        )
        # the same call with other plain numbers sets the same thing to another value
        if thing in seen:
            return True
        seen.add(thing)
    for line in (*recipe.lines, *recipe.after):
        if line.actor in blocked:
            return True
        if line.blocks:
            blocked.add(line.actor)
    return False
