"""Workers on this machine: one process for each job slot, replaced when it is lost.

A pool takes tasks while it has free slots, and gives back one Round for each, whatever happens to the worker: the kernel's troubles,
a hang and a crash become words in that Round.
"""

from __future__ import annotations

import selectors
import time

from holdfast.errors import InternalError
from holdfast.hunt.trouble import Trouble
from holdfast.hunt.verdict import Round
from holdfast.hunt.worker import START_S, Died, Worker, result
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Protocol

    from holdfast.hunt.recipe import Recipe
    from holdfast.hunt.worker import Crew

    class Pool(Protocol):
        """Whoever runs rounds for a campaign."""

        def free(self) -> int:
            """How many tasks it can take now."""

        def give(self, task: Task) -> None:
            """Run it."""

        def wait(self, seconds: float) -> list[tuple[Task, Round]]:
            """What has ended, waiting at most so long for it."""

        def close(self) -> None:
            """End everything; what has not ended is dropped."""


class Known(Record):
    """An engine as the command line names it, and as it calls itself."""

    text: str
    name: str
    version: str


class Task(Record):
    """One recipe for one engine."""

    engine: Known
    recipe: Recipe


def gone(task: Task, kernel: str, said: str, took_ns: int, facts: tuple[tuple[str, str], ...] = ()) -> Round:
    """The round of a task whose worker did not come back with one."""
    r = task.recipe
    return Round(
        r.name, r.key, r.interface, task.engine.name, task.engine.version, kernel, "failed",
        said=said, text=r.text(), took_ns=took_ns, facts=facts,
    )  # fmt: skip


class _Slot:
    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.ready = False
        self.task: Task | None = None
        self.began_ns = 0
        self.ends = 0.0


class Local:
    """As many workers as there are jobs."""

    def __init__(self, crew: Crew, jobs: int, limit_s: float, kernel: str) -> None:
        """Start nothing yet.

        Unit:    limit_s in seconds: how long one round may take
        """
        self._crew, self._jobs, self._limit_s, self._kernel = crew, jobs, limit_s, kernel
        self._slots: list[_Slot] = []
        self._selector = selectors.DefaultSelector()
        self._trouble = Trouble()
        self.missing: tuple[str, ...] = ()
        self.replaced = 0

    def free(self) -> int:
        """How many tasks it can take now."""
        return self._jobs - sum(s.task is not None for s in self._slots)

    def give(self, task: Task) -> None:
        """Run it."""
        slot = next((s for s in self._slots if s.task is None), None)
        if slot is None:
            assert len(self._slots) < self._jobs
            slot = _Slot(Worker(self._crew))
            self._slots.append(slot)
            self._selector.register(slot.worker, selectors.EVENT_READ, slot)
        slot.task, slot.began_ns = task, time.monotonic_ns()
        slot.ends = time.monotonic() + self._limit_s + (0 if slot.ready else START_S)
        slot.worker.send({"do": [task.engine.text, task.recipe.text()]})

    def wait(self, seconds: float) -> list[tuple[Task, Round]]:
        """What has ended, waiting at most so long for it.

        Raises:  kernel_lacks.sandbox, usage.engine: no worker can work here
        """
        busy = [s.ends for s in self._slots if s.task is not None]
        until = min([time.monotonic() + seconds, *busy])
        out: list[tuple[Task, Round]] = []
        for key, _ in self._selector.select(max(0.0, until - time.monotonic())):
            out += self._heard(key.data)
        for slot in list(self._slots):
            if slot.task is not None and time.monotonic() >= slot.ends:
                out += self._lost(slot, f"no end within {self._limit_s:g} s")
        return out

    def _heard(self, slot: _Slot) -> Iterable[tuple[Task, Round]]:
        try:
            message: dict[str, Any] | None = slot.worker.heard()
        except Died as death:
            return self._lost(slot, str(death))
        if message is None:
            return []
        if "ready" in message:
            slot.ready = True
            slot.ends = time.monotonic() + self._limit_s
            self.missing = tuple(message["ready"])
            return []
        task, slot.task = slot.task, None
        assert task is not None
        round_ = result(message)
        trouble = self._trouble.new()
        if trouble:
            round_ = round_.replace(facts=(*round_.facts, ("kernel", trouble)))
        return [(task, round_)]

    def _lost(self, slot: _Slot, why: str) -> list[tuple[Task, Round]]:
        self._selector.unregister(slot.worker)
        self._slots.remove(slot)
        slot.worker.close()
        self.replaced += 1
        trouble = self._trouble.new()
        if not slot.ready:
            raise InternalError("worker", "a worker did not start", where="src/holdfast/hunt/worker.py", why=why)
        if slot.task is None:
            return []
        facts = (("worker", why[-1500:]), *((("kernel", trouble),) if trouble else ()))
        return [(slot.task, gone(slot.task, self._kernel, why[-500:], time.monotonic_ns() - slot.began_ns, facts))]

    def close(self) -> None:
        """End every worker, and all that lives in its sandbox."""
        for slot in self._slots:
            slot.worker.end()
        for slot in self._slots:
            slot.worker.close()
        self._slots.clear()
        self._selector.close()
        self._trouble.close()
