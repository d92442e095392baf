"""What a dump or a restore imports: start-up is part of its cost, and one import of typing costs more than a freeze."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo import tree

# each costs 1 to 10 ms, alone or by what it pulls in
COSTLY = frozenset(
    "asyncio cbor2 click collections.abc contextlib dataclasses enum functools hypothesis importlib.metadata inspect json logging pathlib "
    "pickle platform pyroute2 re rich shutil signal socket subprocess tempfile threading traceback typing zstandard".split()
)
# the rooms and modules on the path of a dump and a restore
HOT = (
    "errors", "model", "prog", "tracee", "image", "kinds", "engine",
    "kernel.procfs", "kernel.probe", "kernel.source", "kernel.uapi",
    "cli.main", "cli.bundle", "cli.arguments", "cli.output", "cli.targets", "cli.dump", "cli.restore", "cli.run", "cli.foreground",
    "api",
)  # fmt: skip
# module -> what it may import all the same, with the reason beside it
ALLOWED: dict[str, frozenset[str]] = {
    # read the system's headers for tests and tools; were a hot module to import one, that module's own test would fail
    "holdfast.kernel.uapi.defines": COSTLY,
    # reproducers of the hunt are read by it alone; the same holds of whoever would import it on the way of a dump
    "holdfast.prog.text": COSTLY,
}


def hot_modules() -> list[str]:
    """Dotted names of all modules in the hot rooms."""
    names = [tree.module(p) for p in tree.python("src")]
    return [n for n in names if any(n == f"holdfast.{room}" or n.startswith(f"holdfast.{room}.") for room in HOT)]


def imported_by(statement: str) -> set[str]:
    """The modules that a statement adds to those of a bare interpreter."""
    site = next(p for p in sys.path if p.endswith("site-packages"))
    program = (
        f"import sys; sys.path[:0] = [{str(tree.SRC.parent)!r}]; sys.path.append({site!r}); before = set(sys.modules)\n"
        f"{statement}\nprint(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([Path(sys.executable).resolve(), "-IS", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("module", hot_modules())
def test_hot_module_imports_nothing_costly(module: str) -> None:
    assert imported_by(f"import {module}") & (COSTLY - ALLOWED.get(module, frozenset())) == set()


def test_a_costly_import_is_seen() -> None:
    assert {"typing", "re", "functools"} <= imported_by("import typing")
