"""The least recipe that still shows what a recipe showed.

The invariant: what is held is a recipe that `still` said yes to (the first one is taken on trust: it is a finding), and it is whole, so
that every name a line uses is made by a line before it. A step proposes a smaller one; where `still` says yes that one is held.

Why it ends: recipes have a size, a tuple of numbers none of which is negative, compared from the left: lines that make the state,
lines that look or go on, how far the checkpoint is from the end, then how far its values are from zero. A proposal
that is not smaller is never asked about, so every yes makes the size less, and there is no endless way down. `budget` bounds how
often `still` is asked: it costs a round. No recipe is asked about twice.

What comes out when the budget was enough is a local least: no single step (a line with what depends on it, a getter, the point, one
value made simpler) leads to a smaller one that still shows it. Steps go from coarse to fine: whole sections, halves of the lines, then
single lines, then values; a yes starts the coarse ones again, as a value may have been what held a line in place. Nothing is drawn: the
same recipe and the same answers give the same result.

To extend it: write a function from a recipe to smaller ones, coarse before fine, and put it into STEPS; where it makes
something less that `size` does not measure, add that to `size`.
"""

from __future__ import annotations

import re

from holdfast.prog.text import Const, Parts, Pointer, Ref, Room, Taken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from holdfast.hunt.recipe import Recipe
    from holdfast.prog.text import Line, Value

    Part = bytes | Ref | Taken | Pointer

BUDGET = 200
_TEXT = re.compile(rb"[\t\n\x20-\x7e]{2,}\0*")


def shrink(recipe: Recipe, still: Callable[[Recipe], bool], budget: int = BUDGET) -> Recipe:
    """The least recipe for which `still` holds that can be found by asking it `budget` times; the same name throughout."""
    asking = shrinking(recipe, budget)
    least = recipe
    proposed = next(asking, None)
    while proposed is not None:
        said = still(proposed)
        least = proposed if said else least
        try:
            proposed = asking.send(said)
        except StopIteration:
            break
    return least


def shrinking(recipe: Recipe, budget: int = BUDGET) -> Generator[Recipe, bool, Recipe]:
    """As shrink, for who has the answers later: yields what is asked about, is sent the answer, and returns the least."""
    held, asked = recipe, {recipe.key}
    while True:
        for proposed in (p for step in STEPS for p in step(held)):
            if proposed.key in asked or not size(proposed) < size(held) or not whole(proposed):
                continue
            if len(asked) > budget:
                return held
            asked.add(proposed.key)
            if (yield proposed):
                held = proposed
                break
        else:
            return held


def size(recipe: Recipe) -> tuple[int, ...]:
    """How large a recipe is: lines of the state, lines that look, distance of the checkpoint from the end, weight of the values."""
    lines = (*recipe.lines, *recipe.get, *recipe.after)
    off = len(recipe.lines) - recipe.at + (1 if recipe.inside else 0)
    return len(recipe.lines), len(recipe.get) + len(recipe.after), off, sum(_weight(a) for line in lines for a in line.args)


def _weight(value: Value | Pointer) -> int:
    if isinstance(value, Const):
        return _number_weight(value.value)
    if isinstance(value, int):
        return _number_weight(value)
    if isinstance(value, bytes):
        return 8 * len(value) + sum(_number_weight(b) for b in value)
    if isinstance(value, Room):
        return 8 * value.size + _weight(value.initial)
    if isinstance(value, Ref):
        return _number_weight(value.add)
    if isinstance(value, Parts):
        return sum(_weight(p) for p in value.parts)
    if isinstance(value, Pointer):
        return _weight(value.to)
    return 0


def _number_weight(value: int) -> int:
    # few bits before low bits; what is negative has its sign beside
    return 128 * abs(value).bit_count() + abs(value).bit_length() + (1 if value < 0 else 0)


def whole(recipe: Recipe) -> bool:
    """Whether every name is made before it is used, and a checkpoint that falls inside a line has one that blocks."""
    known: dict[str, int | None] = {}
    if not recipe.lines or not 0 <= recipe.at <= len(recipe.lines):
        return False
    if recipe.inside and (recipe.at == 0 or not recipe.lines[recipe.at - 1].blocks):
        return False
    for line in (*recipe.lines, *recipe.get, *recipe.after):
        if line.actor and line.actor not in known:
            return False
        for name, end in _used(line):
            if name not in known:
                return False
            room = known[name]
            if end and (room is None or end > room):
                return False
        known.update(_made(line))
    return True


def _made(line: Line) -> dict[str, int | None]:
    # names that a line makes: its result, and its buffers with their sizes
    out: dict[str, int | None] = {v.name: v.size for v in line.values if isinstance(v, Room) and v.name}
    if line.result:
        out[line.result] = None
    return out


def _used(line: Line) -> Iterator[tuple[str, int]]:
    # names that a line's arguments use, and how far into a buffer
    for v in line.values:
        if isinstance(v, Ref):
            yield v.name, 0
        elif isinstance(v, Taken):
            yield v.name, v.offset + v.size


# --- steps


def _sections(recipe: Recipe) -> Iterator[Recipe]:
    if recipe.get and recipe.after:
        yield recipe.replace(get=(), after=())
    if recipe.after:
        yield recipe.replace(after=())
    if recipe.get:
        yield recipe.replace(get=())


def _runs(recipe: Recipe) -> Iterator[Recipe]:
    # halves, quarters, ... single lines; the last first, as later lines depend on earlier ones
    count = len(recipe.lines)
    run = count // 2
    while run:
        for start in range(count - run, -1, -run):
            yield without(recipe, range(start, start + run))
        if count % run:
            yield without(recipe, range(count % run))
        run //= 2


def without(recipe: Recipe, indexes: Iterable[int]) -> Recipe:
    """The recipe without some lines of make and state, and without every line that needs what they made."""
    gone = set(indexes)
    names: set[str] = set()
    lines = recipe.lines
    for n, line in enumerate(lines):
        if n in gone or line.actor in names or any(name in names for name, _ in _used(line)):
            gone.add(n)
            names |= _made(line).keys()
        else:
            names -= _made(line).keys()
    cut = len(recipe.make)
    inside = recipe.inside and recipe.at - 1 not in gone
    point: int | None = None
    if recipe.point is not None and (inside or not recipe.inside):
        point = sum(n not in gone for n in range(recipe.at))
        if point == len(lines) - len(gone) and not inside:
            point = None

    def rest(section: tuple[Line, ...]) -> tuple[Line, ...]:
        missing = set(names)
        out = []
        for line in section:
            if line.actor in missing or any(name in missing for name, _ in _used(line)):
                missing |= _made(line).keys()
            else:
                out.append(line)
        return tuple(out)

    return recipe.replace(
        make=tuple(line for n, line in enumerate(lines[:cut]) if n not in gone),
        state=tuple(line for n, line in enumerate(lines[cut:], cut) if n not in gone),
        get=rest(recipe.get),
        after=rest(recipe.after),
        point=point,
        inside=inside,
    )


def _looks(recipe: Recipe) -> Iterator[Recipe]:
    for section in ("after", "get"):
        lines = getattr(recipe, section)
        for n in range(len(lines) - 1, -1, -1):
            yield recipe.replace(**{section: lines[:n] + lines[n + 1 :]})


def _points(recipe: Recipe) -> Iterator[Recipe]:
    if recipe.point is None and not recipe.inside:
        return
    if recipe.inside:
        yield recipe.replace(inside=False)
    for point in range(len(recipe.lines), recipe.at, -1):
        yield recipe.replace(point=None if point == len(recipe.lines) else point, inside=False)


def _values(recipe: Recipe) -> Iterator[Recipe]:
    # not those of getters: with another number it may be a call that changes things
    for section in ("state", "make", "after"):
        lines = getattr(recipe, section)
        for n, line in enumerate(lines):
            for k, value in enumerate(line.args):
                simple = [(*line.args[:k], v, *line.args[k + 1 :]) for v in _simpler(value)]
                for args in (*simple, *_shorter(line.args, k)):
                    yield recipe.replace(**{section: (*lines[:n], line.replace(args=args), *lines[n + 1 :])})


def _shorter(args: tuple[Value, ...], k: int) -> Iterator[tuple[Value, ...]]:
    # a buffer only together with the number that tells the kernel its size: else the call would reach beyond it
    value = args[k]
    if isinstance(value, bytes) and value.endswith(b"\0") and _TEXT.fullmatch(value):
        return  # a path
    size_now = len(value) if isinstance(value, bytes) else value.size if isinstance(value, Room) else 0
    for m, told in enumerate(args):
        if isinstance(told, int) and told == size_now:
            for less in dict.fromkeys((1, 4, 8, size_now // 2, size_now - 1)):
                if 0 < less < size_now and isinstance(value, (bytes, Room)):
                    cut = value[:less] if isinstance(value, bytes) else value.replace(size=less, initial=value.initial[:less])
                    out = list(args)
                    out[k], out[m] = cut, less
                    yield tuple(out)


def _simpler(value: Value | Pointer) -> Iterator[Value | Pointer]:
    if isinstance(value, Const):
        # its name says what it is: another number would be a word that nobody wrote
        yield 0
    elif isinstance(value, int):
        yield from _numbers(value)
    elif isinstance(value, bytes):
        yield from _bytes(value)
    elif isinstance(value, Room):
        if value.initial:
            yield value.replace(initial=b"")
            yield from (value.replace(initial=v) for v in _bytes(value.initial))
    elif isinstance(value, Ref):
        yield from (value.replace(add=n) for n in _numbers(value.add))
    elif isinstance(value, Pointer):
        for v in _simpler(value.to):
            assert isinstance(v, (bytes, Room, Parts))
            yield Pointer(v)
    elif isinstance(value, Parts):
        for n, part in enumerate(value.parts):
            for p in _simpler(part):
                if isinstance(p, (Ref, Taken, Pointer, bytes)):
                    yield Parts((*value.parts[:n], p, *value.parts[n + 1 :]))


def _numbers(value: int) -> Iterator[int]:
    plain = abs(value)
    if not plain:
        return
    yield 0
    yield 1
    high = 1 << plain.bit_length() - 1
    yield high
    yield plain & -plain
    yield plain
    yield plain & plain - 1
    yield plain ^ high
    yield value >> 1 if value > 0 else -(plain >> 1)


# As long as before. Text stays: half a path is another path.
def _bytes(value: bytes) -> Iterator[bytes]:
    if _TEXT.fullmatch(value):
        return
    if any(value):
        yield bytes(len(value))
    if len(value) in (1, 2, 4, 8):
        number = int.from_bytes(value, "little")
        yield from (n.to_bytes(len(value), "little") for n in _numbers(number) if 0 <= n < 1 << 8 * len(value))
    else:
        for width in (8, 4):
            for at in range(0, len(value) - len(value) % width, width):
                if any(value[at : at + width]):
                    yield value[:at] + bytes(width) + value[at + width :]
        for at in range(0, len(value) - len(value) % 4, 4):
            word = int.from_bytes(value[at : at + 4], "little")
            yield from (value[:at] + n.to_bytes(4, "little") + value[at + 4 :] for n in _numbers(word) if 0 <= n < 1 << 32)


STEPS: tuple[Callable[[Recipe], Iterator[Recipe]], ...] = (_sections, _runs, _looks, _points, _values)
"""Coarse before fine."""
