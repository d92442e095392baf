"""The command with real subjects and engines: a loss is found and counted, a killed campaign goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.hunt.recipe import Recipe
from holdfast.hunt.store import Store
from holdfast.prog.text import parse_line

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 120


def command(store: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "holdfast", "hunt", "--store", str(store), *words]


def hunt(store: Path, *words: str, expected: int | None = 0) -> dict[str, Any]:
    """Run the command; the JSON that it answers."""
    done = subprocess.run(command(store, "--json", *words), capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode in ((0, 60) if expected is None else (expected,)), done.stderr[-3000:] + done.stdout[-2000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def eventfd(number: int) -> Recipe:
    # a count and a second descriptor: nothing more
    make, state, get, after = f"fd = eventfd2({number}, 0)", "dup2($fd, 9)", "fcntl($fd, F_GETFL=3)", "read($fd, [8])"
    lines = [(parse_line(text),) for text in (make, state, get, after)]
    return Recipe(f"eventfd/{number}", "eventfd", lines[0], lines[1], lines[2], lines[3])


def written(path: Path, *recipes: Recipe) -> str:
    path.write_text("".join(r.text() for r in recipes))
    return str(path)


@pytest.mark.parametrize("user", [pytest.param("root", marks=pytest.mark.root), "user"])
def test_what_the_engine_carries_is_kept_and_nothing_is_lost(tmp_path: Path, user: str) -> None:
    recipes = written(tmp_path / "r", *map(eventfd, range(1, 7)))
    answer = hunt(tmp_path / "s.db", "--as", user, "--replay", recipes, "--jobs", "2")
    assert (answer["verdict"], answer["counts"]) == ("OK", {"native": {"kept": 6}})


@pytest.mark.root
def test_a_campaign_that_is_killed_goes_on_and_does_nothing_twice(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    words = ("--only", "eventfd/*", "--only", "umask/*", "--jobs", "2")
    process = subprocess.Popen(command(store, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watch = Store(str(store))
    try:
        while not watch.counts(1):
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        before = list(watch.rounds(1))
        answer = hunt(store, "--resume", expected=None)
        after = list(watch.rounds(1))
        listed = subprocess.run(command(store, "--list", *words[:4]), capture_output=True, text=True, timeout=LIMIT_S).stdout.split()
    finally:
        watch.close()
    assert before
    assert after[: len(before)] == before
    assert sorted(r.recipe for r in after) == sorted(listed)
    assert (answer["campaign"], len(answer["results"])) == (1, len(listed))


@pytest.mark.root
def test_a_loss_is_tried_three_times_and_engines_stand_side_by_side(tmp_path: Path) -> None:
    lines = "make fd = eventfd2(3, EFD_SEMAPHORE=1)\nafter read($fd, [8])\nafter read($fd, [8])\n"
    (tmp_path / "r").write_text(f"# hunt recipe 1\nname eventfd/EFD_SEMAPHORE\ninterface eventfd\n{lines}")
    engines = ("--engine", "native", "--engine", "planted:eventfd-semaphore")
    answer = hunt(tmp_path / "s.db", *engines, "--replay", str(tmp_path / "r"), expected=60)
    assert answer["verdict"] == "LOSSY"
    assert answer["engines_differ"] == {"eventfd/EFD_SEMAPHORE": {"native": "kept", "planted:eventfd-semaphore": "lost"}}
    with Store(str(tmp_path / "s.db")) as store:
        (lost,) = store.rounds(1, ("lost",))
    assert lost.tries == 3
    assert lost.text in answer["findings"][0]["reproducer"]


@pytest.mark.root
def test_points_and_pairs_are_run_too(tmp_path: Path) -> None:
    recipes = written(tmp_path / "r", *map(eventfd, range(1, 4)))
    hunt(tmp_path / "s.db", "--replay", recipes, "--points", "--pairs", "2")
    with Store(str(tmp_path / "s.db")) as store:
        names = [r.recipe for r in store.rounds(1)]
    assert {"eventfd/1", "eventfd/1@0", "eventfd/1@1"} <= set(names)
    assert sum("+" in n or "&" in n for n in names) == 2


@pytest.mark.root
def test_a_campaign_that_is_asked_to_end_says_how_it_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    recipes = written(tmp_path / "r", *map(eventfd, range(1, 200)))
    process = subprocess.Popen(command(store, "--replay", recipes), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    watch = Store(str(store))
    try:
        while not watch.counts(1):
            assert process.poll() is None
        process.terminate()
        _, story = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 130
        assert "holdfast hunt --resume goes on" in story
        assert 0 < len(list(watch.rounds(1))) < 199
    finally:
        watch.close()
