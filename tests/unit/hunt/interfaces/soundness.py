"""What every interface table of recipes promises, told as faults; and the same table with a constant that headers will have tomorrow."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from holdfast.hunt import deny, recipe
from holdfast.hunt.interfaces import harvest
from holdfast.prog.text import Line, Parts, Pointer, Ref, Room, Taken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from holdfast.hunt.recipe import Recipe


@cache
def today() -> harvest.Constants:
    """The constants of the table that is shipped."""
    return harvest.load(())


def knows_all(_: Sequence[Line], getter: Line) -> bytes | int | None:
    """A subject whose getters all have an answer."""
    size = next((a.size for a in getter.args if isinstance(a, Room)), None)
    return 0 if size is None else b"\xff" * size


def knows_nothing(_: Sequence[Line], __: Line) -> bytes | int | None:
    """A subject whose getters all fail."""
    return None


def made(module: ModuleType, constants: harvest.Constants | None = None) -> list[Recipe]:
    """Every recipe of a table, as a kernel that knows everything would be asked."""
    return list(module.recipes(constants or today(), knows_all))


def with_constant(name: str, value: int, header: str) -> harvest.Constants:
    """Today's constants and one of tomorrow."""
    return harvest.Constants([*today().rows(), (name, value, header)])


def using(recipes: Sequence[Recipe], name: str) -> list[str]:
    """The names of recipes of whose lines one has a constant."""
    return [r.name for r in recipes if any(name in str(line) for line in r.lines)]


def faults(module: ModuleType) -> list[str]:
    """What is wrong with a table: text that does not parse back, names used twice, calls that are denied, results that nobody made."""
    found = made(module)
    twice = [f"two are called {name}" for name, count in Counter(r.name for r in found).items() if count > 1]
    few = list(module.recipes(today(), knows_nothing))
    return [*twice, *(fault for one in (*found, *few) for fault in _of(one))]


def _of(one: Recipe) -> Iterator[str]:
    if recipe.parse(one.text()).text() != one.text():
        yield f"{one.name} is another recipe when it is read back"
    if not one.name.startswith(f"{one.interface}/"):
        yield f"{one.name} is not of {one.interface}"
    if why := deny.denied(one):
        yield f"{one.name} is denied: {why}"
    if not one.state:
        yield f"{one.name} sets no state"
    names: set[str] = set()
    for line in (*one.lines, *one.get, *one.after):
        used = {line.actor} - {""} | {n for a in line.args for n in _names(a)}
        if used - names:
            yield f"{one.name} uses {', '.join(sorted(used - names))} before a line makes it: {line}"
        names |= {line.result} | {n for a in line.args for n in _rooms(a)}


def _names(value: object) -> Iterator[str]:
    if isinstance(value, Ref | Taken):
        yield value.name
    for part in value.parts if isinstance(value, Parts) else ():
        yield from _names(part.to if isinstance(part, Pointer) else part)


def _rooms(value: object) -> Iterator[str]:
    if isinstance(value, Room):
        yield value.name
    for part in value.parts if isinstance(value, Parts) else ():
        yield from _rooms(part.to if isinstance(part, Pointer) else part)
