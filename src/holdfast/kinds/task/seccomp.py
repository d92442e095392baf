"""task.seccomp: a thread whose system calls are filtered.

Carries:  nothing: a filter's program cannot be attached again as it was, with its listener and its log settings, by this version.
Loses:    nothing: any mode but `none` is refused.
Sources:  seccomp(2), proc_pid_status(5) Seccomp.
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Refusal, StatusKey, Struct, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Verdict
    from holdfast.kinds.evidence import ThreadEvidence

MODES = {1: "strict", 2: "filter"}


class Seccomp(Record):
    """Nothing: a thread under seccomp is refused."""


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim() if ev.status.seccomp_mode else None


def refuse(ev: ThreadEvidence, kernel: Probes) -> Iterator[Verdict]:
    mode, filters = ev.status.seccomp_mode, ev.status.seccomp_filters
    many = f" with {filters} filters" if filters else ""
    yield Refusal(
        "task.seccomp",
        f"{tasks.who(ev)} cannot be dumped: it runs under seccomp ({MODES.get(mode, mode)}{many})",
        tasks.where(ev, "status Seccomp"),
        "a restored thread would run without the filter; seccomp(2)",
        "start it without the sandbox",
    )


KIND = Kind(
    "task.seccomp",
    record=Seccomp,
    subject="thread",
    watches=(Struct("seccomp"), Struct("seccomp_filter"), StatusKey("Seccomp"), StatusKey("Seccomp_filters")),
    verbs=verbs(__name__),
)
