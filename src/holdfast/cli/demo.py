"""holdfast demo: a real program is dumped, killed, restored and verified, and goes on from where it was."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast import api
from holdfast.cli import output
from holdfast.engine import jobs
from holdfast.errors import Differs, KernelLacks, UsageError
from holdfast.kernel import probe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROGRAM = Path(__file__).resolve().parents[3] / "demo" / "program.py"
PATIENCE_S = 30.0
PR_SET_CHILD_SUBREAPER = 36


@click.command(name="demo")
@click.option("--mib", default=256, show_default=True, help="How much memory the program fills.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), help="Where to keep image and logs; without it they are removed."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(mib: int, folder: Path | None, as_json: bool) -> int:
    """Start a program with threads, a child process, a pipe, an open log and a timer, then dump, kill and restore it.

    \b
    Exit codes: 0 everything is as promised; 50 something that was promised does not hold; others as for dump and restore.
    """
    if not PROGRAM.is_file():
        raise UsageError("demo", "the program of the demo is not here", where=str(PROGRAM), do="run the demo from a checkout: make demo")
    with _folder(folder) as place:
        facts = Demo(place, mib, as_json).run()
    return output.say(output.Answer("demo", "OK", facts, lines), as_json)


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True)
        yield given
        return
    made = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


class Demo:
    """One run of the demo in a folder.

    Raises:  differs.demo: a promise does not hold
    """

    def __init__(self, folder: Path, mib: int, quiet: bool) -> None:
        self.folder, self.mib, self.quiet = folder, mib, quiet
        self.log = folder / "log"
        self.root = 0  # our pid of the program
        self.began = time.monotonic()
        self.checks: list[str] = []

    def run(self) -> dict[str, Any]:
        """Everything, in order; nothing of it is left afterwards."""
        # what the dump kills is then handed to us and not to an init that may be slow: a pid can be had again once it is reaped
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        try:
            self.start()
            return self.measure()
        finally:
            self.end()

    def start(self) -> None:
        """Start the program and wait until its memory is filled."""
        words = [sys.executable, "-IS", str(PROGRAM), str(self.folder), str(self.mib)]
        if probe.ask("clone3_set_tid").yes and os.geteuid() == 0:
            # a session of its own, and nothing of ours open: what leads out of the tree could not be restored
            self.root = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            ).pid
        else:
            self.root = _run_as_job(words, self.folder)
        self.tell(f"started {PROGRAM.name}: {self.mib} MiB, 3 threads, a child, a pipe, a log, a timer")
        self.wait_for("ready", lambda: "ready" in self.lines())
        self.ticks(25)

    def measure(self) -> dict[str, Any]:
        """Dump it while it runs, then dump and end it, restore it, and see whether anything is amiss."""
        tree = self.tree()
        running = api.dump(self.root, self.folder / "running.image", leave_running=True)
        self.tell(f"dumped while it ran: it stood still for {output.duration(running.stopped_ns)}")
        self.ticks(10)
        self.check("a dump that leaves it running changes no pid", self.tree(), tree)
        pids = [pid for pid, _ in self.walk()]
        stopped = api.dump(self.root, self.folder / "image")
        self.reap()
        before = self.last_tick()
        self.check("after the second dump nothing of it is left", [p for p in pids if os.path.exists(f"/proc/{p}")], [])
        self.tell(f"dumped and ended at tick {before}: {output.size(stopped.pages_size + stopped.state_size)}")
        restored = api.restore(self.folder / "image")
        self.root = restored.pid
        self.tell(f"restored and verified in {output.duration(restored.total_ns)}: pids {' '.join(map(str, sorted(self.tree())))}")
        self.ticks(50)
        self.check("its pids and thread ids are what they were", self.tree(), tree)
        os.kill(self.root, signal.SIGUSR1)
        status = restored.wait()
        self.root = 0
        self.check("it ended by itself, with exit status 0", status, 0)
        self.judge(before)
        return {
            "processes": len(tree),
            "memory_mib": self.mib,
            "pause_ns": running.stopped_ns,
            "dump_ns": stopped.total_ns,
            "restore_ns": restored.total_ns,
            "image_bytes": stopped.pages_size + stopped.state_size,
            "dumped_at_tick": before,
            "ended_at_tick": self.last_tick(),
            "checks": self.checks,
            "total_ns": int((time.monotonic() - self.began) * 1e9),
        }

    def judge(self, before: int) -> None:
        """Compare what the program wrote with what it would have written had nothing happened."""
        lines = self.lines()
        ticks = [line.split()[1:] for line in lines if line.startswith("tick ")]
        numbers = [int(t[0]) for t in ticks]
        self.check("its log has every tick once, in order", numbers, list(range(1, len(numbers) + 1)))
        self.check("it went on after the tick at which it was dumped", numbers[-1] > before, True)
        for worker in (0, 1):
            counts = [int(t[1 + worker]) for t in ticks]
            self.check(f"the counter of thread {worker} only rises", counts, sorted(counts))
        child = [int(n) for n in (self.folder / "child.log").read_text(encoding="ascii").split()]
        self.check("its child got every number through the pipe once, in order", child, numbers)
        for line in lines:
            if line.startswith("chain "):
                _, worker_, count, last = line.split()
                self.check(f"the {count} links that thread {worker_} made fit together", last, chain(int(worker_), int(count)))
        memory = [line.split()[1] for line in lines if line.startswith("memory ")]
        self.check(f"the digest of its {self.mib} MiB is what it was", memory, [memory[0]] * 2)
        self.check("its child ended by itself, with exit status 0", lines[-1], f"end {numbers[-1]} 0")

    # --- looking

    def lines(self) -> list[str]:
        """The log's whole lines."""
        try:
            text = self.log.read_text(encoding="ascii")
        except FileNotFoundError:
            return []
        return text[: text.rfind("\n") + 1].splitlines()

    def last_tick(self) -> int:
        """The newest tick in the log."""
        return int(next((line.split()[1] for line in reversed(self.lines()) if line.startswith("tick ")), "0"))

    def walk(self) -> Iterator[tuple[int, list[int]]]:
        """Every process of the program with its threads, as we see them."""
        todo = [self.root]
        while todo:
            pid = todo.pop()
            tids = [int(t) for t in os.listdir(f"/proc/{pid}/task")]
            for tid in tids:
                todo += [int(c) for c in Path(f"/proc/{pid}/task/{tid}/children").read_text(encoding="ascii").split()]
            yield pid, tids

    def tree(self) -> dict[int, list[int]]:
        """Every process of the program with its threads, as they see themselves."""
        return dict(sorted((_own(pid), sorted(map(_own, tids))) for pid, tids in self.walk()))

    def ticks(self, many: int) -> None:
        """Wait for some more ticks, showing them."""
        wanted = self.last_tick() + many
        self.wait_for(f"tick {wanted}", lambda: self.last_tick() >= wanted)
        last = next((line for line in reversed(self.lines()) if line.startswith("tick ")), "")
        _, tick, one, two = last.split()
        self.tell(f"it runs: tick {tick}, threads at {one} and {two}")

    def wait_for(self, what: str, there: Any) -> None:
        """Wait until something is in the log."""
        until = time.monotonic() + PATIENCE_S
        while not there():
            if time.monotonic() > until or not os.path.exists(f"/proc/{self.root}"):
                raise Differs("demo", f"the program never came to {what}", where=str(self.log), why="it ended, or hangs", do="report it")
            time.sleep(0.01)

    def check(self, promise: str, found: object, wanted: object) -> None:
        """Hold a promise against what is there.

        Raises:  differs.demo
        """
        if found != wanted:
            raise Differs(
                "demo",
                f"a promise does not hold: {promise}",
                where=_cut(found),
                why=f"expected {_cut(wanted)}",
                do="report it with the image",
            )
        self.checks.append(promise)

    def tell(self, text: str) -> None:
        """A line of the story."""
        if not self.quiet:
            output.story(f"{time.monotonic() - self.began:6.2f} s  {text}")

    # --- leaving nothing

    def reap(self) -> None:
        """Take the end of everything that was killed, so that its pids can be had again."""
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)

    def end(self) -> None:
        """Kill what still runs of the program, whatever happened."""
        if not self.root:
            return
        with contextlib.suppress(FileNotFoundError):
            for pid, _ in list(self.walk()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.reap()


def chain(worker: int, links: int) -> str:
    """What the last of a number of links must be."""
    last = b"worker %d" % worker
    for number in range(1, links + 1):
        last = hashlib.sha256(b"%s %d" % (last, number)).digest()
    return last.hex()


def lines(facts: Mapping[str, Any]) -> list[str]:
    """The answer as text."""
    out = [f"it goes on where it was, with the same pids; {output.count(len(facts['checks']), 'promise')} held"]
    out += [f"  held     {promise}" for promise in facts["checks"]]
    out.append(f"  pause    {output.duration(facts['pause_ns'])}  of a dump that leaves it running")
    out.append(f"  dump     {output.duration(facts['dump_ns'])}  and end it")
    out.append(f"  restore  {output.duration(facts['restore_ns'])}  and verify it")
    out.append(f"  image    {output.size(facts['image_bytes'])}")
    out.append(f"  ticks    {facts['dumped_at_tick']} at the dump, {facts['ended_at_tick']} at the end")
    return out


def _own(task: int) -> int:
    # the id that a task has in its own pid namespace
    text = Path(f"/proc/{task}/status").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^NSpid:.*?(\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else task


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"


def _prctl(option: int, value: int) -> None:
    import ctypes  # one call

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


# As a job of this user, in namespaces of its own, where it can have its pids again without any privilege.
def _run_as_job(words: list[str], folder: Path) -> int:
    name = f"demo-{os.getpid()}"
    holdfast = [
        sys.executable,
        "-IS",
        "-c",
        f"import sys; sys.path[:] = {sys.path!r}; from holdfast.cli.main import main; sys.exit(main())",
    ]
    job = [*holdfast, "run", "--name", name, "--", *words]
    # its messages go to a file: a terminal or a pipe of ours would lead out of the tree
    with (folder / "run.log").open("ab") as told:
        started = subprocess.Popen(job, stdin=subprocess.DEVNULL, stdout=told, stderr=told, start_new_session=True)
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return int(jobs.find(name))
        except UsageError:
            if started.poll() is not None:
                why = (folder / "run.log").read_text(encoding="utf-8", errors="replace")
                raise KernelLacks("demo", "holdfast run could not start the program of the demo", why=why, do="holdfast doctor") from None
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
