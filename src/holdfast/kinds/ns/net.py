"""ns.net: the net namespace of the tree's tasks: interfaces, addresses, routes, sockets.

Carries:  nothing: a restored tree is in the restorer's.
Loses:    nothing: a task in another one is refused.
Sources:  namespaces(7), network_namespaces(7).
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

NAME = "net"


class NetNamespace(Record):
    """Nothing: the namespace is the restorer's."""


def detect(ev: TreeEvidence) -> Claim | None:
    return namespaces.detect(ev, NAME)


def refuse(ev: TreeEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from namespaces.refuse(ev, NAME, "its network, with interfaces, addresses and ports,", "network_namespaces(7)")


KIND = Kind("ns.net", record=NetNamespace, subject="tree", watches=(Struct("nsproxy"), Struct("net")), verbs=verbs(__name__))
