"""A campaign that is killed at any moment loses nothing that it has told, and does nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from holdfast.hunt.store import Store

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 400
# adds rounds that the campaign has not done, and tells each when it is kept
WRITER = """
import sys
from holdfast.hunt.store import Store
from holdfast.hunt.verdict import Proof, Round
store = Store(sys.argv[1])
known = store.unfinished()
number = known[0] if known else store.begin({})
done = {key for *_, key in store.done(number)}
for n in range(int(sys.argv[2])):
    if f"k{n}" not in done:
        proofs = (Proof("kernel", "path" * 50, "1", "0", "a.b"),)
        assert store.add(number, Round(f"x/{n}", f"k{n}", "x", "native", "1", "k", "lost", proofs, text="text" * 500))
        print(n, flush=True)
store.end(number)
"""


def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    path, draw = str(tmp_path / "s.db"), random.Random(5)
    told: list[int] = []
    kills = 0
    while True:
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path, str(ROUNDS)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        until = draw.randrange(1, 40)
        for count, line in enumerate(writer.stdout, 1):
            told.append(int(line))
            if count == until:
                os.kill(writer.pid, signal.SIGKILL)
                kills += 1
        writer.stdout.close()
        writer.wait()
        with Store(path) as store:
            assert {f"k{n}" for n in told} <= {key for *_, key in store.done(1)}
            if store.last() and store.unfinished() is None:
                break  # it may have been killed after it had done all
    assert kills > 1
    with Store(path) as store:
        assert [f"k{n}" for n in range(ROUNDS)] == sorted((r.key for r in store.rounds(1)), key=lambda k: int(k[1:]))
        assert store.unfinished() is None
        assert store.last() == 1
