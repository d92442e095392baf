"""fd.regular: an open regular file.

Carries:  path, offset, access mode and flags (append, direct, sync, noatime); a file that has no name any more, a memfd; how long what
          is written is expected to live (F_SET_RW_HINT).
Loses:    contents that others change after the dump: a restore refuses where a file that is read and written has changed, where one
          is shorter than it was (unless it is only appended to) or where its name leads to another file; the credentials of who
          opened it, and that this very open made it (F_CREATED_QUERY); advice given by posix_fadvise; sharing of the offset with a
          process outside the tree; before Linux 5.17, a hint of the open file alone (F_SET_FILE_RW_HINT). One that is open for
          writing and has become immutable or append-only since is refused: nobody can open it so again.
Sources:  open(2), fcntl(2), proc_pid_fdinfo(5), Linux fs/open.c do_dentry_open, fs/fcntl.c.
"""

from __future__ import annotations

from stat import S_ISREG

from holdfast.kinds import files
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, compare_fields, verbs
from holdfast.model.record import Record, field
from holdfast.prog.call import ANY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Host, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId


FS_IOC_GETFLAGS, FS_IMMUTABLE_FL, FS_APPEND_FL = 0x80086601, 0x10, 0x20  # include/uapi/linux/fs.h
O_APPEND = 0o2000


class Regular(Record):
    """An open regular file; `inode` names the object where it has no name, and then `path` is empty."""

    path: bytes
    pos: int
    flags: tuple[str, ...]
    size: int  # of the file, bytes
    modified_ns: int
    number: int  # the inode number: tells the file from another that took its name
    inode: ObjectId | None = field(default=None)
    lifetime: str = field(default="")  # of what is written: "", none, short, medium, long, extreme


# Filesystems whose open files hold nothing but an offset and flags (linux/magic.h and the filesystems' own headers).
STORES = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x01021994: "tmpfs",
    0x858458F6: "ramfs",
    0x794C7630: "overlay",
    0xF2F52010: "f2fs",
    0xCA451A4E: "bcachefs",
    0x2FC12FC1: "zfs",
    0x4D44: "vfat",
    0x2011BAB0: "exfat",
    0x7366746E: "ntfs3",
    0x3153464A: "jfs",
    0x3434: "nilfs2",
    0x52654973: "reiserfs",
    0x73717368: "squashfs",
    0xE0F5E1E2: "erofs",
    0x9660: "iso9660",
    0x15013346: "udf",
    0x6969: "nfs",
    0xFF534D42: "cifs",
    0xFE534D42: "smb2",
    0x00C36400: "ceph",
    0x01021997: "9p",
    0x65735546: "fuse",
    0x01161970: "gfs2",
    0x7461636F: "ocfs2",
    0x958458F6: "hugetlbfs",
}
F_GET_RW_HINT, F_SET_RW_HINT = 1035, 1036
LIFETIMES = ("", "none", "short", "medium", "long", "extreme")
WATCHES = (Struct("file"),)


def detect(ev: FileEvidence) -> Claim | None:
    if ev.link[:1] != b"/" or ev.flags & files.PATH or not S_ISREG(ev.stat.st_mode) or ev.borrowed.filesystem not in STORES:
        return None
    return Claim(files.shown(ev.link))


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.regular")
    yield from files.lost_name(ev, "fd.regular")
    hint = _hint(ev)
    if hint >= len(LIFETIMES):
        yield Refusal(
            "fd.regular.hint",
            f"{files.who(ev)} expects a lifetime of what is written that has no name: {hint}",
            ev.where,
            "fcntl(2) F_GET_RW_HINT",
            "teach it to fd.regular",
        )

    if ev.inode is None and ev.flags & files.ACCESS and (lock := _locked(ev)):
        yield Refusal(
            "fd.regular.attribute",
            f"{files.who(ev)} may write {files.shown(ev.link)}, which has become {lock} since it was opened",
            ev.where,
            "no open gives the right to write such a file again; ioctl_iflags(2)",
            f"chattr -{'i' if lock == 'immutable' else 'a'} the file, or close it, and retry",
        )


def _locked(ev: FileEvidence) -> str:
    try:
        bits = ev.borrowed.ioctl_int(FS_IOC_GETFLAGS)
    except OSError:  # ENOTTY and the like: a filesystem without attributes
        return ""
    if bits & FS_IMMUTABLE_FL:
        return "immutable"
    return "append-only" if bits & FS_APPEND_FL and not ev.flags & O_APPEND else ""


def _hint(ev: FileEvidence) -> int:
    raw = ev.borrowed.fcntl(F_GET_RW_HINT, bytes(8))
    assert isinstance(raw, bytes)
    return int.from_bytes(raw, "little")


def dump(ev: FileEvidence) -> Regular:
    st = ev.stat
    return Regular(
        b"" if ev.inode is not None else ev.link,
        ev.info.pos,
        files.names(ev.flags),
        st.st_size,
        st.st_mtime_ns,
        st.st_ino,
        None if ev.inode is None else ev.inode.id,
        LIFETIMES[_hint(ev)],
    )


def ready(rec: Regular, host: Host) -> Iterator[Refusal]:
    if rec.inode is not None:
        return
    st = host.stat(rec.path)
    path = files.shown(rec.path)
    if st is None or not S_ISREG(st.st_mode):
        yield Refusal(
            "fd.regular.missing",
            f"{path}, which was open, is {'not there' if st is None else 'not a regular file'}",
            path,
            "an open file's contents are not part of an image",
            "put it back as it was at the dump",
        )
        return
    same = (st.st_size, st.st_mtime_ns) == (rec.size, rec.modified_ns)
    mode = files.bits(rec.flags) & files.ACCESS
    if not same and st.st_ino != rec.number:
        yield Refusal(
            "fd.regular.replaced",
            f"{path} is not the file that was open: inode {st.st_ino}, {st.st_size} bytes, not {rec.number}, {rec.size} bytes",
            path,
            "the process would go on with another file; one of the same size and modification time is taken for a copy",
            "move the file of the dump back to its name",
        )
    elif not same and mode == files.RDWR:
        yield Refusal(
            "fd.regular.changed",
            f"{path}, which was open for reading and writing, has changed: {st.st_size} bytes, modified at {st.st_mtime_ns} ns, "
            f"not {rec.size} bytes, {rec.modified_ns} ns",
            path,
            "what the process remembers of the file would be wrong, and what it writes would corrupt it",
            "put back the file as it was at the dump, with its times",
        )
    elif st.st_size < rec.size and "O_APPEND" not in rec.flags:
        yield Refusal(
            "fd.regular.shorter",
            f"{path} has {st.st_size} bytes, {rec.size} when it was dumped",
            path,
            f"the process goes on at byte {rec.pos} of what it knows",
            "put back the file as it was at the dump",
        )


def restore(rec: Regular, steps: Steps) -> None:
    flags = files.bits(rec.flags) & ~files.ASYNC
    if rec.inode is None:
        part = steps.part(needs=("born", "paths", "caps"))
        fd = files.open_again(part, rec.path, flags)
    elif "O_NOFOLLOW" in rec.flags and "O_TMPFILE" not in rec.flags:
        # a link of /proc cannot be opened with this flag, so by the name that the file has for the moment
        part = steps.part(needs=("born", "paths", "caps", rec.inode))
        fd = files.open_again(part, steps.record_of(rec.inode, "fd.unlinked").path, flags)
    else:
        part = steps.part(needs=("born", "caps", rec.inode))
        slot = part.slot(rec.inode)
        # only the open that made the file keeps this flag, so this is that one
        fd = part.call("dup", slot) if "O_TMPFILE" in rec.flags else files.reopen(part, slot, flags)
    if rec.pos:
        part.call("lseek", fd, rec.pos, files.SEEK_SET, check=rec.pos)
    if rec.lifetime:
        # only the owner of the file may set it; where that is somebody else and it is gone, the comparison says so
        part.call("fcntl", fd, F_SET_RW_HINT, LIFETIMES.index(rec.lifetime).to_bytes(8, "little"), check=ANY)
    part.opened(fd)


def compare(before: Regular, after: Regular, where: ObjectId) -> Iterator[Difference]:
    # `ready` has judged the file itself
    return compare_fields("fd.regular", where, before, after, ignore=("size", "modified_ns", "number"))


KIND = Kind("fd.regular", record=Regular, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
