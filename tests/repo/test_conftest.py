"""The suite's own machinery: forced skips fail, missing tools skip by name, and no live test leaves a process behind."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.repo import tree

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, text: str, *args: str, force: bool = False, place: str = "test_sample.py") -> tuple[int, str]:
    """Exit code and output of one pytest run over a small file beside a copy of our conftest."""
    (folder / "conftest.py").write_bytes((tree.TOP / "tests" / "conftest.py").read_bytes())
    path = folder / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    env = {k: v for k, v in os.environ.items() if k not in {"HOLDFAST_FORCE", "PYTEST_ADDOPTS"} and not k.startswith("PYTEST_XDIST")}
    if force:
        env["HOLDFAST_FORCE"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--strict-markers", "-rs", *args, str(path)],
        cwd=folder, env=env, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


SKIPS = """
import pytest
def test_plain(): pytest.skip("not today")
def test_excused(): pytest.skip("machine cannot: no such CPU")
@pytest.mark.tool("no-such-program", "no-such-package")
def test_tool(): pass
"""


def test_a_skip_is_a_skip_without_force(tmp_path: Path) -> None:
    code, output = run(tmp_path, SKIPS)
    assert (code, "3 skipped" in output) == (0, True), output


def test_a_missing_tool_is_named_with_the_commands_that_help(tmp_path: Path) -> None:
    output = run(tmp_path, SKIPS)[1]
    wanted = "no-such-program is not installed: apt-get install no-such-package && make test ARGS='test_sample.py::test_tool'"
    assert wanted in output.replace("\n", " "), output


def test_force_fails_every_skip_but_what_the_machine_cannot(tmp_path: Path) -> None:
    code, output = run(tmp_path, SKIPS, force=True)
    assert (code, "1 failed, 1 skipped, 1 error" in output) == (1, True), output


def test_force_fails_the_skip_of_a_module(tmp_path: Path) -> None:
    code, output = run(tmp_path, 'import pytest\npytest.skip("not today", allow_module_level=True)\n', force=True)
    assert (code != 0, "HOLDFAST_FORCE=1 wants it run: not today" in output) == (True, True), output


def test_force_leaves_an_expected_failure_alone(tmp_path: Path) -> None:
    code, output = run(tmp_path, "import pytest\n@pytest.mark.xfail\ndef test_x(): assert False\n", force=True)
    assert (code, "1 xfailed" in output) == (0, True), output


@pytest.mark.skipif(os.geteuid() == 0, reason="machine cannot: root needs no root; .ci/run runs this as an ordinary user")
def test_root_is_asked_for_by_name(tmp_path: Path) -> None:
    output = run(tmp_path, "import pytest\n@pytest.mark.root\ndef test_r(): pass\n")[1]
    assert "needs root: sudo make test ARGS='test_sample.py::test_r'" in output.replace("\n", " "), output


LEAVES = """
import os, subprocess
def test_leaves():
    read, write = os.pipe()
    # its parent ends, so that it is nobody's child; it writes a line when it runs
    subprocess.run(["sh", "-c", "(echo; exec sleep 1000) &"], stdout=write, check=True)
    os.read(read, 1)
def test_cleans_up():
    child = subprocess.Popen(["sleep", "1000"])
    child.kill()
    child.wait()
"""


def ended(pid: int) -> bool:
    """Whether a killed process, no child of ours, ends; one that nobody reaps has ended too."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return select.select([fd], [], [], 30)[0] == [fd]
    finally:
        os.close(fd)


def test_a_live_test_that_leaves_a_process_fails_and_the_process_ends(tmp_path: Path) -> None:
    code, output = run(tmp_path, LEAVES, place="live/test_sample.py")
    assert (code, "2 passed, 1 error" in output) == (1, True), output
    left = re.search(r"left running: (\d+) \((.*)\)$", output, re.MULTILINE)
    assert left is not None, output
    assert "sleep 1000" in left[2]
    assert ended(int(left[1]))


def test_outside_the_live_rooms_nothing_is_watched(tmp_path: Path) -> None:
    code, output = run(tmp_path, "def test_plain(): pass\n")
    assert (code, "1 passed" in output) == (0, True), output
