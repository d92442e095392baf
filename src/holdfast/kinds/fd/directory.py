"""fd.directory: an open folder.

Carries:  path, flags, the place in its list of names.
Loses:    changes that others make to the folder after the dump; a restore refuses where the name leads to another folder. A folder that is
          watched by F_NOTIFY is refused.
Sources:  open(2), getdents(2), fcntl(2) F_NOTIFY, Linux fs/readdir.c, fs/notify/dnotify/dnotify.c.
"""

from __future__ import annotations

from stat import S_ISDIR

from holdfast.kinds import files
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, compare_fields, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Host, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId


class Directory(Record):
    """An open folder."""

    path: bytes
    pos: int  # as the filesystem counts: after some names, none or all
    flags: tuple[str, ...]
    number: int  # the inode number


# Filesystems whose place in a folder means the same in every open file: a hash of the name (ext4), a position on disk or an
# index that a file keeps for life. On tmpfs before 6.6 the place was counted with a cursor of the open file's own.
PLACES = {0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0xCA451A4E, 0x73717368, 0xE0F5E1E2, 0x6969}
F_GETOWN_EX = 16
WATCHES = (Struct("file"), Struct("dnotify_mark"))


def detect(ev: FileEvidence) -> Claim | None:
    if ev.link[:1] != b"/" or ev.flags & files.PATH or not S_ISDIR(ev.stat.st_mode):
        return None
    return Claim(files.shown(ev.link))


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.directory")
    yield from files.lost_name(ev, "fd.directory")
    if ev.info.pos and ev.borrowed.filesystem not in PLACES:
        yield Refusal(
            "fd.directory.pos",
            f"{files.who(ev)} is in the middle of reading the folder {files.shown(ev.link)}",
            ev.where,
            f"on this filesystem ({ev.borrowed.filesystem:#x}) an open folder keeps its place itself; Linux fs/libfs.c dcache_dir_lseek",
            "let it read to the end and rewind, and retry",
        )

    if _has_owner(ev):
        yield Refusal(
            "fd.directory.notify",
            f"{files.who(ev)}, the folder {files.shown(ev.link)}, signals its owner: it may be watched by F_NOTIFY",
            ev.where,
            "fcntl(2): F_NOTIFY makes its caller the owner, nothing else shows the watch, and a folder has no other use for an owner",
            "watch it with inotify(7), or close the descriptor and retry",
        )


def _has_owner(ev: FileEvidence) -> bool:
    raw = ev.borrowed.fcntl(F_GETOWN_EX, bytes(8))
    assert isinstance(raw, bytes)
    return any(raw[4:])


def dump(ev: FileEvidence) -> Directory:
    return Directory(ev.link, ev.info.pos, files.names(ev.flags), ev.stat.st_ino)


def ready(rec: Directory, host: Host) -> Iterator[Refusal]:
    st = host.stat(rec.path)
    path = files.shown(rec.path)
    if st is None or not S_ISDIR(st.st_mode):
        what = "not there" if st is None else "not a folder"
        yield Refusal("fd.directory.missing", f"{path}, which was open, is {what}", path, "files are not part of an image", "make it again")
    elif rec.pos and st.st_ino != rec.number:
        yield Refusal(
            "fd.directory.replaced",
            f"{path} is not the folder that was open: inode {st.st_ino}, not {rec.number}",
            path,
            "the process was in the middle of reading it, and its place means nothing in another",
            "move the folder of the dump back to its name",
        )


def restore(rec: Directory, steps: Steps) -> None:
    part = steps.part(needs=("born", "paths", "caps"))
    fd = files.open_again(part, rec.path, files.bits(rec.flags) & ~files.ASYNC)
    if rec.pos:
        part.call("lseek", fd, rec.pos, files.SEEK_SET, check=rec.pos)
    part.opened(fd)


def compare(before: Directory, after: Directory, where: ObjectId) -> Iterator[Difference]:
    # `ready` has judged the folder itself
    return compare_fields("fd.directory", where, before, after, ignore=("number",))


KIND = Kind("fd.directory", record=Directory, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
