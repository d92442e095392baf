"""Commit subjects have one form, so that the log reads as an index by place."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.repo import tree

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = tree.TOP / ".ci" / "check-commits"

pytestmark = pytest.mark.tool("git")


def test_every_subject_of_this_branch_has_the_form() -> None:
    if not (tree.TOP / ".git").exists():
        pytest.skip("machine cannot: this copy has no history; clone it: git clone")
    done = subprocess.run([SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ("kinds/fd: carry the count of an eventfd", 0),
        (".ci, docs: list the packages", 0),
        ("kernel/btf: BTF of modules", 0),
        ("carry the count of an eventfd", 1),
        ("kinds/fd: Carry the count", 1),
        ("kinds/fd: carry the count.", 1),
        ("kinds fd: carry the count", 1),
        ("kinds/fd: " + "x" * 120, 1),
    ],
)
def test_the_script_tells_good_from_bad(tmp_path: Path, subject: str, code: int) -> None:
    def git(*args: str) -> None:
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *args], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / ".ci").mkdir()
    script = tmp_path / ".ci" / "check-commits"
    script.write_bytes(SCRIPT.read_bytes())
    script.chmod(0o755)
    git("commit", "-q", "--allow-empty", "-m", subject)
    assert subprocess.run([script], capture_output=True).returncode == code
