"""ns.user: the user namespace of the tree's tasks: user and group ids, capabilities.

Carries:  nothing: a restored tree is in the restorer's. A job of `holdfast run` has its own, which a restore makes anew.
Loses:    nothing: a task in another one is refused.
Sources:  namespaces(7), user_namespaces(7).
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

NAME = "user"


class UserNamespace(Record):
    """Nothing: the namespace is the restorer's."""


def detect(ev: TreeEvidence) -> Claim | None:
    return namespaces.detect(ev, NAME, by_thread=False)  # a process with threads cannot leave it, unshare(2)


def refuse(ev: TreeEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from namespaces.refuse(ev, NAME, "its user ids and privileges", "user_namespaces(7)", by_thread=False)


KIND = Kind("ns.user", record=UserNamespace, subject="tree", watches=(Struct("nsproxy"), Struct("user_namespace")), verbs=verbs(__name__))
