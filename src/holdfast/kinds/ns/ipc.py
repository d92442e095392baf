"""ns.ipc: the ipc namespace of the tree's tasks: System V objects and POSIX message queues.

Carries:  nothing: a restored tree is in the restorer's.
Loses:    nothing: a task in another one is refused.
Sources:  namespaces(7), ipc_namespaces(7).
"""

from __future__ import annotations

from holdfast.kinds import namespaces
from holdfast.kinds.contract import Claim, Kind, Struct, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Verdict
    from holdfast.kinds.evidence import TreeEvidence

NAME = "ipc"


class IpcNamespace(Record):
    """Nothing: the namespace is the restorer's."""


def detect(ev: TreeEvidence) -> Claim | None:
    return namespaces.detect(ev, NAME)


def refuse(ev: TreeEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from namespaces.refuse(ev, NAME, "System V and POSIX message objects", "ipc_namespaces(7)")


KIND = Kind("ns.ipc", record=IpcNamespace, subject="tree", watches=(Struct("nsproxy"), Struct("ipc_namespace")), verbs=verbs(__name__))
