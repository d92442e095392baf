"""A campaign on a local cluster of processes: every round is there once, whatever happens to a worker of the cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from io import StringIO
from typing import TYPE_CHECKING

import distributed
import pytest

from holdfast.errors import UsageError
from holdfast.hunt.campaign import Campaign
from holdfast.hunt.cluster import Cluster
from holdfast.hunt.pool import Known, Task
from holdfast.hunt.progress import Progress, Tally
from holdfast.hunt.recipe import Recipe
from holdfast.hunt.sandbox import Sandbox
from holdfast.hunt.store import Store
from holdfast.hunt.worker import Crew
from holdfast.prog.text import parse_line
from tests.harness import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.hunt.verdict import Round

NATIVE = Known("native", "native", "1")
CREW = Crew(Sandbox(user=True), rounds="tests.live.hunt.stand_in:Fake")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Dask's own
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # a socket to a worker that was killed
]


# a process of its own: what multiprocessing keeps for itself ends with it
CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1", silence_logs=50) as c:
        print(c.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=env,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout, process.stdin:
        yield process.stdout.readline().decode().strip()
    assert process.wait(PATIENCE_S) == 0
    # multiprocessing's tracker goes a moment later
    while True:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            break


class Killing(Progress):
    """Kills one worker of the cluster, with what it is doing, after some rounds."""

    def __init__(self, address: str, after: int) -> None:
        super().__init__(Tally(0), StringIO(), lambda _: None)
        self._after, self.killed = after, 0
        with distributed.Client(address, set_as_default=False) as client:
            self._pids = sorted(client.run(os.getpid).values())

    def done(self, round_: Round, new: bool) -> None:
        super().done(round_, new)
        if self.tally.done == self._after:
            os.kill(self._pids[0], signal.SIGKILL)
            self.killed += 1


def recipe(call: str, number: int) -> Recipe:
    return Recipe(f"x/{call}.{number}", "x", (parse_line(f"{call}({number})"),))


def test_every_round_is_there_once_although_a_worker_was_killed(address: str) -> None:
    recipes = [recipe("dup2", n) for n in range(60)]
    pool = Cluster(address, CREW, PATIENCE_S, "k")
    with Store(":memory:") as store:
        number = store.begin({})
        campaign = Campaign(store, number, (NATIVE,), "k")
        progress = Killing(address, 10)
        try:
            assert campaign.run([campaign.order(recipes)], pool, progress, None) == 0
        finally:
            pool.close()
        assert progress.killed == 1
        rounds = list(store.rounds(number))
        assert sorted(r.key for r in rounds) == sorted(r.key for r in recipes)
        assert {(r.verdict, r.said) for r in rounds} == {("kept", "")}


@pytest.mark.parametrize("known", [True, False])
def test_an_answer_that_died_with_its_worker_is_asked_for_again(address: str, known: bool) -> None:
    pool = Cluster(address, CREW, PATIENCE_S, "k")
    task = Task(NATIVE, recipe("dup2", 1))
    try:
        with distributed.Client(address, set_as_default=False) as client:
            pool.give(task)
            (future,) = [future for _, future, _ in pool._running.values()]
            assert future.exception(timeout=PATIENCE_S) is None
            pids = client.run(os.getpid)
            for pid in pids.values():
                os.kill(pid, signal.SIGKILL)
            while known and not set(client.nthreads()).isdisjoint(pids):
                """Until the scheduler has heard of it."""
        ended: list[tuple[Task, Round]] = []
        while not ended:
            ended = pool.wait(PATIENCE_S)
    finally:
        pool.close()
    assert [(task, round_.verdict, round_.said) for task, round_ in ended] == [(task, "kept", "")]


def test_a_round_that_goes_wrong_leaves_the_cluster_alone(address: str) -> None:
    calls = ["dup2", "exit", "getpid", "dup2"]
    recipes = [recipe(call, n) for n, call in enumerate(calls)]
    pool = Cluster(address, CREW, PATIENCE_S, "k")
    with Store(":memory:") as store:
        campaign = Campaign(store, store.begin({}), (NATIVE,), "k")
        try:
            campaign.run([campaign.order(recipes)], pool, Progress(Tally(0), StringIO(), lambda _: None), None)
        finally:
            pool.close()
        assert {r.recipe: r.verdict for r in store.rounds(1)} == {
            "x/dup2.0": "kept",
            "x/exit.1": "failed",
            "x/getpid.2": "failed",
            "x/dup2.3": "kept",
        }


def test_a_cluster_that_has_not_the_engine_ends_the_campaign(address: str) -> None:
    pool = Cluster(address, CREW, PATIENCE_S, "k")
    try:
        pool.give(Task(Known("criu:/nowhere/criu", "criu:1", "1"), recipe("dup2", 1)))
        with pytest.raises(UsageError) as error:
            pool.wait(PATIENCE_S)
    finally:
        pool.close()
    assert error.value.code == "usage.engine"


def test_an_address_where_nobody_listens_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.hunt.cluster.CONNECT_S", 0.5)
    with pytest.raises(UsageError) as error:
        Cluster("tcp://127.0.0.1:1", CREW, 1.0, "k")
    assert error.value.code == "usage.cluster"
