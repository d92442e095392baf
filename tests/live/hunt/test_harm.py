"""A campaign leaves the machine as it was: its sysctls, mounts, keys, IPC objects, clocks, names, groups, and the processes beside it.

HOLDFAST_FULL_HUNT=1 runs every recipe of every table; without it some of each table are run.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.hunt import campaign
from holdfast.hunt.deny import denied
from holdfast.hunt.store import Store
from holdfast.hunt.worker import crew_for
from holdfast.kernel.uapi.syscalls import X86_64
from tests.harness import PATIENCE_S
from tests.live.hunt import machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.hunt.recipe import Recipe

OF_EACH = 3
FULL = os.environ.get("HOLDFAST_FULL_HUNT") == "1"

pytestmark = pytest.mark.root


class Bystander:
    """A process that has nothing to do with it."""

    def __init__(self, user: int) -> None:
        self.process = subprocess.Popen(["sleep", "infinity"], user=user, start_new_session=True)

    def state(self) -> dict[str, Any]:
        """What others could have changed of it."""
        pid = self.process.pid
        status = machine.text(f"/proc/{pid}/status").splitlines()
        kept = (
            "Name",
            "Umask",
            "Uid",
            "Gid",
            "NStgid",
            "SigPnd",
            "ShdPnd",
            "SigBlk",
            "SigIgn",
            "CapEff",
            "Seccomp",
            "Cpus_allowed",
        )
        return {
            "alive": self.process.poll() is None,
            "status": [line for line in status if line.startswith(kept)],
            "limits": machine.text(f"/proc/{pid}/limits"),
            "nice": os.getpriority(os.PRIO_PROCESS, pid),
            "scheduler": (os.sched_getscheduler(pid), sorted(os.sched_getaffinity(pid))),
            "oom": machine.text(f"/proc/{pid}/oom_score_adj"),
            "namespaces": [os.readlink(f"/proc/{pid}/ns/{n}") for n in ("mnt", "net", "ipc", "uts", "user", "cgroup")],
        }


@pytest.fixture
def bystanders() -> Iterator[list[Bystander]]:
    made = [Bystander(0), Bystander(65534)]
    yield made
    for one in made:
        one.process.kill()
        one.process.wait()


def sample(recipes: list[Recipe]) -> list[Recipe]:
    """Some of each interface: the first, the last, and what lies between them evenly."""
    if FULL:
        return recipes
    out = []
    for _, group in groupby(sorted(recipes, key=lambda r: r.interface), key=lambda r: r.interface):
        of = list(group)
        out += [of[n * (len(of) - 1) // max(1, OF_EACH - 1)] for n in range(min(OF_EACH, len(of)))]
    return list({r.key: r for r in out}.values())


def settled(before: dict[str, Any]) -> dict[str, Any]:
    """What stays changed: the kernel collects keys and groups of the dead a little later."""
    until = time.monotonic() + PATIENCE_S
    while (left := machine.changed(before, machine.look())) and time.monotonic() < until:
        os.sched_yield()
    return left


@pytest.mark.timeout(3600 if FULL else 300)
def test_a_campaign_leaves_the_machine_as_it_was(tmp_path: Path, bystanders: list[Bystander]) -> None:
    chosen = [r for r in sample(campaign.listed(crew_for(("native",)), ())) if not denied(r)]
    assert len(chosen) > 100
    (tmp_path / "recipes").write_text("\n".join(r.text() for r in chosen))
    before, wall, beside = machine.look(), machine.wall(), [b.state() for b in bystanders]
    words = ["--replay", str(tmp_path / "recipes"), "--store", str(tmp_path / "s.db"), "--json", "--shrink", "none"]
    done = subprocess.run([sys.executable, "-m", "holdfast", "hunt", *words], capture_output=True, text=True)
    assert done.returncode in (0, 60), done.stderr[-3000:]
    assert settled(before) == {}
    assert abs(machine.wall() - wall) < machine.CLOCK_STEP_S
    assert [b.state() for b in bystanders] == beside
    with Store(str(tmp_path / "s.db")) as store:
        rounds = list(store.rounds(1))
    assert len(rounds) == len(chosen)
    assert sum(r.verdict != "unsettable" for r in rounds) > len(chosen) // 3  # it did do something
    assert {r["verdict"] for r in json.loads(done.stdout)["results"]} <= {r.verdict for r in rounds}


def test_the_comparison_sees_what_is_left(tmp_path: Path) -> None:
    before = machine.look()
    libc = ctypes.CDLL(None, use_errno=True)
    segment = libc.shmget(0, 4096, 0o1600)
    key = libc.syscall(ctypes.c_long(X86_64["add_key"]), b"user", b"hunt-harm", b"x", 1, ctypes.c_long(machine.SPEC_USER))
    path = f"/dev/shm/holdfast-harm-{os.getpid()}"
    with open(path, "wb"):
        pass
    try:
        found = machine.changed(before, machine.look())
        assert {"sysv", "/dev/shm"} <= set(found)
        assert os.path.basename(path) in found["/dev/shm"][1]  # other tests may make names there too
        assert key < 0 or "keyrings" in found
    finally:
        os.unlink(path)
        libc.shmctl(segment, 0, None)
        libc.syscall(ctypes.c_long(X86_64["keyctl"]), 9, ctypes.c_long(key), ctypes.c_long(machine.SPEC_USER), 0, 0)
    assert settled(before) == {}
