"""Two kernels compared end to end, beside bpftool and pahole writing text for diff, and abidiff where it can run.

All in one run on the same two BTF files; medians of --rounds, interleaved, with the spread; ratios are ours over theirs. Ours is measured
as a whole process: with no snapshot cached, and with both. Peak memory is that of each process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src"))

from holdfast.drift import compare, judge, ledger
from holdfast.kernel import cache, specimen

SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
TARGET_S, TARGET_MIB = 1.0, 500


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float, int]:
    """Seconds, peak MiB and exit code of one process."""
    began = time.perf_counter()
    silent = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    pid = os.posix_spawn(command[0], command, environment, file_actions=silent)
    _, status, usage = os.wait4(pid, 0)
    return time.perf_counter() - began, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)


def contenders(old: str, new: str, folder: str) -> dict[str, list[str]]:
    """Name to command; a tool that is missing is left out."""
    entry = "import sys; from holdfast.cli.main import main; sys.exit(main(sys.argv[1:]))"
    ours = [sys.executable, "-c", entry, "drift", old, new, "--fail-on", "none", "--json"]
    out = {"holdfast drift, empty cache": ours, "holdfast drift, cached": ours}
    shell = shutil.which("sh") or "/bin/sh"
    structs = os.path.join(folder, "structs")
    with open(structs, "w", encoding="utf-8") as file:
        file.write("\n".join(sorted(ledger.load().structs)) + "\n")
    if tool := shutil.which("bpftool", path=SBIN):
        script = f'"{tool}" btf dump file "$0" format c > a; "{tool}" btf dump file "$1" format c > b; diff -U0 a b > d; test -s d'
        out["bpftool format c, and diff"] = [shell, "-c", f'cd "{folder}" && {script}', old, new]
    if tool := shutil.which("pahole", path=SBIN):
        script = f'"{tool}" -F btf "$0" > a; "{tool}" -F btf "$1" > b; diff -U0 a b > d; test -s d'
        out["pahole, all structs, and diff"] = [shell, "-c", f'cd "{folder}" && {script}', old, new]
        only = f'"{tool}" -F btf -C "file://{structs}"'
        script = f'{only} "$0" > a; {only} "$1" > b; diff -U0 a b > d; test -s d'
        out["pahole, watched structs, and diff"] = [shell, "-c", f'cd "{folder}" && {script}', old, new]
    return out


def abidiff(old: str, new: str) -> str:
    """What abidiff says of the two files; it needs DWARF or CTF, which a BTF file is not."""
    tool = shutil.which("abidiff")
    if tool is None:
        return "not installed (apt-get install abigail-tools)"
    done = subprocess.run([tool, old, new], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip().splitlines()
    return f"exit code {done.returncode}: {said[0] if said else 'nothing'}"


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--old", default="debian:6.1/cloud")
    parser.add_argument("--new", default="debian:6.12/cloud")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths: list[str] = []
        for name in (given.old, given.new):
            kernel = specimen.load(name)
            paths.append(os.path.join(folder, f"btf-{kernel.release}"))
            with open(paths[-1], "wb") as file:
                file.write(kernel.blob)
        judgement = compare.compare(paths[0], paths[1], ledger.load())
        found = len(judge.findings(judgement))
        commands = contenders(paths[0], paths[1], folder)
        environment = {**os.environ, "PYTHONPATH": sys.path[0]}
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        memory: dict[str, float] = dict.fromkeys(commands, 0.0)
        for _ in range(given.rounds):
            for name, command in commands.items():
                if name.endswith("empty cache"):
                    shutil.rmtree(cache.folder("snapshots"))
                took, peak, code = measure(command, environment)
                if code:
                    raise SystemExit(f"{name}: exit code {code}")
                seconds[name].append(took)
                memory[name] = max(memory[name], peak)
        last = abidiff(paths[0], paths[1])
    ours = statistics.median(seconds["holdfast drift, cached"])
    rows = [
        {
            "what": name,
            "median_s": round(statistics.median(times), 3),
            "min_s": round(min(times), 3),
            "max_s": round(max(times), 3),
            "peak_mib": round(memory[name]),
            "ours_over_theirs": round(ours / statistics.median(times), 2),
        }
        for name, times in seconds.items()
    ]
    own = list(seconds)[:2]
    slowest, most = max(statistics.median(seconds[name]) for name in own), max(memory[name] for name in own)
    met = {"at most 1 s, also with an empty cache": slowest <= TARGET_S, "memory under 500 MiB": most < TARGET_MIB}
    if given.json:
        document = {"old": given.old, "new": given.new, "findings": found, "rows": rows, "abidiff": last, "targets": met}
        print(json.dumps(document, indent=2, sort_keys=True))
        return 0 if all(met.values()) else 1
    print(f"{given.old} -> {given.new}: {found} differences; {given.rounds} rounds")
    print(f"{'':<36}{'median s':>10}{'spread':>16}{'peak MiB':>10}{'ours/theirs':>13}")
    for r in rows:
        print(f"{r['what']:<36}{r['median_s']:>10}{r['min_s']:>8}-{r['max_s']:<7}{r['peak_mib']:>10}{r['ours_over_theirs']:>13}")
    print(f"abidiff on the same files: {last}")
    for name, ok in met.items():
        print(f"{'met' if ok else 'MISSED'}: {name}")
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
