"""Reproducers of past findings, as text: what a campaign runs first, and what a fix is held against.

`ledger/hunt/NAME.recipe` is one recipe each, reviewed like the rest of the ledger; comments say what was lost, by whom, on which kernel.
A file stays when its loss is fixed: it is a test of the fix from then on (decisions/0070).
"""

from __future__ import annotations

import os
import re

from holdfast.drift import ledger
from holdfast.errors import UsageError
from holdfast.hunt.recipe import HEAD, parse, unique
from holdfast.kernel import cache
from holdfast.report.plain import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.hunt.recipe import Recipe
    from holdfast.report.result import Case

ENDING = ".recipe"
LIMIT_BYTES = 1 << 20


def folder() -> str:
    """Where the corpus is: beside the ledger.

    Raises:  usage.ledger.missing: there is no ledger
    """
    return os.path.join(ledger.folder(), "hunt")


def load(place: str = "") -> list[Recipe]:
    """Every recipe of a corpus, each thing to do once, in the order of file names; a folder that is not there is empty.

    Raises:  usage.recipe: a file is no recipe
    """
    place = place or folder()
    try:
        names = sorted(n for n in os.listdir(place) if n.endswith(ENDING))
    except FileNotFoundError:
        return []
    return unique(read(os.path.join(place, name)) for name in names)


def read(path: str) -> Recipe:
    """The recipe of one file.

    Raises:  usage.recipe: it is none
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LIMIT_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("recipe", f"{path} cannot be read", where=path, why=str(error)) from error
    if len(text) > LIMIT_BYTES:
        raise UsageError("recipe", f"{path} is no recipe", where=path, why=f"it is larger than {LIMIT_BYTES} bytes")
    return parse(text, path)


def add(place: str, cases: Iterable[Case]) -> list[str]:
    """Write the least recipe of each case that the corpus does not have yet; the paths of new files."""
    known = {r.key for r in load(place)} if os.path.isdir(place) else set()
    written = []
    for case in cases:
        recipe = parse(case.finding.reproducer, case.id)
        if recipe.key in known:
            continue
        known.add(recipe.key)
        os.makedirs(place, exist_ok=True)
        path = os.path.join(place, f"{_slug(recipe.name)}-{recipe.key[:8]}{ENDING}")
        cache.write(path, text(case, recipe).encode())
        written.append(path)
    return written


def text(case: Case, recipe: Recipe) -> str:
    """A file of the corpus: the recipe, and in comments what it showed."""
    f = case.finding
    head, _, rest = recipe.text().partition("\n")
    assert head == HEAD
    comments = [f"{f.verdict} {f.subject} ({f.severity})", f"engine {f.engine}, Linux {f.kernel}"]
    comments += [f"{e.oracle} {e.path}: {e.before} before, {e.after} after" for e in case.evidence[:4]]
    return "\n".join([head, *(f"# {line(c, 200)}" for c in comments), rest])


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.=]+", "-", name)[:80].strip("-.") or "recipe"
