"""task.affinity: on which CPUs a thread may run.

Carries:  the set of CPUs; a thread that may run on every one stays free to, on a machine with more.
Loses:    whether a thread that may run on every CPU once asked for it.
Sources:  sched_setaffinity(2), proc_pid_status(5) Cpus_allowed, cpuset(7).
"""

from __future__ import annotations

import os

from holdfast.kinds.contract import Claim, Kind, Refusal, StatusKey, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Host, Steps
    from holdfast.kinds.evidence import ThreadEvidence

SYSFS = b"/sys/devices/system/cpu"


class Affinity(Record):
    """The CPUs that a thread may run on, sorted; none stands for every CPU."""

    cpus: tuple[int, ...]


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def dump(ev: ThreadEvidence) -> Affinity:
    mask = int(ev.status.text("Cpus_allowed").replace(b",", b""), 16)
    if mask.bit_count() >= (os.cpu_count() or 1):
        return Affinity(())
    return Affinity(tuple(i for i in range(mask.bit_length()) if mask >> i & 1))


def ready(rec: Affinity, host: Host) -> Iterator[Refusal]:
    if not rec.cpus or host.stat(SYSFS) is None:
        return
    missing = [cpu for cpu in rec.cpus if host.stat(SYSFS + b"/cpu%d" % cpu) is None]
    if missing:
        yield Refusal(
            "task.affinity",
            f"a thread is bound to the CPUs {rec.cpus}, of which this machine lacks {tuple(missing)}",
            SYSFS.decode(),
            "a program that bound itself to a CPU may rely on it; sched_setaffinity(2)",
            "restore on a machine with these CPUs",
        )


def restore(rec: Affinity, steps: Steps) -> None:
    """Nothing to emit: until the last the engine keeps the tasks where it runs itself, and then it lets them go where this says."""


KIND = Kind(
    "task.affinity",
    record=Affinity,
    subject="thread",
    watches=(StatusKey("Cpus_allowed"), StatusKey("Cpus_allowed_list")),
    verbs=verbs(__name__),
)
