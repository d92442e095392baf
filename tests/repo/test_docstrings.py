"""Public names have docstrings, and the labels in them are the known ones, in order."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.repo import tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LABELS = ("Shape", "Unit", "Needs", "Raises", "Source")
KIND_LABELS = ("Carries", "Loses", "Sources")
LABEL = re.compile(r"^([A-Z][a-z]+):(?:\s|$)", re.MULTILINE)
# a kind's verbs are the contract's: kinds/contract.py says once what each gives
VERBS = {"detect", "refuse", "dump", "ready", "restore", "generate", "compare"}

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(node: Documented, where: str) -> Iterator[tuple[str, Documented]]:
    """A module's own public classes, functions and methods, each with a dotted name; not what is nested in functions."""
    yield where, node
    for child in node.body:
        # an overload or a property's setter is described by the first definition
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            if not any("overload" in ast.unparse(d) or ast.unparse(d).endswith(".setter") for d in child.decorator_list):
                yield f"{where}.{child.name}", child
        elif isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from public(child, f"{where}.{child.name}")


@pytest.mark.parametrize("path", tree.python("src"), ids=tree.name)
def test_public_names_say_what_one_gets(path: Path) -> None:
    kind_file = path.is_relative_to(tree.SRC / "kinds") and path.parent != tree.SRC / "kinds"
    wrong = []
    for where, node in public(tree.parse(path), tree.module(path)):
        text = ast.get_docstring(node)
        if text is None:
            if not (kind_file and getattr(node, "name", "") in VERBS):
                wrong.append(f"{where}: no docstring")
            continue
        first, _, rest = text.partition("\n\n")
        if not first.rstrip().endswith((".", ":", "?", "!")):
            wrong.append(f"{where}: the first sentence has no end")
        if isinstance(node, ast.Module) and not kind_file:
            continue  # a module may open with an essay
        known = KIND_LABELS if isinstance(node, ast.Module) else LABELS
        found = LABEL.findall(rest)
        wrong += [f"{where}: {label}: is no label; known are {', '.join(known)}" for label in found if label not in known]
        ranks = [known.index(label) for label in found if label in known]
        if ranks != sorted(ranks):
            wrong.append(f"{where}: labels stand in the order {', '.join(known)}")
    assert wrong == []


def kind_files() -> list[Path]:
    """The files that hold one kind each."""
    return [p for p in tree.python("src") if p.relative_to(tree.SRC).parts[0] == "kinds" and len(p.relative_to(tree.SRC).parts) == 3]


def test_every_kind_says_what_it_carries_and_loses() -> None:
    silent = []
    for path in kind_files():
        if path.name == "__init__.py":
            continue
        text = ast.get_docstring(tree.parse(path)) or ""
        silent += [f"{tree.name(path)}: no {label}:" for label in KIND_LABELS if not re.search(rf"^{label}:", text, re.MULTILINE)]
    assert silent == []
