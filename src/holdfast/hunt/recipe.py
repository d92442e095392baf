"""A recipe: a small program that puts a fresh process into a state, and how to see it there.

    # hunt recipe 1
    name eventfd/EFD_SEMAPHORE
    interface eventfd
    make fd = eventfd2(3, 0)
    state ...
    get fcntl($fd, F_GETFL=3)
    after read($fd, [8], 8)
    point 2 inside

`make` builds the object without the state: the control twin runs it alone. `state` puts it into the state. Every line of both must
succeed, or the recipe is unsettable. `get` looks at the state and changes nothing: before the dump and after the restore. `after` goes
on and may change things: what it returns is compared with a twin that was never checkpointed. `point` is the number of lines of
make and state that run before the checkpoint (all where it is not given); the others run after the restore. With `inside`
the checkpoint falls while the line before the point blocks.
"""

from __future__ import annotations

import hashlib

from holdfast.errors import UsageError
from holdfast.model.record import Record
from holdfast.prog.text import Line, parse_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD = "# hunt recipe 1"
SECTIONS = ("make", "state", "get", "after")


class Recipe(Record):
    """Lines that make a state, lines that look at it, lines that go on.

    Shape:   `name` is unique among the recipes of a campaign: INTERFACE/CONSTANT=VALUE and what else tells it apart; `point` None is
             after everything; `inside` only where line `point - 1` blocks; `security` where losing it is losing a sandbox, a seal, a
             limit or a credential
    """

    name: str
    interface: str
    make: tuple[Line, ...]
    state: tuple[Line, ...] = ()
    get: tuple[Line, ...] = ()
    after: tuple[Line, ...] = ()
    point: int | None = None
    inside: bool = False
    security: bool = False

    @property
    def lines(self) -> tuple[Line, ...]:
        """What makes the state, in order."""
        return self.make + self.state

    @property
    def at(self) -> int:
        """How many lines run before the checkpoint."""
        return len(self.lines) if self.point is None else self.point

    @property
    def key(self) -> str:
        """A digest of what it does, whatever it is called."""
        body = "\n".join(t for t in self.text().splitlines() if not t.startswith(("#", "name ")))
        return hashlib.sha256(body.encode()).hexdigest()[:16]

    def text(self) -> str:
        """As a text file that `holdfast hunt --replay` runs."""
        out = [HEAD, f"name {self.name}", f"interface {self.interface}"]
        if self.security:
            out.append("security")
        out += [f"{section} {line}" for section in SECTIONS for line in getattr(self, section)]
        if self.point is not None or self.inside:
            out.append(f"point {self.at}" + (" inside" if self.inside else ""))
        return "\n".join(out) + "\n"

    def at_point(self, point: int, inside: bool = False) -> Recipe:
        """The same with the checkpoint elsewhere."""
        return self.replace(name=f"{self.name}@{point}{'inside' if inside else ''}", point=point, inside=inside)

    def points(self) -> tuple[Recipe, ...]:
        """The same recipe with the checkpoint at every other point: before each line, and inside each line that blocks."""
        out = [self.at_point(n) for n in range(len(self.lines)) if not (n and self.lines[n - 1].blocks)]
        out += [self.at_point(n + 1, True) for n, line in enumerate(self.lines) if line.blocks]
        return tuple(out)


def parse(text: str, where: str = "a recipe") -> Recipe:
    """A recipe from its text; lines that begin with # are comments.

    Raises:  usage.recipe: it cannot be read
    """
    name = interface = ""
    sections: dict[str, list[Line]] = {s: [] for s in SECTIONS}
    point: int | None = None
    inside = security = False
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        at = f"{where}:{number}"
        if word in sections:
            sections[word].append(parse_line(rest, at))
        elif word == "name":
            name = rest
        elif word == "interface":
            interface = rest
        elif word == "security":
            security = True
        elif word == "point":
            digits, _, how = rest.partition(" ")
            if not digits.isdigit() or how not in ("", "inside"):
                raise UsageError("recipe", f"this point cannot be read: {rest}", where=at, why="`point NUMBER` or `point NUMBER inside`")
            point, inside = int(digits), how == "inside"
        else:
            raise UsageError(
                "recipe", f"this line cannot be read: {line[:200]}", where=at, why=f"it begins with none of {', '.join(SECTIONS)}"
            )
    make, state, get, after = (tuple(sections[s]) for s in SECTIONS)
    made = Recipe(name, interface, make, state, get, after, point, inside, security)
    _check(made, where)
    return made


def _check(recipe: Recipe, where: str) -> None:
    why = ""
    if not recipe.name or not recipe.make + recipe.state:
        why = "it needs a name and at least one line of make or state"
    elif not 0 <= recipe.at <= len(recipe.lines):
        why = f"point {recipe.at} is not among its {len(recipe.lines)} lines"
    elif recipe.inside and (recipe.at == 0 or not recipe.lines[recipe.at - 1].blocks):
        why = f"line {recipe.at} does not block, so no checkpoint can fall inside it"
    if why:
        raise UsageError("recipe", f"recipe {recipe.name or '(no name)'} cannot be run", where=where, why=why)


def unique(recipes: Iterable[Recipe]) -> list[Recipe]:
    """Each thing to do once, the first name it was given, in order."""
    seen: dict[str, Recipe] = {}
    for recipe in recipes:
        seen.setdefault(recipe.key, recipe)
    return list(seen.values())
