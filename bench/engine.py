"""Dump and restore beside CRIU: the same subject, the same place for images, in turn, in one run; ratios of medians.

CRIU is run at its best: its kernel probe cached (a tmpfs on /run in a mount namespace of the bench), -v0, targets of root, and orphans
reaped at once (the bench adopts them: with another init its restore of a small process took 24 ms instead of 8). Ours is measured through
the Python API in a warm process, and as a command. A row's figure is ours over CRIU's: below 1 is faster.
Ours compares every restored tree with its image before it lets it go; CRIU does not. Rows that say `unverified` leave that out too.
A dump of ours is on the disk when it returns and one of CRIU is in the page cache: on a disk, a row compares with CRIU and an fsync of its
files. Images are in the page cache when they are restored. Every restored subject is checked to run before it counts.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import mmap
import os
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any

from holdfast.engine.dump import dump
from holdfast.engine.restore import restore

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
PR_SET_CHILD_SUBREAPER = 36
NULL = subprocess.DEVNULL
# by how a row's title begins; the first that fits
TARGETS = {
    "small, API": 1.0,
    "small, command": 2.0,
    "pause 2048": 0.05,
    "stop-and-copy 2048 MiB, disk": 0.6,
    "stop-and-copy 2048 MiB, /dev/shm: restore": 0.6,
    "50 processes": 1.0,
    "200 threads": 1.0,
    "1000": 1.0,
}
FILES_TARGET = 10
SOME = {"1000 files": "f", "1000 pipe ends": "p", "1000 sockets": "s", "1000 eventfds": "e"}


class Subject:
    """A running subject and its shared page of figures."""

    def __init__(
        self, program: str, folder: str, mib: int = 0, threads: int = 0, children: int = 0, files: int = 0, kind: str = "e"
    ) -> None:
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, "stat")
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.popen = subprocess.Popen(
            [program, self.path, str(mib), str(threads), str(children), str(files), kind],
            stdin=NULL,
            stdout=NULL,
            stderr=NULL,
            start_new_session=True,
            cwd="/",
        )
        self.pid = self.popen.pid
        while not os.path.exists(self.path) or os.path.getsize(self.path) < 4096:
            self._alive()
        self._fd = os.open(self.path, os.O_RDWR)
        self._page = mmap.mmap(self._fd, 4096)
        while not self._word(0):
            self._alive()

    def _alive(self) -> None:
        if self.popen.poll() is not None:
            raise SystemExit("the subject could not start")
        time.sleep(0.001)

    def _word(self, n: int) -> int:
        return int(struct.unpack_from("<Q", self._page, 8 * n)[0])

    def clear(self) -> None:
        """Forget the longest gap."""
        struct.pack_into("<Q", self._page, 16, 1)
        while self._word(2):
            time.sleep(0.0005)

    def gap_ns(self) -> int:
        """The longest gap since it was cleared."""
        return self._word(1)

    def runs(self) -> None:
        """Wait until its loop turns."""
        self.clear()

    def pids(self) -> list[int]:
        """It and its children."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as f:
            return [self.pid, *[int(p) for p in f.read().split()]]

    def gone(self, pids: list[int]) -> None:
        """Wait until no task has one of these pids any more."""
        if self.popen.returncode is None:
            self.popen.wait()
        deadline = time.monotonic() + 30
        while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
            time.sleep(0 if reaped() else 0.0005)

    def end(self) -> None:
        """Kill it and its children, by pid."""
        try:
            pids = self.pids()
        except OSError:
            pids = [self.pid]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.gone(pids)
        os.close(self._fd)


def synced(image: str) -> None:
    """Wait until an image is on the disk."""
    for name in [*os.listdir(image), "."]:
        fd = os.open(os.path.join(image, name), os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def warm(image: str) -> int:
    """Bring an image into the page cache; how many files it has. What a dump wrote past the cache would be read from the disk otherwise."""
    names = os.listdir(image)
    for name in names:
        with open(os.path.join(image, name), "rb", 0) as file:
            while file.read(1 << 22):
                pass
    return len(names)


def reaped() -> bool:
    """Reap what has ended and is ours by birth or adoption; whether there was anything."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


class Criu:
    """The peer."""

    name = "criu"

    def __init__(self, command: str) -> None:
        self.command = command

    def _run(self, *args: str) -> None:
        done = subprocess.run([self.command, *args, "-v0"], stdin=NULL, stdout=NULL, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise RuntimeError(f"criu {args[0]}: {done.stderr.decode(errors='replace')[-300:]}")

    def dump(self, pid: int, image: str, leave: bool = False) -> None:
        os.mkdir(image)
        self._run("dump", "-t", str(pid), "-D", image, *(["--leave-running"] if leave else []))

    def restore(self, image: str) -> None:
        self._run("restore", "-d", "-D", image)


class Api:
    """Holdfast in this process."""

    def __init__(self, check: bool = True) -> None:
        self.check = check
        self.name = "api" if check else "api, unverified"

    def dump(self, pid: int, image: str, leave: bool = False) -> None:
        dump(pid, image, leave_running=leave)

    def restore(self, image: str) -> None:
        restore(image, check=self.check)


class Command:
    """Holdfast as a command."""

    name = "command"

    def __init__(self, program: str) -> None:
        self.program = program

    def _run(self, *args: str) -> None:
        done = subprocess.run([self.program, *args], stdin=NULL, stdout=NULL, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise RuntimeError(f"holdfast {args[0]}: {done.stderr.decode(errors='replace')[-600:]}")

    def dump(self, pid: int, image: str, leave: bool = False) -> None:
        self._run("dump", str(pid), "-o", image, *(["--leave-running"] if leave else []))

    def restore(self, image: str) -> None:
        self._run("restore", image, "--detach")


Engine = Criu | Api | Command


class Bench:
    """Rows: what was measured, of whom, in ms."""

    def __init__(self, criu: Criu | None, rounds: int, program: str, folder: str, disk: str) -> None:
        self.criu, self.rounds, self.program, self.folder, self.disk = criu, rounds, program, folder, disk
        self.rows: list[dict[str, object]] = []

    def engines(self, *ours: Engine) -> list[Engine]:
        return [*ours, *([self.criu] if self.criu is not None else [])]

    def cycle(self, title: str, place: str, engines: list[Engine], **subject: Any) -> None:
        """Dump (killing) and restore one subject, each engine in turn."""
        dumps: dict[str, list[float]] = {}
        counts: dict[str, list[float]] = {}
        durable: list[float] = []  # CRIU's dumps with what ours have: they are on the disk
        restores: dict[str, list[float]] = {}
        image = os.path.join(place, "image")
        # each engine has a subject of its own: CRIU restores into a new time namespace, which others may refuse
        targets = {engine.name: Subject(self.program, os.path.join(self.folder, engine.name), **subject) for engine in engines}
        try:
            for turn in range(self.rounds + 1):
                for engine in engines:
                    target = targets[engine.name]
                    shutil.rmtree(image, ignore_errors=True)
                    pids = target.pids()
                    began = time.perf_counter()
                    engine.dump(target.pid, image)
                    took = time.perf_counter() - began
                    if engine is self.criu and place == self.disk:
                        began = time.perf_counter()
                        synced(image)
                        if turn:
                            durable.append(took + time.perf_counter() - began)
                    target.gone(pids)
                    files = warm(image)
                    began = time.perf_counter()
                    engine.restore(image)
                    back = time.perf_counter() - began
                    target.runs()
                    if turn:
                        dumps.setdefault(engine.name, []).append(took)
                        restores.setdefault(engine.name, []).append(back)
                        counts.setdefault(engine.name, []).append(files)
        finally:
            for target in targets.values():
                target.end()
            shutil.rmtree(image, ignore_errors=True)
        dumps.pop("api, unverified", None)  # only a restore is verified
        if durable:
            self.add(f"{title}: dump, theirs synced", {"api": list(dumps["api"]), "criu": durable})
        self.add(f"{title}: dump", dumps)
        self.add(f"{title}: restore", restores)
        if title == "50 processes":
            ours, theirs = counts["api"][-1], counts.get("criu", [0])[-1]
            self.rows.append({"what": f"{title}: files written", "engine": "api", "ours_files": ours, "criu_files": theirs})
            met = "met" if ours <= FILES_TARGET else "MISSED"
            print(f"{title + ': files written':<46} ours {ours:8.0f}      criu {theirs:8.0f}      target {FILES_TARGET} {met}", flush=True)

    def pause(self, title: str, place: str, **subject: Any) -> None:
        """The longest gap that the subject itself sees while it is dumped and left running."""
        gaps: dict[str, list[float]] = {}
        image = os.path.join(place, "image")
        # each engine has a subject of its own: CRIU leaves used debug registers behind, which ours refuses to carry
        for engine in self.engines(Api()):
            target = Subject(self.program, self.folder, **subject)
            try:
                for turn in range(self.rounds + 1):
                    shutil.rmtree(image, ignore_errors=True)
                    target.clear()
                    engine.dump(target.pid, image, leave=True)
                    if turn:
                        gaps.setdefault(engine.name, []).append(target.gap_ns() / 1e9)
            finally:
                target.end()
                shutil.rmtree(image, ignore_errors=True)
        self.add(title, gaps)

    def add(self, title: str, times: dict[str, list[float]]) -> None:
        """One row for each of ours."""
        theirs = times.pop("criu", [])
        for name, mine in times.items():
            row: dict[str, object] = {
                "what": title,
                "engine": name,
                "ours_ms": statistics.median(mine) * 1e3,
                "ours_range_ms": [min(mine) * 1e3, max(mine) * 1e3],
                "rounds": len(mine),
            }
            if theirs:
                row["criu_ms"] = statistics.median(theirs) * 1e3
                row["criu_range_ms"] = [min(theirs) * 1e3, max(theirs) * 1e3]
                row["ratio"] = statistics.median(mine) / statistics.median(theirs)
            self.rows.append(row)
            print(show(row), flush=True)


def show(row: dict[str, object]) -> str:
    """A row as a line."""
    title = f"{row['what']}{', unverified' if str(row['engine']).endswith('unverified') else ''}"
    line = f"{title:<46} ours {row['ours_ms']:8.1f} ms"
    if "ratio" in row:
        limit = next((t for k, t in TARGETS.items() if str(row["what"]).startswith(k)), None)
        line += f"   criu {row['criu_ms']:8.1f} ms   ratio {row['ratio']:.3f}"
        if limit is not None:
            line += f"   target {limit:g} {'met' if float(str(row['ratio'])) <= limit else 'MISSED'}"
    return line


def own_run() -> None:
    """A mount namespace with a fresh /run, where CRIU keeps its probe of the kernel; orphans are ours from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if libc.unshare(CLONE_NEWNS):
        raise SystemExit("needs root")
    libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
    if libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, None):
        raise SystemExit("no tmpfs on /run")


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--criu", default=os.environ.get("HOLDFAST_CRIU") or shutil.which("criu"), help="a criu binary or wrapper")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose title holds this text")
    parser.add_argument("--sizes", default="64,512,2048", help="MiB")
    parser.add_argument("--disk", default=os.path.expanduser("~"), help="a folder on a disk")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if os.geteuid():
        print("skipped: needs root, as CRIU does")
        return 0
    own_run()
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, Linux {os.uname().release}, {os.cpu_count()} cpus, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory, tempfile.TemporaryDirectory(dir=given.disk) as disk:
        program = os.path.join(memory, "subject")
        subprocess.run(["gcc", "-O2", "-pthread", "-o", program, os.path.join(ROOT, "bench", "subject.c")], check=True)
        criu = Criu(given.criu) if given.criu else None
        if criu is None:
            print("no criu: ratios are left out; name one with --criu or HOLDFAST_CRIU")
        bench = Bench(criu, given.rounds, program, memory, disk)
        command = Command(os.path.join(ROOT, ".venv", "bin", "holdfast"))

        def wanted(title: str) -> bool:
            return given.only in title

        if wanted("small, API"):
            bench.rounds = max(given.rounds, 11)
            bench.cycle("small, API", memory, bench.engines(Api(), Api(check=False)))
        if wanted("small, command"):
            bench.rounds = max(given.rounds, 11)
            bench.cycle("small, command", memory, bench.engines(command))
        bench.rounds = given.rounds
        for mib in [int(s) for s in given.sizes.split(",") if s]:
            for name, place in (("/dev/shm", memory), ("disk", disk)):
                if wanted(f"pause {mib}"):
                    bench.pause(f"pause {mib} MiB, {name}", place, mib=mib)
                if wanted(f"stop-and-copy {mib}"):
                    bench.cycle(f"stop-and-copy {mib} MiB, {name}", place, bench.engines(Api()), mib=mib)
        many: dict[str, dict[str, Any]] = {"50 processes": {"children": 49}, "200 threads": {"threads": 199}}
        for title, kind in SOME.items():
            many[title] = {"files": 1000, "kind": kind}
        for title, subject in many.items():
            if wanted(title):
                bench.cycle(title, memory, bench.engines(Api(), Api(check=False)), **subject)
    if given.json:
        print(json.dumps({"schema": 1, "load": os.getloadavg(), "rows": bench.rows}, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
