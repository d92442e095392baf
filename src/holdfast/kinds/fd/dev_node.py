"""fd.dev_node: one of the devices without state: null, zero, full, random, urandom.

Carries:  path, flags.
Loses:    nothing: the devices keep nothing for an open file.
Sources:  null(4), random(4), Linux drivers/char/mem.c, drivers/char/random.c.
"""

from __future__ import annotations

from stat import S_ISCHR

from holdfast.kinds import files
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, compare_fields, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Host, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId


class DevNode(Record):
    """An open device without state."""

    path: bytes
    device: str  # null, zero, full, random, urandom
    flags: tuple[str, ...]


# major 1, drivers/char/mem.c devlist; Documentation/admin-guide/devices.txt
DEVICES = {(1, 3): "null", (1, 5): "zero", (1, 7): "full", (1, 8): "random", (1, 9): "urandom"}
WATCHES = (Struct("file"),)


def detect(ev: FileEvidence) -> Claim | None:
    if ev.link[:1] != b"/" or ev.flags & files.PATH or not S_ISCHR(ev.stat.st_mode) or files.device(ev.stat.st_rdev) not in DEVICES:
        return None
    return Claim(files.shown(ev.link))


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.dev_node")
    yield from files.lost_name(ev, "fd.dev_node")
    if ev.info.pos:
        yield Refusal(
            "fd.dev_node.pos",
            f"{files.who(ev)} is at offset {ev.info.pos} of a device that has no offsets",
            ev.where,
            "drivers/char/mem.c null_lseek keeps the offset at 0",
            "report it",
        )


def dump(ev: FileEvidence) -> DevNode:
    return DevNode(ev.link, DEVICES[files.device(ev.stat.st_rdev)], files.names(ev.flags))


def ready(rec: DevNode, host: Host) -> Iterator[Refusal]:
    st = host.stat(rec.path)
    if st is None or not S_ISCHR(st.st_mode) or DEVICES.get(files.device(st.st_rdev)) != rec.device:
        path = files.shown(rec.path)
        yield Refusal(
            "fd.dev_node.missing", f"{path} is not the device {rec.device}", path, "it was open", "make the device node (mknod(1))"
        )


def restore(rec: DevNode, steps: Steps) -> None:
    part = steps.part(needs=("born", "paths", "caps"))
    part.opened(files.open_again(part, rec.path, files.bits(rec.flags) & ~files.ASYNC))


def compare(before: DevNode, after: DevNode, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.dev_node", where, before, after)


KIND = Kind("fd.dev_node", record=DevNode, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
