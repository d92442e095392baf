"""fd.inherited: a pipe or socket on descriptor 0, 1 or 2 that leads out of the tree, replaced by the restorer's own descriptor.

Carries:  which of the restorer's descriptors takes its place.
Loses:    everything else: data in it, who is at its other end. It is only claimed with --external-stdio, and told as a loss.
Sources:  none: the caller decides.
"""

from __future__ import annotations

from holdfast.kinds import files, terminals
from holdfast.kinds.contract import Claim, Kind, Loss, compare_fields, verbs
from holdfast.kinds.terminals import Settings  # noqa: TC001 - a field's type is looked up here
from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId


class Inherited(Record):
    """A descriptor of the restorer, or with `settings` the terminal that is its descriptor 0."""

    number: int  # 0, 1 or 2
    flags: tuple[str, ...] = ()
    settings: Settings | None = field(default=None)


def detect(ev: FileEvidence) -> Claim | None:
    return Claim(files.shown(ev.link)) if files.inherited(ev) or _terminal(ev) else None


def _terminal(ev: FileEvidence) -> bool:
    return ev.tree.options.shell_job and terminals.outside(ev)


def _number(ev: FileEvidence) -> int:
    return min(int(fd) for _, fd, _ in ev.holders)


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    if _terminal(ev):
        yield from files.unknown_flags(ev, "fd.inherited")
        yield Loss("fd.inherited", ev.id, f"the terminal {files.shown(ev.link)} becomes the restorer's", "--shell-job")
    else:
        yield Loss("fd.inherited", ev.id, f"{files.shown(ev.link)} becomes descriptor {_number(ev)} of the restorer", "--external-stdio")


def dump(ev: FileEvidence) -> Inherited:
    if not _terminal(ev):
        return Inherited(_number(ev))
    settings = terminals.settings(ev.borrowed.ioctl_bytes(terminals.TCGETS2, bytes(44)))
    return Inherited(0, files.names(ev.flags), settings)


def restore(rec: Inherited, steps: Steps) -> None:
    # the tree is made from a process of ours that has our standard descriptors
    part = steps.part(needs=("born",))
    if rec.settings is None:
        part.opened(rec.number)
        return
    fd = files.reopen(part, 0, files.bits(rec.flags) & ~files.ASYNC | terminals.O_NOCTTY)
    part.call("ioctl", fd, terminals.TCSETS2, terminals.termios2(rec.settings))  # fails where descriptor 0 is no terminal
    part.opened(fd)


def compare(before: Inherited, after: Inherited, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.inherited", where, before, after, ignore=("number",) if before.settings is None else ())


KIND = Kind("fd.inherited", record=Inherited, subject="file", claims=True, verbs=verbs(__name__))
