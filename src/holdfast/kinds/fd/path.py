"""fd.path: a place in the file tree held open by O_PATH: a file, folder, symbolic link, socket or device that is named, not opened.

Carries:  path, flags.
Loses:    nothing but what happens to the file itself: a restore refuses where the name leads to a file of another sort.
Sources:  open(2) O_PATH, Linux fs/open.c do_dentry_open.
"""

from __future__ import annotations

from stat import S_IFMT

from holdfast.kinds import files
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, compare_fields, verbs
from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Host, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId

SORTS = {
    0o100000: "regular",
    0o040000: "directory",
    0o120000: "symlink",
    0o010000: "fifo",
    0o140000: "socket",
    0o020000: "char",
    0o060000: "block",
}


class Path(Record):
    """A place in the file tree; `inode` names the object where it has no name, and then `path` is empty."""

    path: bytes
    flags: tuple[str, ...]
    sort: str  # regular, directory, symlink, fifo, socket, char, block
    inode: ObjectId | None = field(default=None)


def detect(ev: FileEvidence) -> Claim | None:
    if not ev.flags & files.PATH or ev.link[:1] != b"/" or S_IFMT(ev.stat.st_mode) not in SORTS:
        return None
    return Claim(files.shown(ev.link))


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.path")
    yield from files.lost_name(ev, "fd.path")


def dump(ev: FileEvidence) -> Path:
    inode = ev.inode
    return Path(
        b"" if inode is not None else ev.link,
        files.names(ev.flags),
        SORTS[S_IFMT(ev.stat.st_mode)],
        None if inode is None else inode.id,
    )


def ready(rec: Path, host: Host) -> Iterator[Refusal]:
    if rec.inode is not None or rec.sort == "symlink":  # Host.stat follows links; openat2 will say what is wrong with one
        return
    st = host.stat(rec.path)
    if st is None and rec.sort == "socket":
        return  # a socket of the image may be bound there; openat2 will say if none is
    if st is None or SORTS.get(S_IFMT(st.st_mode)) != rec.sort:
        path = files.shown(rec.path)
        yield Refusal(
            "fd.path.missing",
            f"{path}, which was held open, is {'not there' if st is None else f'not a {rec.sort}'}",
            path,
            "files are not part of an image",
            "put it back as it was at the dump",
        )


def restore(rec: Path, steps: Steps) -> None:
    if rec.inode is None:
        part = steps.part(needs=("born", "paths", "caps"))
        part.opens(rec.path)
        fd = files.open_again(part, rec.path, files.bits(rec.flags))
    else:
        part = steps.part(needs=("born", rec.inode))
        fd = files.reopen(part, part.slot(rec.inode), files.bits(rec.flags))
    part.opened(fd)


def compare(before: Path, after: Path, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.path", where, before, after)


KIND = Kind("fd.path", record=Path, subject="file", claims=True, watches=(Struct("file"),), verbs=verbs(__name__))
