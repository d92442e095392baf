"""ns.time: the time namespace of the tree's tasks and of the children that they will make: offsets of the monotonic and boot-time clocks.

Carries:  nothing: a restored tree is in the restorer's.
Loses:    nothing: a task in another one, or whose children would be, is refused.
Sources:  namespaces(7), time_namespaces(7).
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

NAME, OF_CHILDREN = "time", "time_for_children"


class TimeNamespace(Record):
    """Nothing: the namespace is the restorer's."""


def detect(ev: TreeEvidence) -> Claim | None:
    # a process with threads cannot leave its own, but each thread can choose its children's, unshare(2)
    return namespaces.detect(ev, NAME, by_thread=False) or namespaces.detect(ev, OF_CHILDREN)


def refuse(ev: TreeEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from namespaces.refuse(ev, NAME, "its monotonic and boot-time clocks", "time_namespaces(7)", by_thread=False)
    yield from namespaces.refuse(ev, OF_CHILDREN, "its children's", "time_namespaces(7)")


KIND = Kind("ns.time", record=TimeNamespace, subject="tree", watches=(Struct("nsproxy"), Struct("time_namespace")), verbs=verbs(__name__))
