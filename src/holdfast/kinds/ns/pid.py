"""ns.pid: the pid namespace of the tree's tasks and of the children that they will make: process numbers.

Carries:  nothing: a restored tree is in the restorer's. A job of `holdfast run` has its own, which a restore makes anew.
Loses:    nothing: a task in another one, or whose children would be, is refused.
Sources:  namespaces(7), pid_namespaces(7).
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

NAME, OF_CHILDREN = "pid", "pid_for_children"


class PidNamespace(Record):
    """Nothing: the namespace is the restorer's."""


def detect(ev: TreeEvidence) -> Claim | None:
    # a process with threads cannot leave its own, but each thread can choose its children's, unshare(2)
    return namespaces.detect(ev, NAME, by_thread=False) or namespaces.detect(ev, OF_CHILDREN)


def refuse(ev: TreeEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from namespaces.refuse(ev, NAME, "its process numbers", "pid_namespaces(7)", by_thread=False)
    yield from namespaces.refuse(ev, OF_CHILDREN, "its children's", "pid_namespaces(7)")


KIND = Kind("ns.pid", record=PidNamespace, subject="tree", watches=(Struct("nsproxy"), Struct("pid_namespace")), verbs=verbs(__name__))
