"""How many rounds a second the hunt does on two cores, with every oracle: natively, and with CRIU's engine beside it in the same run.

A sample of the single-state recipes, every nth of all tables, so that waits, sockets, memory and settings weigh as they do in a campaign.
A figure is rounds over wall time of a whole command, its start and its namespaces included; medians of --rounds, interleaved. No recipe is
shrunk. The machine's other cores are left alone: the command and all it starts may run on two.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

CORES, TARGET = 2, 8.0  # rounds a second
ENTRY = "import sys; from holdfast.cli.main import main; sys.exit(main(sys.argv[1:]))"
LOST = 60  # exit code of a campaign that found a loss


def command(*args: str) -> list[str]:
    """The hunt as a command of this checkout."""
    return [sys.executable, "-c", ENTRY, "hunt", *args]


def sample(every: int) -> list[str]:
    """Names of every nth recipe, as patterns that match only them."""
    listed = subprocess.run(command("--list", "--json"), capture_output=True, text=True, check=True)
    names = [recipe["name"] for recipe in json.loads(listed.stdout)["recipes"]]
    return [glob.escape(name) for name in names[::every]]


def measure(engine: str, patterns: list[str], folder: str, n: int) -> tuple[float, dict[str, int]]:
    """Rounds a second of one campaign, and how many ended in each verdict."""
    store = os.path.join(folder, f"{n}.db")
    only = [word for pattern in patterns for word in ("--only", pattern)]
    began = time.perf_counter()
    done = subprocess.run(
        command("--engine", engine, "--jobs", str(CORES), "--shrink", "none", "--store", store, "--json", *only),
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - began
    if done.returncode not in (0, LOST):
        raise SystemExit(f"{engine}: exit code {done.returncode}\n{done.stderr}")
    (verdicts,) = json.loads(done.stdout)["counts"].values()
    return sum(verdicts.values()) / took, verdicts


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--every", type=int, default=16, help="take every nth recipe")
    parser.add_argument("--criu", default=os.environ.get("HOLDFAST_CRIU", ""), help="a criu to measure beside it")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    engines = ["native", *([f"criu:{given.criu}"] if given.criu else [])]
    rates: dict[str, list[float]] = {engine: [] for engine in engines}
    seen: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        patterns = sample(given.every)
        for n in range(given.rounds):
            for engine in engines:
                rate, seen[engine] = measure(engine, patterns, folder, n)
                rates[engine].append(rate)
    native = statistics.median(rates["native"])
    rows = [
        {
            "engine": engine,
            "median_rounds_per_s": round(statistics.median(found), 1),
            "min": round(min(found), 1),
            "max": round(max(found), 1),
            "native_over_it": round(native / statistics.median(found), 2),
            "verdicts": seen[engine],
        }
        for engine, found in rates.items()
    ]
    met = native >= TARGET
    if given.json:
        print(json.dumps({"recipes": len(patterns), "cores": CORES, "rows": rows, "target": TARGET, "met": met}, indent=2))
        return 0 if met else 1
    print(f"{len(patterns)} recipes, {CORES} cores, medians of {given.rounds}")
    print(f"{'':<40}{'rounds/s':>10}{'spread':>14}{'native/it':>11}")
    for row in rows:
        spread = f"{row['min']}-{row['max']}"
        print(f"{row['engine']:<40}{row['median_rounds_per_s']:>10}{spread:>14}{row['native_over_it']:>11}")
    print(f"target: {TARGET} rounds a second natively: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
