"""fd.inherited: a pipe or socket on descriptor 0, 1 or 2 that leads out of the tree, replaced by the restorer's own descriptor.

Carries:  which of the restorer's descriptors takes its place.
Loses:    everything else: data in it, who is at its other end. It is only claimed with --external-stdio, and told as a loss.
Sources:  none: the caller decides.
"""

from __future__ import annotations

from holdfast.kinds import files
from holdfast.kinds.contract import Claim, Kind, Loss, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId


class Inherited(Record):
    """A descriptor of the restorer."""

    number: int  # 0, 1 or 2


def detect(ev: FileEvidence) -> Claim | None:
    return Claim(files.shown(ev.link)) if files.inherited(ev) else None


def _number(ev: FileEvidence) -> int:
    return min(int(fd) for _, fd, _ in ev.holders)


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield Loss("fd.inherited", ev.id, f"{files.shown(ev.link)} becomes descriptor {_number(ev)} of the restorer", "--external-stdio")


def dump(ev: FileEvidence) -> Inherited:
    return Inherited(_number(ev))


def restore(rec: Inherited, steps: Steps) -> None:
    # the tree is made from a process of ours that has our standard descriptors
    steps.part(needs=("born",)).opened(rec.number)


def compare(before: Inherited, after: Inherited, where: ObjectId) -> Iterator[Difference]:
    return iter(())


KIND = Kind("fd.inherited", record=Inherited, subject="file", claims=True, verbs=verbs(__name__))
