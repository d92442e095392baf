"""fd.signalfd: a descriptor that reads signals.

Carries:  the signals that it reads, status flags.
Loses:    nothing: the signals wait with the process, not here.
Sources:  signalfd(2), proc_pid_fdinfo(5), Linux fs/signalfd.c.
"""

from __future__ import annotations

from holdfast.kernel import flags
from holdfast.kernel.procfs import fdinfo
from holdfast.kinds import files
from holdfast.kinds.contract import Claim, FdinfoKey, FlagSet, Kind, Link, Struct, compare_fields, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId


class Signalfd(Record):
    """A signalfd."""

    signals: tuple[str, ...]
    flags: tuple[str, ...] = ()


LINK = b"anon_inode:[signalfd]"
WATCHES = (Struct("signalfd_ctx"), Link("anon_inode:[signalfd]"), FdinfoKey("sigmask"), FlagSet("signal"))


def detect(ev: FileEvidence) -> Claim | None:
    return Claim() if ev.link == LINK else None


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.signalfd")


def dump(ev: FileEvidence) -> Signalfd:
    return Signalfd(flags.names("signal", fdinfo.signalfd_mask(ev.info)), files.names(ev.flags))


def restore(rec: Signalfd, steps: Steps) -> None:
    part = steps.part(needs=("born",))
    made = files.bits(rec.flags) & files.NONBLOCK
    fd = part.call("signalfd4", -1, flags.bits("signal", rec.signals).to_bytes(8, "little"), 8, made)
    files.set_flags(part, fd, rec.flags, made=made)
    part.opened(fd)


def compare(before: Signalfd, after: Signalfd, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.signalfd", where, before, after)


KIND = Kind("fd.signalfd", record=Signalfd, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
