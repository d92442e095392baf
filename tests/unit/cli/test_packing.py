"""Code for a quick start does what it did, and its tracebacks show the same lines."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from holdfast.cli import packing

if TYPE_CHECKING:
    from types import CodeType

SOURCE = '''"""A module."""
from __future__ import annotations
TYPE_CHECKING = False
if TYPE_CHECKING:
    import nothing_of_that_name
limit: int = 3
unset: int
class Row:
    """A row."""
    a: int
    b: str = "x"
def only_said(): "nothing else"
def asks(x: Nowhere, *rest: Nowhere, y: Nowhere = 2) -> Nowhere:
    """Says."""
    local: Nowhere = x
    assert local, "nothing"
    return (

        local +
        1 // (y - 2)
    )
'''


def ran(code: CodeType) -> dict[str, object]:
    """The names that code leaves."""
    space: dict[str, object] = {"__name__": "some"}
    exec(code, space)
    return space


def slim() -> dict[str, object]:
    """The names of SOURCE, compiled for a quick start."""
    tree = ast.fix_missing_locations(packing._Slim().visit(ast.parse(SOURCE)))
    return ran(packing.lines_only(compile(tree, "some.py", "exec", annotations.compiler_flag, dont_inherit=True)))


def test_docstrings_and_annotations_of_arguments_are_left_out() -> None:
    made = slim()
    asks = made["asks"]
    assert (asks.__doc__, asks.__annotations__, made["Row"].__doc__, made.get("__doc__")) == (None, {}, None, None)


def test_annotations_of_classes_and_values_stay() -> None:
    made = slim()
    assert (made["Row"].__annotations__, made["limit"], "unset" in made) == ({"a": "int", "b": "str"}, 3, False)
    assert made["only_said"]() is None  # type: ignore[operator]


def test_assertions_stay() -> None:
    with pytest.raises(AssertionError, match="nothing"):
        slim()["asks"](0)  # type: ignore[operator]


def test_every_instruction_keeps_its_line() -> None:
    whole = compile(SOURCE, "some.py", "exec", annotations.compiler_flag, dont_inherit=True)
    lines = packing.lines_only(whole)

    def pairs(code: object) -> list[object]:
        inner = [pairs(c) for c in code.co_consts if hasattr(c, "co_consts")]  # type: ignore[attr-defined]
        return [[(p[0]) for p in code.co_positions()], *inner]  # type: ignore[attr-defined]

    assert pairs(lines) == pairs(whole)
    assert all(column is None for _, _, column, _ in lines.co_positions())


def test_a_line_far_away_or_above_is_kept() -> None:
    source = "x = [\n" + "\n" * 5000 + "a for a in\n (1,)]\ny = 1\n"
    whole = compile(source, "some.py", "exec")
    assert [p[0] for p in packing.lines_only(whole).co_positions()] == [p[0] for p in whole.co_positions()]


def test_imports_for_type_checkers_and_inside_functions_are_not_followed() -> None:
    source = "from a.b import c, d\nimport e\ntry:\n    import f\nexcept ImportError:\n    f = 1\ndef g():\n    import h\n"
    tree = packing._Slim().visit(ast.parse(source + "if TYPE_CHECKING:\n    import i\n"))
    assert list(packing._imported(tree)) == ["a.b", "a.b.c", "a.b.d", "e", "f"]
