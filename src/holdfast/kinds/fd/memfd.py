"""fd.memfd: memory behind a descriptor that has a name only to show (memfd_create).

Carries:  name, contents (as pages, by the engine), size, seals, owner, mode, times of access and of change of contents, extended
          attributes; that memory is reserved for all of it (fallocate), also beyond its end.
Loses:    inode number, time of status change, memory reserved for a part of it. One that chattr(1) has given attributes is refused.
Sources:  memfd_create(2), fallocate(2), fcntl_locking(2), F_GET_SEALS(2const), Linux mm/memfd.c.
"""

from __future__ import annotations

import os

from holdfast.kernel import flags
from holdfast.kinds import files
from holdfast.kinds.contract import Claim, FlagSet, Kind, Refusal, Struct, compare_fields, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence, InodeEvidence
    from holdfast.model.ids import ObjectId

MFD_CLOEXEC, MFD_ALLOW_SEALING = 1, 2
F_ADD_SEALS, F_GET_SEALS = 1033, 1034
F_SEAL_SEAL = 1
HUGETLBFS_MAGIC = 0x958458F6
FS_IOC_GETFLAGS = 0x80086601
LINK = b"/memfd:"
FALLOC_FL_KEEP_SIZE, BLOCK, PAGE = 1, 512, 4096


class Attribute(Record):
    """An extended attribute."""

    name: bytes
    value: bytes


class Memfd(Record):
    """Memory behind a descriptor."""

    name: bytes
    size: int
    seals: tuple[str, ...]
    mode: int
    uid: int
    gid: int
    modified_ns: int
    accessed_ns: int | None = None
    attributes: tuple[Attribute, ...] = ()
    reserved: int = 0  # bytes from its start, where that is more than there is data


def detect(ev: InodeEvidence) -> Claim | None:
    return Claim(files.shown(ev.link)) if ev.link.startswith(LINK) else None


def _file(ev: InodeEvidence) -> FileEvidence | None:
    return next((f for f in ev.files if not f.flags & files.PATH), None)


def refuse(ev: InodeEvidence, kernel: Probes) -> Iterator[Verdict]:
    file = _file(ev)
    if file is None:
        area = ev.vmas[0] if ev.vmas else None
        yield Refusal(
            "fd.memfd.mapped",
            f"{files.shown(ev.link)} is mapped, and no process of the tree has it open",
            "" if area is None else f"/proc/{int(area.process.pid)}/maps {area.vma.start:x}",
            "its seals show only to who has it open; F_GET_SEALS(2const)",
            "keep a descriptor of it open",
        )
        return
    who = files.who(file)
    if file.borrowed.filesystem == HUGETLBFS_MAGIC:
        yield Refusal(
            "fd.memfd.huge",
            f"{who} is a memfd of huge pages",
            file.where,
            "MFD_HUGETLB, memfd_create(2): its pages are not copied yet",
            "use small pages",
        )
    seals = int(file.borrowed.fcntl(F_GET_SEALS))
    try:
        flags.names("seal", seals)
    except flags.UnknownFlag as e:
        yield Refusal(
            "fd.memfd.seals", f"{who} has seals that Holdfast does not know: {e}", file.where, "F_GET_SEALS(2const)", "see `holdfast drift`"
        )
    given = _flags(file)
    if given:
        yield Refusal(
            "fd.memfd.attributes",
            f"{who} is a memfd with file attributes {given:#x}",
            file.where,
            "ioctl_iflags(2): it is immutable, append-only, or keeps no time of access; no kind carries that",
            "take them off (FS_IOC_SETFLAGS) and retry",
        )
    if -1 in files.owner(file.process, file.stat):
        yield Refusal(
            "fd.memfd.owner",
            f"{who} belongs to user {file.stat.st_uid}, group {file.stat.st_gid}, which its user namespace does not know",
            file.where,
            "user_namespaces(7)",
            "dump it from the user namespace that made it",
        )


def _flags(file: FileEvidence) -> int:
    try:
        return file.borrowed.ioctl_int(FS_IOC_GETFLAGS)
    except OSError:  # before Linux 6.6 tmpfs had none
        return 0


def dump(ev: InodeEvidence) -> Memfd:
    file = _file(ev)
    assert file is not None
    st = file.stat
    uid, gid = files.owner(file.process, st)
    seals = flags.names("seal", int(file.borrowed.fcntl(F_GET_SEALS)))
    name = ev.link[len(LINK) :].removesuffix(files.DELETED)
    way = b"/proc/%d/fd/%d" % (file.process.pid, int(file.fd))
    try:
        listed = os.listxattr(way)
    except OSError:
        listed = []  # before Linux 6.6 tmpfs had no user attributes
    attributes = tuple(Attribute(os.fsencode(n), os.getxattr(way, n)) for n in sorted(listed))
    mode, reserved = st.st_mode & 0o7777, _reserved(way, st)
    return Memfd(name, st.st_size, seals, mode, uid, gid, st.st_mtime_ns, st.st_atime_ns, attributes, reserved)


def _reserved(way: bytes, st: os.stat_result) -> int:
    # memory that was reserved and not written yet is a hole to who looks for data, mm/filemap.c mapping_seek_hole_data
    there = st.st_blocks * BLOCK
    whole = (st.st_size + PAGE - 1) // PAGE * PAGE
    if not there or there < whole:
        return 0
    if there > whole:
        return there
    try:
        fd = os.open(way, os.O_RDONLY | os.O_CLOEXEC)  # its own place in the file, not the target's
    except OSError:
        return there
    try:
        return there if os.lseek(fd, 0, os.SEEK_HOLE) < st.st_size else 0
    finally:
        os.close(fd)


def restore(rec: Memfd, steps: Steps) -> None:
    me = steps.subject
    part = steps.part(needs=("born", "caps"))
    fd = part.call("memfd_create", rec.name + b"\0", MFD_CLOEXEC | MFD_ALLOW_SEALING)
    part.call("ftruncate", fd, rec.size)
    files.set_owner(part, fd, rec.uid, rec.gid, rec.mode)
    part.opened(fd)
    # seals forbid what the engine and others still have to do, so they come after all that use it
    last = steps.part(needs=("born", "caps"), ends=(me,))
    slot = last.slot(me)
    for a in rec.attributes:  # writing would take capabilities of a file away
        last.call("fsetxattr", slot, a.name + b"\0", a.value, len(a.value), 0)
    accessed = rec.modified_ns if rec.accessed_ns is None else rec.accessed_ns
    if rec.reserved:
        last.call("fallocate", slot, FALLOC_FL_KEEP_SIZE, 0, rec.reserved)
    last.call("utimensat", slot, 0, files.timespec(accessed) + files.timespec(rec.modified_ns), 0)
    seals = flags.bits("seal", rec.seals)
    if seals:
        last.call("fcntl", slot, F_ADD_SEALS, seals, check=0)


def compare(before: Memfd, after: Memfd, where: ObjectId) -> Iterator[Difference]:
    # reading its contents is an access; how much more than was asked for is reserved depends on the size of pages
    enough = ("reserved",) if after.reserved >= before.reserved else ()
    return compare_fields("fd.memfd", where, before, after, ignore=("accessed_ns", *enough))


KIND = Kind(
    "fd.memfd",
    record=Memfd,
    subject="inode",
    claims=True,
    watches=(Struct("shmem_inode_info"), Struct("inode"), FlagSet("seal")),
    verbs=verbs(__name__),
)
