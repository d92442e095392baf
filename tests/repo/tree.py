"""The files of this checkout and the rooms of the package, as the repo tests look at them."""

from __future__ import annotations

import ast
import configparser
import functools
import os
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SRC = TOP / "src" / "holdfast"
# without git: what .gitignore names, by folder
BUILT = {".git", ".venv", ".venv.boot", ".cache", "__pycache__", "build", "dist"}


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that is tracked, or would be if added, sorted; without git every file that is not built."""
    try:
        # safe.directory: a copy of the checkout may belong to another user
        listed = subprocess.run(
            ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=TOP, capture_output=True, check=True,
        ).stdout.split(b"\0")  # fmt: skip
        found = {TOP / os.fsdecode(name) for name in listed if name}
    except (FileNotFoundError, subprocess.CalledProcessError):
        found = set()
        for folder, folders, names in os.walk(TOP):
            folders[:] = [f for f in folders if f not in BUILT and not f.endswith((".egg-info", "_cache"))]
            found |= {Path(folder, n) for n in names}
    return tuple(sorted(p for p in found if p.is_file() and not p.is_symlink()))


def python(*rooms: str) -> list[Path]:
    """The Python files below the named folders of the checkout."""
    return [p for p in files() if p.suffix == ".py" and p.relative_to(TOP).parts[0] in rooms]


@functools.cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of one file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name(path: Path) -> str:
    """A file's path inside the checkout."""
    return str(path.relative_to(TOP))


def module(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def rooms() -> set[str]:
    """The names that the import contract gives a place."""
    contract = configparser.ConfigParser()
    contract.read(TOP / "importlinter.ini")
    return set(contract["importlinter:contract:rooms"]["layers"].replace("(", " ").replace(")", " ").replace("|", " ").split())
