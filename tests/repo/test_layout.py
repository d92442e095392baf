"""Where code lives: rooms, names, sizes, mirrored tests, imports inside functions."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import pytest

from tests.repo import tree

if TYPE_CHECKING:
    from pathlib import Path

HOMELESS = {"util", "utils", "helper", "helpers", "common", "misc", "base", "manager", "managers"}
# tables: data in rows, no logic; the limit of 800 lines is not for them
TABLES = ("src/holdfast/kernel/uapi/", "src/holdfast/hunt/interfaces/", "src/holdfast/tags/facts/")
LIMIT, SMELL = 800, 400


def test_imports_keep_to_the_layers() -> None:
    lint = os.path.join(os.path.dirname(sys.executable), "lint-imports")
    done = subprocess.run([lint, "--no-cache", "--config", "importlinter.ini"], cwd=tree.TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_every_entry_of_the_package_is_a_room() -> None:
    entries = {p.relative_to(tree.SRC).parts[0].removesuffix(".py") for p in tree.python("src")} - {"__init__", "__main__"}
    assert entries - tree.rooms() == set()


def test_every_folder_of_the_package_has_an_init_that_is_only_a_docstring() -> None:
    folders = {p.parent for p in tree.python("src")} - {tree.SRC}
    wrong = []
    for folder in sorted(folders):
        init = folder / "__init__.py"
        if not init.is_file():
            wrong.append(f"{tree.name(folder)} has no __init__.py")
        elif ast.get_docstring(tree.parse(init)) is None or len(tree.parse(init).body) != 1:
            wrong.append(f"{tree.name(init)} is not only a docstring")
    assert wrong == []


def test_no_name_without_a_meaning() -> None:
    words = [(p, part.removesuffix(".py")) for p in tree.python("src", "tests", "bench", "demo") for part in p.relative_to(tree.TOP).parts]
    assert [tree.name(p) for p, word in words if word in HOMELESS] == []


@pytest.mark.parametrize("path", tree.python("src", "tests", "bench", "demo", "docs"), ids=tree.name)
def test_file_fits_in_800_lines(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if tree.name(path).startswith(TABLES):
        return
    if lines > SMELL:
        warnings.warn(f"{tree.name(path)} has {lines} lines, over 400 lines", UserWarning, stacklevel=1)
    assert lines <= LIMIT


def test_every_unit_test_mirrors_a_source_file() -> None:
    unit = tree.TOP / "tests" / "unit"
    orphans = []
    for path in tree.python("tests"):
        if not path.is_relative_to(unit) or not path.name.startswith("test_"):
            continue
        mirrored = tree.SRC / path.relative_to(unit).parent / path.name.removeprefix("test_")
        if not mirrored.is_file():
            orphans.append(f"{tree.name(path)} has no {tree.name(mirrored)}")
    assert orphans == []


def test_an_import_inside_a_function_says_why() -> None:
    silent = []
    for path in tree.python("src"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for function in ast.walk(tree.parse(path)):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            block_end = -1
            for node in ast.walk(function):
                if not isinstance(node, ast.Import | ast.ImportFrom):
                    continue
                here, above = lines[node.lineno - 1], lines[node.lineno - 2].strip()
                # one comment serves the imports that follow it without a gap
                if "#" in here or above.startswith("#") or node.lineno - 1 == block_end:
                    block_end = node.end_lineno or node.lineno
                else:
                    silent.append(f"{tree.name(path)}:{node.lineno}")
    assert sorted(set(silent)) == []


def test_no_import_of_everything() -> None:
    stars = [
        f"{tree.name(p)}:{node.lineno}"
        for p in tree.python("src", "tests", "bench", "demo")
        for node in ast.walk(tree.parse(p))
        if isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names)
    ]
    assert stars == []


# split, so that this file does not hold what it looks for
REGISTRIES = tuple(
    a + b for a, b in (("pypi", ".org"), ("python", "hosted.org"), ("pypi.python", ".org"), ("npmjs", ".org"), ("crates", ".io"))
)
MACHINE = re.compile(rb"(?<![\w./\-$}])/(?:" + rb"|".join((rb"work", rb"root", rb"home/[a-z]\w*", rb"Users/\w+")) + rb")/[\w.]")


def test_no_file_names_a_package_registry() -> None:
    named = [f"{tree.name(p)}: {host}" for p in tree.files() for host in REGISTRIES if host.encode() in p.read_bytes()]
    assert named == []


def test_no_file_holds_a_path_of_one_machine() -> None:
    here = os.fsencode(tree.TOP) + b"/"
    held = []
    for path in tree.files():
        data = path.read_bytes()
        if here in data:
            held.append(f"{tree.name(path)}: {os.fsdecode(here)}")
        held += [f"{tree.name(path)}: {m.group().decode()}" for m in MACHINE.finditer(data)]
    assert held == []
