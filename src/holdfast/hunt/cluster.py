"""Rounds on the workers of a Dask cluster: the same tasks, given out by its scheduler.

Each thread of a Dask worker has one worker of ours (hunt/worker.py), with its own sandbox, so a round that goes wrong takes nothing of the
cluster along. A Dask worker that dies takes its sandboxes with it (their lifelines close), and the scheduler gives its tasks to
another; a task that has seen several of them die becomes the verdict `failed`. That a task may thus run twice does no harm: a round
counts when it has come back, and the store has each once.

Needs: this package on every machine of the cluster, of the same version, and engines at the same paths.
Source: distributed.dask.org: resilience, allowed-failures
"""

from __future__ import annotations

import atexit
import json
import queue
import threading
import time

from holdfast.errors import HoldfastError, KernelLacks, UsageError
from holdfast.hunt import cgroup
from holdfast.hunt.pool import gone
from holdfast.hunt.sandbox import Sandbox
from holdfast.hunt.store import round_of
from holdfast.hunt.worker import START_S, Crew, Died, Worker, error_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.hunt.pool import Task
    from holdfast.hunt.verdict import Round

AHEAD = 2  # tasks for each thread: the next is there when one has ended
CONNECT_S = 10.0


class Cluster:
    """The workers that a Dask scheduler has, as a pool."""

    def __init__(self, address: str, crew: Crew, limit_s: float, kernel: str) -> None:
        """Connect to a scheduler.

        Unit:    limit_s in seconds: how long one round may take
        Raises:  usage.cluster: there is no scheduler at the address, or it has no workers; kernel_lacks.cluster: Dask is not installed
        """
        try:
            from distributed import Client  # an extra
        except ImportError as cause:
            raise KernelLacks(
                "cluster", "Dask is not installed", why=str(cause), do="install holdfast[cluster], here and on the workers"
            ) from cause
        try:
            self._client: Any = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as cause:
            raise UsageError(
                "cluster", f"there is no scheduler at {address}", where=address, why=str(cause), do="dask scheduler"
            ) from cause
        self._crew = json.dumps({"how": dict(crew.how.items()), "rounds": crew.rounds, "tables": crew.tables})
        self._limit_s, self._kernel = limit_s, kernel
        self._running: dict[str, tuple[Task, Any, int]] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        if not self._threads():
            self.close()
            raise UsageError("cluster", f"the scheduler at {address} has no workers", where=address, do=f"dask worker {address}")

    def _threads(self) -> int:
        return sum(self._client.nthreads().values())

    def free(self) -> int:
        """How many tasks it can take now; workers that have joined count."""
        return max(0, AHEAD * self._threads() - len(self._running))

    def give(self, task: Task) -> None:
        """Run it."""
        key = f"round-{task.engine.name}-{task.recipe.key}-{time.monotonic_ns()}"
        future = self._client.submit(run, self._crew, task.engine.text, task.recipe.text(), self._limit_s, key=key, pure=False)
        self._running[key] = (task, future, time.monotonic_ns())
        future.add_done_callback(self._ended.put)

    def wait(self, seconds: float) -> list[tuple[Task, Round]]:
        """What has ended, waiting at most so long for it.

        Raises:  kernel_lacks.sandbox, usage.engine: one of its machines can run no round
        """
        out = []
        try:
            future = self._ended.get(timeout=seconds)
            while True:
                task, _, began_ns = self._running.pop(future.key)
                if future.status == "lost":
                    # it had ended, and the worker that held the answer died before it was fetched
                    self.give(task)
                else:
                    out.append((task, self._round(task, future, began_ns)))
                future = self._ended.get_nowait()
        except queue.Empty:
            return out

    def _round(self, task: Task, future: Any, began_ns: int) -> Round:
        # an answer that is lost only now is made once more, and waited for; none: it is given up
        for told in self._client.gather([future], errors="skip"):
            if "round" in told:
                return round_of(told["round"])
            if "error" in told:
                raise error_of(told["error"])
            said = str(told["died"])
            break
        else:
            # its Dask workers died, several times; or it could not be sent
            said = f"the cluster gave it up: {future.exception() if future.status == 'error' else future.status}"
        return gone(task, self._kernel, said[-500:], time.monotonic_ns() - began_ns, (("worker", said[-1500:]),))

    def close(self) -> None:
        """Leave the cluster; what has not ended is dropped."""
        for _, future, _ in self._running.values():
            future.cancel()
        self._running.clear()
        self._client.close()


# --- in the process of a Dask worker

_mine = threading.local()
_all: list[Worker] = []
_lock = threading.Lock()


def run(crew: str, engine: str, text: str, limit_s: float) -> dict[str, Any]:
    """One round, on this thread's own worker: the round as told() gives it, how the worker died, or why none can work on this machine."""
    worker = getattr(_mine, "worker", None)
    try:
        if worker is None or _mine.crew != crew:
            _drop()
            worker = _fresh(crew)
        worker.send({"do": [engine, text]})
        return {"round": worker.answer(limit_s)["round"]}
    except HoldfastError as error:
        return {"error": error.parts()}
    except Died as death:
        words = str(death)
        _drop()
        return {"died": words}


def _fresh(crew: str) -> Worker:
    order = json.loads(crew)
    how: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in order["how"].items()}
    with _lock:
        if not _all:
            cgroup.sweep()
            atexit.register(_end)
        worker = Worker(Crew(Sandbox(**how), order["rounds"], order["tables"]))
        _all.append(worker)
    _mine.worker, _mine.crew = worker, crew
    worker.answer(START_S)  # it is ready
    return worker


def _drop() -> None:
    worker = getattr(_mine, "worker", None)
    if worker is not None:
        _mine.worker = None
        with _lock:
            _all.remove(worker)
        worker.close()


def _end() -> None:
    with _lock:
        for worker in _all:
            worker.close()
        _all.clear()
