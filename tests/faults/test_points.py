"""Whatever fails during a dump, or whoever kills it, the tree lives on as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast.engine.faults import POINTS
from tests.faults import victim

if TYPE_CHECKING:
    from pathlib import Path

DUMP = [p for p in POINTS if p.startswith("dump.")]
BIG = 24 << 20  # above engine.memory.SMALL: a dump that leaves it running makes twins
# what dumps in a child: pid, image, leave running
DUMPER = """
import sys, holdfast
try:
    holdfast.dump(int(sys.argv[1]), sys.argv[2], leave_running=sys.argv[3] == "leave")
except holdfast.HoldfastError as e:
    print(e.code if hasattr(e, "code") else e, file=sys.stderr)
    sys.exit(3)
"""
CODES = {"raise": 3, "kill": -9, "interrupt": -2, "terminate": -15}
NOT_WHEN = {"leave": set(), "end": {"dump.twin", "dump.left", "dump.released"}}


@pytest.mark.root
@pytest.mark.tool("gcc")
@pytest.mark.xdist_group("faults")
@pytest.mark.parametrize("size", [0, BIG], ids=["small", "big"])
@pytest.mark.parametrize("mode", ["leave", "end"])
@pytest.mark.parametrize("how", CODES)
def test_a_dump_that_fails_leaves_the_tree_as_it_was(tmp_path: Path, how: str, mode: str, size: int) -> None:
    target = victim.Victim(tmp_path, size)
    try:
        for point in DUMP:
            if point in NOT_WHEN[mode] or (point == "dump.twin" and not size):
                continue
            _fail_at(point, how, mode, target, tmp_path)
        # and after all that it can still be dumped
        holdfast.dump(target.pid, tmp_path / "last", leave_running=True)
        assert target.end() == victim.SAID
    finally:
        target.kill()


def _fail_at(point: str, how: str, mode: str, target: victim.Victim, folder: Path) -> None:
    before, there = victim.look(target.pids), victim.processes()
    image = folder / f"image-{point}"
    tag = f"{point}:{how}"
    env = {**os.environ, "HOLDFAST_FAULT": tag, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", DUMPER, str(target.pid), str(image), mode], env=env, capture_output=True, timeout=60)
    assert done.returncode == CODES[how], (point, done.stderr.decode())
    victim.wait_for_guards(there)
    target.advance()
    assert victim.changes(before, victim.look(target.pids)) == [], point
    assert victim.strangers(there, target.pid) == [], point
    assert target.errors[0] == 0, (point, target.errors)
    assert target.ended == 0, point
    left = sorted(p.name for p in folder.iterdir() if p.name.startswith(image.name))
    if point == "dump.sealed":
        # the image had its name already: it is whole
        assert left == [image.name]
        assert holdfast.verify(image).verdict == "OK"
    else:
        assert left == ([f"{image.name}.partial"] if how == "kill" else []), point
