"""The `holdfast` command that make writes: the bare interpreter, our source first, an exit without ceremony."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo import tree


def launch(folder: Path, body: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """One run of a launcher whose `holdfast.cli.main.main` has the given body."""
    room = folder / "src" / "holdfast" / "cli"
    room.mkdir(parents=True)
    (room.parent / "__init__.py").touch()
    (room / "__init__.py").touch()
    (room / "main.py").write_text(f"import sys\ndef main():\n    {body}\n")
    command = folder / "holdfast"
    base = Path(sys.executable).resolve()
    subprocess.run([sys.executable, tree.TOP / ".ci" / "launcher.py", base, folder / "src", folder / "site", command], check=True)
    env = os.environ | {"PYTHONPATH": str(folder / "elsewhere")}
    return subprocess.run([command, "one", "two"], env=env, text=True, stdout=stdout, stderr=subprocess.PIPE)


def test_the_interpreter_is_bare(tmp_path: Path) -> None:
    done = launch(tmp_path, "print(sys.flags.isolated, sys.flags.no_site, 'site' in sys.modules, 'encodings' in sys.modules); return 0")
    assert (done.stdout, done.returncode) == ("1 1 False True\n", 0), done.stderr


def test_our_source_is_first_and_the_dependencies_last(tmp_path: Path) -> None:
    done = launch(tmp_path, "print(sys.path[0], sys.path[-1], sys.argv[1:], sep='|'); return 0")
    assert done.stdout == f"{tmp_path}/src|{tmp_path}/site|['one', 'two']\n"


@pytest.mark.parametrize(
    ("body", "code"), [("return 0", 0), ("return 30", 30), ("return None", 0), ("sys.exit(2)", 2), ("raise KeyError", 1)]
)
def test_the_exit_code_arrives(tmp_path: Path, body: str, code: int) -> None:
    assert launch(tmp_path, body).returncode == code


def test_what_was_printed_arrives(tmp_path: Path) -> None:
    done = launch(tmp_path, "sys.stdout.write('x' * 100_000); sys.stderr.write('end'); return 0")
    assert (done.stdout, done.stderr) == ("x" * 100_000, "end")


def test_a_closed_pipe_is_not_a_success(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = launch(tmp_path, "sys.stdout.write('x'); return 0", stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, "BrokenPipeError" in done.stderr) == (120, True)
