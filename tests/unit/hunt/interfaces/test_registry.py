"""hunt.interfaces.registry: every table is found, and none is lost quietly."""

from __future__ import annotations

from types import ModuleType

import pytest

from holdfast.errors import InternalError
from holdfast.hunt.interfaces import harvest, registry
from holdfast.hunt.recipe import Recipe
from holdfast.prog.text import Line

NOTHING = harvest.Constants([])


def one(name: str, interface: str = "prctl", number: int = 0) -> Recipe:
    return Recipe(name, interface, (Line("prctl", (number,)),))


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    given: list[Recipe] = []
    module = ModuleType("made_up")
    module.recipes = lambda constants, ask: iter(given)  # type: ignore[attr-defined]
    monkeypatch.setattr(registry, "tables", lambda: [module])
    return given


def test_recipes_are_sorted_and_each_is_there_once(table: list[Recipe]) -> None:
    table += [one("prctl/b", number=2), one("prctl/a", number=1), one("prctl/z", number=2)]
    assert [r.name for r in registry.all_recipes(NOTHING, lambda lines, get: None)] == ["prctl/a", "prctl/b"]


def test_each_make_is_tried_once_without_a_state(table: list[Recipe]) -> None:
    make, other = (Line("socket", (2, 1, 0)),), (Line("socket", (2, 2, 0)),)
    table += [one(f"setsockopt/{name}=1", number=n).replace(make=lines, state=(Line("getpid", (n,)),)) for n, (name, lines) in enumerate([
        ("udp.B", other), ("tcp.B", make), ("tcp.A", make), ("nothing.A", ()),
    ])]  # fmt: skip
    found = registry.all_recipes(NOTHING, lambda lines, get: None, ["made"])
    assert [r.name.rpartition(".")[0] for r in found] == ["made/setsockopt/tcp", "made/setsockopt/udp"]
    assert [(r.make, r.state) for r in found] == [(make, ()), (other, ())]


def test_two_things_under_one_name_are_fatal(table: list[Recipe]) -> None:
    table += [one("prctl/a", number=1), one("prctl/a", number=2)]
    with pytest.raises(InternalError, match="two recipes have the name prctl/a"):
        registry.all_recipes(NOTHING, lambda lines, get: None)


def test_some_are_chosen_by_interface_or_pattern(table: list[Recipe]) -> None:
    table += [one("prctl/a", number=1), one("fcntl/b", "fcntl", 2), one("fcntl/c", "fcntl", 3)]
    assert [r.name for r in registry.all_recipes(NOTHING, lambda lines, get: None, ["prctl", "*/c"])] == ["fcntl/c", "prctl/a"]


def test_a_table_that_cannot_be_loaded_is_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    for broken in ("holdfast.hunt.interfaces.of_tomorrow", "holdfast.hunt.interfaces.values"):
        monkeypatch.setattr(registry, "modules", lambda broken=broken: [broken])
        with pytest.raises(InternalError, match=f"{broken} cannot be loaded"):
            registry.tables()
