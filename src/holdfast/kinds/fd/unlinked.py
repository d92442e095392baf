"""fd.unlinked: a regular file that has no name any more, as long as somebody has it open or mapped.

Carries:  contents (as pages, by the engine), size, owner, mode, times of access and change of contents, extended attributes, the
          attributes A, S and d of chattr(1), the name that the kernel shows; whether it can be given a name (O_TMPFILE).
Loses:    inode number, time of status change, blocks reserved beyond its data, other attributes of chattr(1) that do not forbid it; the
          name shown where another file has taken it; O_EXCL beside O_TMPFILE, which forbids to give it a name; the folder's times change.
          Of a file that is only mapped (such as a POSIX semaphore), for who lacks CAP_CHECKPOINT_RESTORE: whatever the mappings do not
          show: contents outside them or under pages changed privately, size to the byte, mode, times, extended attributes.
Sources:  open(2), unlink(2), ioctl_fsgetxattr(2), linkat(2), proc_pid_map_files(5), Linux fs/namei.c vfs_tmpfile, fs/d_path.c,
          fs/proc/base.c.
"""

from __future__ import annotations

import os
from stat import S_ISREG
from struct import Struct as Format

from holdfast.kernel import flags
from holdfast.kinds import files
from holdfast.kinds.contract import Claim, FlagSet, Kind, Loss, Refusal, Struct, compare_fields, verbs
from holdfast.model.record import Record
from holdfast.prog.call import Block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Host, Probes, Steps, Verdict
    from holdfast.kinds.evidence import InodeEvidence, ProcessEvidence, VmaEvidence
    from holdfast.model.ids import ObjectId

O_CREAT, O_EXCL = 0o100, 0o200
PAGE = 4096
KERNELS_OWN = (b"/memfd:", b"/SYSV", b"/dev/zero (", b"/[aio]", b"/anon_hugepage", b"/secretmem")
FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR = 0x80086601, 0x801C581F, 0x401C5820
FSXATTR = Format("<I8xI12x")  # struct fsxattr: flags, size of extents, how many, project, another size and room
# FS_IMMUTABLE_FL, FS_APPEND_FL, FS_ENCRYPT_FL, FS_VERITY_FL (linux/fs.h): a file that has one cannot be made again by writing it
SETTABLE = 0x20 | 0x40 | 0x80
FORBIDDING = 0x10 | 0x20 | 0x800 | 0x100000


class Attribute(Record):
    """An extended attribute."""

    name: bytes
    value: bytes


class Unlinked(Record):
    """A file without a name."""

    path: bytes  # where it is made again, and then removed
    size: int
    mode: int
    uid: int
    gid: int
    accessed_ns: int
    modified_ns: int
    attributes: tuple[Attribute, ...] = ()
    created: tuple[str, ...] = ()  # how O_TMPFILE opened it: it never had a name
    inode_flags: tuple[str, ...] = ()
    project: int = 0  # whose quota it counts against, where it has such flags: both are set by one call


def _way_in(ev: InodeEvidence) -> bytes:
    # a path of /proc that leads to the file although it has no name
    if ev.files:
        file = ev.files[0]
        return b"/proc/%d/fd/%d" % (file.process.pid, int(file.fd))
    area = ev.vmas[0]
    return b"/proc/%d/map_files/%x-%x" % (area.process.pid, area.vma.start, area.vma.end)


def _stat(ev: InodeEvidence) -> os.stat_result | None:
    # None: map_files is not for this user
    try:
        return os.stat(_way_in(ev))
    except PermissionError:
        if ev.files:
            raise
        return None


def _end(area: VmaEvidence) -> int:
    # offset in the file behind the last page that an area shows: reading fails behind the file's end
    v = area.vma
    low, high = 0, v.size // PAGE
    fd = os.open(b"/proc/%d/mem" % area.process.pid, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while low < high:
            page = (low + high + 1) // 2
            try:
                there = len(os.pread(fd, 1, v.start + (page - 1) * PAGE)) == 1
            except OSError:
                there = False
            low, high = (page, high) if there else (low, page - 1)
    finally:
        os.close(fd)
    return v.offset + low * PAGE


def _process(ev: InodeEvidence) -> ProcessEvidence:
    return ev.files[0].process if ev.files else ev.vmas[0].process


def detect(ev: InodeEvidence) -> Claim | None:
    if ev.link.startswith(KERNELS_OWN) or not ev.link.endswith(files.DELETED):
        return None
    try:
        st = _stat(ev)
    except OSError:
        return None
    if st is None:
        # what maps a device has one of these flags, Linux mm/memory.c remap_pfn_range, vm_insert_page
        regular = not any({"io", "pf", "mm"} & set(area.flags) for area in ev.vmas)
    else:
        regular = S_ISREG(st.st_mode)
    return Claim(files.shown(ev.link)) if regular else None


def _nameless(ev: InodeEvidence) -> tuple[str, ...]:
    # the flags of the open that made it, where that was O_TMPFILE
    for file in ev.files:
        if file.flags & files.TMPFILE == files.TMPFILE:
            return files.names(file.flags)
    if os.path.basename(ev.link) == b"#%d" % ev.ino + files.DELETED:
        return ("O_RDWR", "O_TMPFILE")
    return ()


def _path(ev: InodeEvidence) -> bytes:
    # its old name, or one beside it where that is taken: an O_TMPFILE's is only shown
    old = ev.link.removesuffix(files.DELETED)
    if _nameless(ev) or files.tree_stat(_process(ev), old) is None:
        return old
    return os.path.join(os.path.dirname(old), b".holdfast-%d" % ev.ino)


def refuse(ev: InodeEvidence, kernel: Probes) -> Iterator[Verdict]:
    process = _process(ev)
    where = f"{_way_in(ev).decode()} -> {files.shown(ev.link)}"
    what = f"pid {int(process.pid)} ({files.shown(process.stat.comm)}) holds {files.shown(ev.link)}"
    old = ev.link.removesuffix(files.DELETED)
    folder = files.tree_stat(process, os.path.dirname(old))
    st = _stat(ev)
    if st is None:
        hidden = [area for area in ev.vmas if not area.vma.prot & 1]
        if hidden:
            yield Refusal(
                "fd.unlinked.hidden",
                f"{what}, mapped without the right to read it at {hidden[0].vma.start:#x}",
                where,
                "this user sees of it what the mappings show; proc_pid_map_files(5) asks for CAP_CHECKPOINT_RESTORE",
                "dump it as root",
            )
        yield Loss(
            "fd.unlinked",
            ev.id,
            f"of {files.shown(old)} only what is mapped is carried: no other contents, not its size to the byte, mode and times",
            "proc_pid_map_files(5) asks for CAP_CHECKPOINT_RESTORE",
        )
    if folder is None:
        yield Refusal(
            "fd.unlinked.folder", f"{what}, whose folder is gone too", where, "it has to be made again in that folder", "make the folder"
        )
    elif folder.st_dev != (ev.dev if st is None else st.st_dev):
        yield Loss("fd.unlinked", ev.id, f"{files.shown(old)} is made again on another filesystem", "its own is not at that place any more")
    if st is not None and -1 in files.owner(process, st):
        yield Refusal(
            "fd.unlinked.owner",
            f"{what}, which belongs to user {st.st_uid}, group {st.st_gid}; its user namespace does not know them",
            where,
            "user_namespaces(7)",
            "dump it from the user namespace that made it",
        )
    if _nameless(ev):
        yield Loss(
            "fd.unlinked",
            ev.id,
            f"{files.shown(ev.link)} can be given a name by linkat, even if O_EXCL forbade that",
            "the kernel does not show O_EXCL",
        )
    elif _path(ev) != old:
        yield Loss(
            "fd.unlinked", ev.id, f"{files.shown(ev.link)} will be shown as {files.shown(_path(ev))} (deleted)", "another file has its name"
        )
    forbidding = int.from_bytes(_ioctl(ev, FS_IOC_GETFLAGS, 8), "little") & FORBIDDING
    if forbidding:
        yield Refusal(
            "fd.unlinked.attributes",
            f"{what}, which has file attributes {forbidding:#x}",
            where,
            "it is immutable, append-only, encrypted or sealed by fs-verity; ioctl_iflags(2)",
            "take them off (chattr(1)) and retry",
        )


def _ioctl(ev: InodeEvidence, request: int, size: int) -> bytes:
    # what it writes; zeros on a filesystem without such flags, and where no descriptor can be asked
    file = next((f for f in ev.files if not f.flags & files.PATH), None)
    try:
        return bytes(size) if file is None else file.borrowed.ioctl_bytes(request, bytes(size))
    except OSError:
        return bytes(size)


def dump(ev: InodeEvidence) -> Unlinked:
    way = _way_in(ev)
    st = _stat(ev)
    if st is None:
        status = _process(ev).status
        size = max(_end(area) for area in ev.vmas)
        return Unlinked(_path(ev), size, 0o600, status.uids[3], status.gids[3], 0, 0, (), _nameless(ev))
    uid, gid = files.owner(_process(ev), st)
    attributes = tuple(Attribute(os.fsencode(name), os.getxattr(way, name)) for name in sorted(_attributes(way)))
    bits, project = FSXATTR.unpack(_ioctl(ev, FS_IOC_FSGETXATTR, FSXATTR.size))
    common = flags.names("inode", bits & SETTABLE)
    return Unlinked(
        _path(ev),
        st.st_size,
        st.st_mode & 0o7777,
        uid,
        gid,
        st.st_atime_ns,
        st.st_mtime_ns,
        attributes,
        _nameless(ev),
        common,
        project if common else 0,
    )


def _attributes(way: bytes) -> list[str]:
    try:
        return os.listxattr(way)
    except OSError:
        return []  # a filesystem without them


def ready(rec: Unlinked, host: Host) -> Iterator[Refusal]:
    path = files.shown(rec.path)
    if host.stat(os.path.dirname(rec.path)) is None:
        yield Refusal("fd.unlinked.no_folder", f"the folder of {path} is not there", path, "a file of the image is made in it", "make it")
    elif not os.access(os.path.dirname(rec.path), os.W_OK | os.X_OK):
        yield Refusal(
            "fd.unlinked.closed_folder",
            f"the folder of {path} is not ours to write",
            path,
            "a file of the image is made in it",
            "restore as root",
        )
    elif not rec.created and host.stat(rec.path) is not None:
        yield Refusal(
            "fd.unlinked.taken",
            f"there is a file {path}",
            path,
            "a file that had no name any more is made again under this one, then removed",
            "move it away for the restore",
        )


def restore(rec: Unlinked, steps: Steps) -> None:
    me = steps.subject
    part = steps.part(needs=("born", "paths", "caps"))
    if rec.created:
        made = files.bits(rec.created) & ~files.ASYNC | files.CLOEXEC
        fd = part.call("openat", files.AT_FDCWD, os.path.dirname(rec.path) + b"\0", made, 0o600)
    else:
        fd = files.open_again(part, rec.path, O_CREAT | O_EXCL | files.RDWR, 0o600)
        part.made(rec.path)
    part.call("ftruncate", fd, rec.size)
    files.set_owner(part, fd, rec.uid, rec.gid, rec.mode)
    part.opened(fd)
    # after all that use it: the engine, which fills it, and the descriptors and areas that lead to it
    last = steps.part(needs=("born", "paths", "caps"), ends=(me,))
    slot = last.slot(me)
    for a in rec.attributes:  # writing would take capabilities of a file away
        last.call("fsetxattr", slot, a.name + b"\0", a.value, len(a.value), 0)
    if rec.inode_flags:  # what else chattr(1) sets stays as the filesystem made it
        last.call("ioctl", slot, FS_IOC_FSSETXATTR, Block(FSXATTR.pack(flags.bits("inode", rec.inode_flags), rec.project)))
    last.call("utimensat", slot, 0, files.timespec(rec.accessed_ns) + files.timespec(rec.modified_ns), 0)
    if not rec.created:
        last.call("unlink", rec.path + b"\0")


def compare(before: Unlinked, after: Unlinked, where: ObjectId) -> Iterator[Difference]:
    # a name beside the old one is told as a Loss
    return compare_fields("fd.unlinked", where, before, after, ignore=("path", "accessed_ns"))


KIND = Kind(
    "fd.unlinked",
    record=Unlinked,
    subject="inode",
    claims=True,
    watches=(Struct("inode"), Struct("file"), FlagSet("inode")),
    verbs=verbs(__name__),
)
