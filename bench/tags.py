"""Judging a Debian config: ours beside kernel-hardening-checker, the same file, in one run; medians and their ratio.

The peer is not on PyPI; it is fetched from Debian's suites into the cache. The two judge different things (checkpoint/restart, hardening):
what is compared is the time to judge one config of about 10,000 options.
"""

from __future__ import annotations

import lzma
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from holdfast.kernel import cache, debian

TOP = Path(__file__).parent.parent
CONFIG = TOP / "tests" / "_data" / "tags" / "config-6.12-amd64.xz"
PEER = "kernel-hardening-checker"
TARGET_MS = 50.0
# the clock starts where the interpreter has started; what is printed last is the time until the answer is there
OURS = """
import time
began = time.perf_counter()
import sys
from holdfast.kernel import kconfig
from holdfast.tags import evaluate, render, scopes, source, table
where = sys.argv[1]
judged = evaluate.config(kconfig.parse(source.read(where)[0]), table.load(), scopes.shipped(), "native")
text = render.text([(where, judged)])
print(len(judged.options), (time.perf_counter() - began) * 1e3)
"""


def peer() -> Path:
    """The folder that holds the peer's Python package, fetched once."""
    place = Path(cache.folder("peers", PEER))
    if not (place / "kernel_hardening_checker").exists():
        prefix = "usr/lib/python3/dist-packages/"
        for name, body in debian.files([PEER], lambda name: name.startswith(prefix + "kernel_hardening_checker/")).items():
            path = place / name.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
    return place


def run(command: list[str], path: Path) -> tuple[float, str]:
    """Milliseconds of one whole process, and what it printed."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(path), "LC_ALL": "C.UTF-8"}
    began = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    spent = (time.perf_counter() - began) * 1e3
    if done.returncode not in (0, 60):
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return spent, done.stdout


def main(rounds: int = 15) -> int:
    """Print one table; the exit code says whether the target is met."""
    beside = peer()
    check = "import sys; from kernel_hardening_checker import main; sys.argv = ['x', '-c', sys.argv[1], '-m', 'json']; main()"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config")
        config.write_bytes(lzma.decompress(CONFIG.read_bytes()))
        inside, ours, theirs, count = [], [], [], "0"
        python = [sys.executable, "-s"]
        for number in range(rounds + 1):
            spent, printed = run([*python, "-c", OURS, str(config)], TOP / "src")
            other, _ = run([*python, "-c", check, str(config)], beside)
            if number:  # the first round writes .pyc files
                count, within = printed.split()
                inside.append(float(within))
                ours.append(spent)
                theirs.append(other)
    median = statistics.median
    print(f"Debian 6.12, {count} options, {rounds} rounds, medians (lowest - highest)")
    for name, row in (("after interpreter start", inside), ("whole process", ours), (f"{PEER}, whole process", theirs)):
        print(f"  {name:<42} {median(row):7.1f} ms  ({min(row):.1f} - {max(row):.1f})")
    print(f"  ratio of whole processes, ours over theirs  {median(ours) / median(theirs):7.2f}")
    print(f"  target: at most {TARGET_MS:.0f} ms after interpreter start: {'met' if median(inside) <= TARGET_MS else 'MISSED'}")
    return 0 if median(inside) <= TARGET_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
