"""Whatever fails during a restore, or whoever kills it, no process and no file is left, and the image can still be restored."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast.engine.faults import POINTS
from tests import harness
from tests.faults import victim

if TYPE_CHECKING:
    from pathlib import Path

RESTORER = """
import sys, holdfast
try:
    holdfast.restore(sys.argv[1])
except holdfast.HoldfastError as e:
    print(e, file=sys.stderr)
    sys.exit(3)
"""
# threads, a child, a file without a name, one that is only mapped, a bound unix socket whose name is gone
SOURCE = """
import mmap, threading
lock, done = threading.Lock(), []
def work():
    with lock:
        done.append(1)
lock.acquire()
workers = [threading.Thread(target=work) for _ in range(3)]
for w in workers:
    w.start()
gone = open("gone", "w+b")
gone.write(b"contents")
gone.flush()
os.unlink("gone")
mapped = open("mapped", "w+b")
mapped.write(b"more" * 1024)
mapped.flush()
os.unlink("mapped")
area = mmap.mmap(mapped.fileno(), 4096)
mapped.close()
served = socket.socket(socket.AF_UNIX)
served.bind(os.path.abspath("served"))
served.listen()
os.unlink("served")
reader, writer = os.pipe()
child = os.fork()
if not child:
    os.close(writer)
    os._exit(len(os.read(reader, 10)))
os.close(reader)
pause()
lock.release()
for w in workers:
    w.join()
os.write(writer, b"12345")
gone.seek(0)
say([gone.read().decode(), area[:4].decode(), len(done), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])])
say(sorted(os.listdir(".")))
"""


@pytest.mark.root
@pytest.mark.xdist_group("faults")
@pytest.mark.parametrize("how", ["raise", "kill"])
@pytest.mark.parametrize("point", [p for p in POINTS if p.startswith("restore.")])
def test_a_restore_that_fails_leaves_nothing(tmp_path: Path, point: str, how: str) -> None:
    subject = harness.start(tmp_path, SOURCE)
    image = tmp_path / "image"
    try:
        holdfast.dump(subject.pid, image)
        subject.process.wait()
        files = sorted(str(p) for p in tmp_path.rglob("*"))
        there = victim.processes()
        env = {**os.environ, "HOLDFAST_FAULT": f"{point}:{how}", "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", RESTORER, str(image)], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == (-9 if how == "kill" else 3), done.stderr
        assert until_gone(there, f"{env['HOLDFAST_TEST_TAG']}".encode()) == []
        assert sorted(str(p) for p in tmp_path.rglob("*")) == files
        harness.restored(image, subject)
        assert subject.said == [["contents", "more", 3, 5], ["log", "ready", "said"]] or subject.said[0] == ["contents", "more", 3, 5]
    finally:
        subject.kill()


def until_gone(before: set[int], tag: bytes) -> list[str]:
    """Processes that a restore left: stubs and members of the tree; what is being killed has a moment to go."""
    deadline = time.monotonic() + 5
    left: list[str] = []
    while time.monotonic() < deadline:
        left = []
        for pid in victim.processes() - before:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read()
                with open(f"/proc/{pid}/environ", "rb") as f:
                    ours = tag in f.read()
                with open(f"/proc/{pid}/stat", "rb") as f:
                    state = f.read().rpartition(b")")[2].split()[0]
            except OSError:
                continue
            if state not in b"ZX" and (ours or words.startswith(b"holdfast-")):
                left.append(f"{pid} {words!r}")
        if not left:
            return []
        os.sched_yield()
    return left
