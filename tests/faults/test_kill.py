"""Whoever is killed or interrupted while it dumps, at whatever instant, the tree lives on as it was.

The dumper counts the lines that it has executed in the rooms that touch the target, and kills itself at one drawn by lot: an instant
named by progress, not by time. What it was in the middle of in the kernel, and where the target's threads were, is left to chance.

One thing cannot be mended: between the stop of a thread and the moment, some microseconds later, when its registers are set to make an
endless epoll_wait or sigwaitinfo again, our death lets that call return EINTR, as any stop signal does (signal(7)).
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import holdfast
from tests import harness
from tests.faults import victim

if TYPE_CHECKING:
    from pathlib import Path

SEED = int(os.environ.get("HOLDFAST_SEED", "20261123"))
TRIES = 100
DUMPER = """
import os, sys, threading
import holdfast, holdfast.engine.dump
from holdfast.kinds import registry
registry.kinds()
target, image, leave, last = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "leave", int(sys.argv[4])
number = int(sys.argv[5])
rooms = tuple(f"/holdfast/{r}" for r in ("tracee/", "engine/inside.py", "engine/twin.py", "engine/dump.py", "engine/memory.py"))
me, count = os.getpid(), 0
def line(frame, event, arg):
    global count
    if event == "line" and os.getpid() == me:
        count += 1
        if count == last:
            while frame is not None and frame.f_code.co_name != "freeze":
                frame = frame.f_back
            if frame is not None:
                os.write(1, b"freezing")
            os.kill(me, number)
    return line
def trace(frame, event, arg):
    return line if any(r in frame.f_code.co_filename for r in rooms) else None
sys.settrace(trace)
holdfast.dump(target, image, leave_running=leave)
sys.settrace(None)
print(count)
"""


def dumper(target: int, image: Path, mode: str, last: int, number: int = 9) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    args = [sys.executable, "-c", DUMPER, str(target), str(image), mode, str(last), str(number)]
    return subprocess.run(args, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.root
@pytest.mark.tool("gcc")
@pytest.mark.xdist_group("faults")
@pytest.mark.parametrize(("mode", "size"), [("leave", 0), ("leave", 24 << 20), ("end", 0), ("end", 24 << 20)])
def test_a_dumper_killed_at_any_line_leaves_the_tree_as_it_was(tmp_path: Path, mode: str, size: int) -> None:
    lots = random.Random(f"{SEED} {mode} {size}")
    target = victim.Victim(tmp_path, size)
    try:
        whole = dumper(target.pid, tmp_path / "whole", "leave", -1)
        assert whole.returncode == 0, whole.stderr
        # a dump that ends the tree executes less; it is not to get so far here
        lines = int(whole.stdout) * (10 if mode == "leave" else 7) // 10
        for i in range(TRIES // 4):
            last = lots.randrange(1, lines)
            before, there, ended = victim.look(target.pids), victim.processes(), target.ended
            done = dumper(target.pid, tmp_path / "image", mode, last)
            victim.wait_for_guards(there)
            if done.returncode == 0 and mode == "leave":
                (tmp_path / "image").rename(tmp_path / f"whole.{i}")  # it was quicker this time
            else:
                assert done.returncode == -9, (last, done.stderr)
            where = f"HOLDFAST_SEED={SEED}: line {last} of {lines}"
            target.advance()
            assert victim.changes(before, victim.look(target.pids)) == [], where
            assert victim.strangers(there, target.pid) == [], where
            assert target.errors[0] == 0, (where, target.errors)
            assert target.ended == ended or done.stdout == "freezing", (where, target.ended)
            assert not (tmp_path / "image").exists(), where
        holdfast.dump(target.pid, tmp_path / "last", leave_running=True)
        assert target.end() == victim.SAID
    finally:
        target.kill()


@pytest.mark.root
@pytest.mark.tool("gcc")
@pytest.mark.xdist_group("faults")
@pytest.mark.parametrize("number", [2, 15], ids=["interrupt", "terminate"])
@pytest.mark.parametrize(("mode", "size"), [("leave", 0), ("leave", 24 << 20), ("end", 0), ("end", 24 << 20)])
def test_a_dumper_interrupted_at_any_line_leaves_the_tree_as_it_was(tmp_path: Path, mode: str, size: int, number: int) -> None:
    lots = random.Random(f"{SEED} {mode} {size} {number}")
    target = victim.Victim(tmp_path, size)
    try:
        whole = dumper(target.pid, tmp_path / "whole", "leave", -1)
        assert whole.returncode == 0, whole.stderr
        lines = int(whole.stdout) * (10 if mode == "leave" else 7) // 10
        for i in range(TRIES // 20):
            last = lots.randrange(1, lines)
            before, there = victim.look(target.pids), victim.processes()
            done = dumper(target.pid, tmp_path / "image", mode, last, number)
            where = f"HOLDFAST_SEED={SEED}: line {last} of {lines}: {done.stderr}"
            if (tmp_path / "image").exists():
                # it had nothing more to do than to say so
                assert holdfast.verify(tmp_path / "image").verdict == "OK", where
                (tmp_path / "image").rename(tmp_path / f"whole.{i}")
            assert done.returncode in ((-number, 0) if mode == "leave" else (-number,)), where
            victim.wait_for_guards(there)
            target.advance()
            assert victim.changes(before, victim.look(target.pids)) == [], where
            assert victim.strangers(there, target.pid) == [], where
            assert target.errors[0] == 0, (where, target.errors)
            assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == [], where
        holdfast.dump(target.pid, tmp_path / "last", leave_running=True)
        assert target.end() == victim.SAID
    finally:
        target.kill()


RAISES = """
import os, sys
import holdfast
from holdfast.tracee import inject
real, calls = inject.Hand._map, []
def mapped(self, size, at):
    got = real(self, size, at)
    calls.append(got)
    if len(calls) == 2:  # the limits are out of the way now, and the area is there
        os.kill(os.getpid(), 9)
    return got
inject.Hand._map = mapped
holdfast.dump(int(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.root
@pytest.mark.xdist_group("faults")
def test_a_dumper_killed_while_limits_are_raised_leaves_them_as_they_were(tmp_path: Path) -> None:
    source = """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (4096, -1))
        resource.setrlimit(resource.RLIMIT_DATA, (8192, -1))
        pause()
        """
    subject = harness.start(tmp_path, source, "python")
    try:
        before, maps, there = [resource.prlimit(subject.pid, n) for n in range(16)], _maps(subject.pid), victim.processes()
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        args = [sys.executable, "-c", RAISES, str(subject.pid), str(tmp_path / "image")]
        done = subprocess.run(args, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == -9, done.stderr
        victim.wait_for_guards(there)
        assert before == [resource.prlimit(subject.pid, n) for n in range(16)]
        assert _maps(subject.pid) == maps
        subject.go()
        subject.end()
    finally:
        subject.kill()


def _maps(pid: int) -> bytes:
    with open(f"/proc/{pid}/maps", "rb") as f:
        return f.read()
