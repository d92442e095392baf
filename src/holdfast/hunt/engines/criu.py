"""CRIU, by the path of its program, as its users run it.

Source:  criu(8): dump, restore; -d, --shell-job, --pidfile, -W, -o
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

from holdfast.errors import UsageError
from holdfast.hunt.engines.contract import Said

PATIENCE_S = 60.0


class Criu:
    """One CRIU."""

    def __init__(self, path: str, options: tuple[str, ...] = ()) -> None:
        self.path, self.options = path, options
        try:
            text = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
        except (OSError, subprocess.SubprocessError) as cause:
            raise UsageError(
                "engine", f"{path} is not a CRIU that runs here", where=path, why=str(cause), do="give the path of criu"
            ) from cause
        found = re.search(r"Version: (\S+)", text)
        self.version = found[1] if found else "unknown"
        self.name = f"criu:{self.version}"

    def dump(self, pid: int, folder: str) -> Said:
        """Dump the tree of `pid`, and end it."""
        return self._run("dump", folder, "-t", str(pid))

    def restore(self, folder: str) -> Said:
        """Bring the tree back; it becomes a child of whoever adopts orphans here."""
        return self._run("restore", folder, "-d")

    def _run(self, verb: str, folder: str, *more: str) -> Said:
        began = time.monotonic_ns()
        log = os.path.join(folder, f"{verb}.log")
        command = [self.path, verb, "-D", folder, "-o", f"{verb}.log", "-v2", *more, *self.options]
        # its words go to a file: what it restores must not hold a pipe of ours
        with open(os.path.join(folder, f"{verb}.out"), "wb") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
            try:
                code = process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return Said("failed", f"no end within {PATIENCE_S:g} s", time.monotonic_ns() - began)
        took = time.monotonic_ns() - began
        lines = _lines(log)
        if code == 0:
            return Said("done", "", took, tuple(line for line in lines if "Warn" in line)[:20])
        errors = [line for line in lines if "Error" in line] or _lines(os.path.join(folder, f"{verb}.out")) or [f"exit status {code}"]
        # a dump that fails leaves the tree as it was: that is its way to refuse
        return Said("refused" if verb == "dump" else "failed", "; ".join(errors[:3])[:500], took)


def _lines(path: str) -> list[str]:
    try:
        with open(path, "rb") as f:
            return [re.sub(r"^\(\d+\.\d+\)\s*", "", t) for t in f.read().decode(errors="replace").splitlines() if t]
    except OSError:
        return []
