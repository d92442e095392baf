"""task.cgroup: the control groups of the tree's tasks.

Carries:  nothing: a restored tree runs in the restorer's groups, with their limits and accounts.
Loses:    groups that are not the dumper's own, which is said for each.
Sources:  cgroups(7), proc_pid_cgroup(5).
"""

from __future__ import annotations

from holdfast.kernel.procfs.cgroup import parse_cgroup
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Loss, Struct, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Verdict
    from holdfast.kinds.evidence import TreeEvidence

FILE = "cgroup"


class Cgroup(Record):
    """Nothing: groups are the restorer's."""


def _foreign(ev: TreeEvidence) -> dict[bytes, list[int]]:
    # what /proc/PID/cgroup says to the threads that it says it to, where it is not what it says of us
    try:
        own = ev.host.read("self/" + FILE)
    except OSError:  # no CONFIG_CGROUPS
        return {}
    found: dict[bytes, list[int]] = {}
    for process in ev.processes:
        if process.zombie:
            continue
        for thread in tasks.tasks(process):
            text = thread.read(FILE)
            if text != own:
                found.setdefault(text, []).append(tasks.tid(thread))
    return found


def detect(ev: TreeEvidence) -> Claim | None:
    return Claim() if _foreign(ev) else None


def refuse(ev: TreeEvidence, kernel: Probes) -> Iterator[Verdict]:
    own = {(m.hierarchy, m.controllers): m.path for m in parse_cgroup(ev.host.read("self/" + FILE))}
    for text, tids in _foreign(ev).items():
        differs = [m for m in parse_cgroup(text) if own.get((m.hierarchy, m.controllers)) != m.path]
        names = ", ".join(f"{','.join(m.controllers) or 'cgroup2'} {m.path.decode('utf-8', 'backslashreplace')}" for m in differs)
        yield Loss(
            "task.cgroup",
            ev.id,
            f"{len(tids)} threads leave the control groups {names}",
            "a restored tree runs in the restorer's control groups",
        )


KIND = Kind("task.cgroup", record=Cgroup, subject="tree", watches=(Struct("css_set"), Struct("cgroup")), verbs=verbs(__name__))
