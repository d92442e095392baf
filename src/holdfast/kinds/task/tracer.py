"""task.tracer: a task that somebody traces.

Carries:  nothing.
Loses:    nothing: a traced task is refused. (Once stopped by us it has us as its tracer, so the question is for a running one.)
Sources:  ptrace(2), proc_pid_status(5) TracerPid.
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Refusal, StatusKey, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Verdict
    from holdfast.kinds.evidence import ThreadEvidence


class Tracer(Record):
    """Nothing: a traced task is refused."""


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim() if ev.stopped is None and ev.status.tracer_pid else None


def refuse(ev: ThreadEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield Refusal(
        "task.traced",
        f"{tasks.who(ev)} cannot be dumped: process {ev.status.tracer_pid} traces it",
        tasks.where(ev, "status TracerPid"),
        "a task has at most one tracer, ptrace(2)",
        "end the debugger or tracer and retry",
    )


KIND = Kind("task.tracer", record=Tracer, subject="thread", watches=(StatusKey("TracerPid"),), verbs=verbs(__name__))
