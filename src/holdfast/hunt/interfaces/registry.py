"""Every recipe of every interface table, found by walking the folder.

A table that fails to import is fatal: a lost table is a lost search.
"""

from __future__ import annotations

import fnmatch
import importlib
import os
import re

from holdfast.errors import InternalError
from holdfast.hunt.recipe import Recipe, unique

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import ModuleType

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.prog.text import Line

MADE = "made"
"""The interface of recipes that only make what others put into a state."""
MACHINERY = ("harvest", "headers", "layout", "registry", "script", "sockobjects", "sockvalues", "values")
"""What stands in the folder and is no table."""


def modules() -> list[str]:
    """The names of all interface tables, sorted."""
    here = os.path.dirname(__file__)
    stems = sorted(name[:-3] for name in os.listdir(here) if name.endswith(".py"))
    return [f"holdfast.hunt.interfaces.{stem}" for stem in stems if stem != "__init__" and stem not in MACHINERY]


def tables() -> list[ModuleType]:
    """Every interface table.

    Raises:  internal.interface: one cannot be imported, or has no function `recipes`
    """
    found = []
    for name in modules():
        try:
            table = importlib.import_module(name)
            found.append(table)
            table.recipes  # noqa: B018 - whether it is there
        except Exception as e:
            raise InternalError(
                "interface", f"{name} cannot be loaded: {e!r}", do="a lost table would be a lost search: mend the file"
            ) from e
    return found


def makes(recipes: Iterable[Recipe]) -> Iterator[Recipe]:
    """A recipe of interface `made` for each different `make`: what an engine does to it without a state is told by it, decisions/0071.

    Shape:   named by the first recipe that has it, in order of names, and by a digest of its lines
    """
    seen: set[tuple[Line, ...]] = set()
    for recipe in sorted(recipes, key=lambda one: one.name):
        if recipe.make and recipe.state and recipe.make not in seen:
            seen.add(recipe.make)
            made = Recipe("", MADE, recipe.make)
            subject = re.split(r"[.=]", recipe.name, maxsplit=1)[0]
            yield made.replace(name=f"{MADE}/{subject}.{made.key[:6]}")


def all_recipes(constants: Constants, ask: Ask, only: Sequence[str] = ()) -> list[Recipe]:
    """Every recipe that the tables give, each thing to do once, sorted by name.

    Shape:   `only`: interfaces (`setsockopt`) or patterns of names (`*tcp4*SO_KEEPALIVE*`); a recipe that fits one is in; empty is all
    Raises:  internal.interface: a table cannot be loaded, or two things to do have one name
    """
    found = unique(recipe for table in tables() for recipe in table.recipes(constants, ask))
    found = unique([*found, *makes(found)])
    names: dict[str, str] = {}
    for recipe in found:
        if recipe.name in names:
            raise InternalError(
                "interface", f"two recipes have the name {recipe.name}", why="a name must tell one from another", do="mend the table"
            )
        names[recipe.name] = recipe.key
    return sorted(chosen(found, only), key=lambda recipe: recipe.name)


def chosen(recipes: Iterable[Recipe], only: Sequence[str]) -> list[Recipe]:
    """The recipes that one of the words asks for by interface or by a pattern of names; all where there is no word."""
    return [r for r in recipes if not only or any(r.interface == word or fnmatch.fnmatchcase(r.name, word) for word in only)]
