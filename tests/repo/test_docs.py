"""The generated pages are those that the source gives now, and what docs/commands.md shows is true."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.repo import tree

if TYPE_CHECKING:
    from types import ModuleType

PAGES = ("kinds.md", "errors.md", "tags.md")


def generator() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", tree.TOP / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_fresh(name: str) -> None:
    assert (tree.TOP / "docs" / name).read_text(encoding="utf-8") == generator().pages()[name], "make docs"


def test_every_generated_page_is_held_fresh() -> None:
    assert tuple(generator().pages()) == PAGES


def test_a_code_with_parts_is_shown_with_dots_for_them() -> None:
    made = ast.parse('f"pid {pid} | {x}" + " <b>"', mode="eval").body
    assert generator().words(made) == "pid … \\| … &lt;b>"


def examples() -> list[str]:
    """The lines of docs/commands.md that begin with `$ holdfast`."""
    text = (tree.TOP / "docs" / "commands.md").read_text(encoding="utf-8")
    return re.findall(r"^\s*\$ (holdfast [^#\n]*)", text, re.MULTILINE)


def run(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One run of the command from this checkout."""
    return subprocess.run(
        [sys.executable, "-m", "holdfast", *words],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(tree.SRC.parent), **(env or {})},
    )  # fmt: skip


def test_commands_page_names_every_command() -> None:
    text = (tree.TOP / "docs" / "commands.md").read_text(encoding="utf-8")
    here = tree.SRC / "cli"
    commands = {m[1] for p in here.glob("*.py") if (m := re.match(r'"""holdfast ([a-z-]+): ', p.read_text(encoding="utf-8")))}
    assert sorted(c for c in commands if f"holdfast {c}" not in text) == []


@pytest.mark.parametrize("line", examples())
def test_an_example_uses_options_that_its_command_has(line: str) -> None:
    command, *words = line.removeprefix("holdfast ").split()
    if "--" in words:
        words = words[: words.index("--")]
    shown = run(command, "--help")
    assert shown.returncode == 0, shown.stderr
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", shown.stdout))
    assert [w for w in words if w.startswith("-") and w.partition("=")[0] not in known] == []
