"""mm.file: memory that maps a file: programs, libraries, data; private or shared.

Carries:  place, protection, path, offset, sharing, pages that were changed privately, locks and advice; mappings of files that have
          no name any more.
Loses:    contents of a shared mapping that were changed by others after the dump: it maps the file as it then is. A restore refuses
          where the file's size or modification time is not what it was.
Sources:  mmap(2), proc_pid_maps(5), proc_pid_smaps(5).
"""

from __future__ import annotations

import os

from holdfast.kinds import areas, tasks
from holdfast.kinds.contract import Claim, Kind, Refusal, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from holdfast.kinds.contract import Difference, Entry, Host, Part, Probes, Steps, Verdict
    from holdfast.kinds.evidence import VmaEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Call

AT_FDCWD = -100
O_RDWR, O_CLOEXEC = 2, 0o2000000


class FileArea(Record):
    """One area that maps a file; `inode` names the object where the file has no name."""

    start: int
    end: int
    protection: tuple[str, ...]
    shared: bool
    writable: bool  # a shared mapping through a descriptor that was open for writing
    path: bytes
    offset: int
    size: int  # of the file, bytes
    modified_ns: int
    flags: tuple[str, ...] = ()
    inode: ObjectId | None = None
    name: bytes | None = None  # anonymous memory has names, files have not


def detect(ev: VmaEvidence) -> Claim | None:
    """A path that leads to the mapped file, or a nameless file."""
    v = ev.vma
    if not v.has_file or v.name[:1] != b"/" or _anonymous_shared(ev):
        return None
    return Claim(v.path.decode("utf-8", "backslashreplace"))


def _anonymous_shared(ev: VmaEvidence) -> bool:
    # shared anonymous memory is a file of the kernel's own: others carry or refuse it
    return ev.inode is not None and ev.vma.name.startswith((b"/dev/zero (deleted)", b"/SYSV", b"/[aio]", b"/anon_hugepage"))


def refuse(ev: VmaEvidence, kernel: Probes) -> Iterator[Verdict]:
    """Flags that cannot be brought back, and paths that lead elsewhere."""
    v = ev.vma
    yield from areas.refusals(ev, areas.GUARDED)
    if ev.inode is None and _stat(ev) is None:
        yield Refusal(
            "mm.file.path",
            f"pid {int(ev.process.pid)} maps {v.name.decode('utf-8', 'backslashreplace')}, which that path does not lead to",
            areas.where(ev),
            "the file was replaced, or is reached through another mount; proc_pid_maps(5)",
            "restart the program after the upgrade, or run Holdfast in its mount namespace",
        )


def _stat(ev: VmaEvidence) -> Any:
    cache = ev.process._cache
    key = "file " + ev.vma.name.decode("utf-8", "surrogateescape")
    if key not in cache:
        got: Any = False
        try:
            # the path is from our root, or, in another mount namespace, from that one's (fs/d_path.c)
            same = ev.process.namespace("mnt") == tasks.own_namespace(ev.tree, "mnt")
            st = os.stat(ev.vma.path if same else b"/proc/%d/root%s" % (ev.process.pid, ev.vma.path))
            if st.st_ino == ev.vma.inode:
                got = st
        except OSError:
            pass
        cache[key] = got
    return cache[key] or None


def dump(ev: VmaEvidence) -> FileArea:
    """The area; pages changed privately are moved by the engine."""
    v = ev.vma
    st = _stat(ev) if ev.inode is None else None
    return FileArea(
        v.start,
        v.end,
        areas.words(v.prot),
        v.shared,
        "mw" in ev.flags and "sh" in ev.flags,
        v.path if ev.inode is None else b"",
        v.offset,
        st.st_size if st else 0,
        st.st_mtime_ns if st else 0,
        areas.names(ev),
        ev.inode.id if ev.inode is not None else None,
    )


def ready(rec: FileArea, host: Host) -> Iterator[Refusal]:
    """The file must be what it was."""
    if rec.inode is not None:
        return
    st = host.stat(rec.path)
    shown = rec.path.decode("utf-8", "backslashreplace")
    if st is None:
        yield Refusal(
            "mm.file.missing", f"{shown}, which the image maps, is not there", shown, "a mapped file is not part of an image", "put it back"
        )
    elif st.st_size != rec.size or st.st_mtime_ns != rec.modified_ns:
        yield Refusal(
            "mm.file.changed",
            f"{shown}, which the image maps, has changed: "
            f"{st.st_size} bytes, modified {st.st_mtime_ns} ns, not {rec.size} and {rec.modified_ns}",
            shown,
            "a mapped file is not part of an image; mapping another version would be quietly wrong",
            "put the file of the dump back, with its times",
        )


def restore(rec: FileArea, steps: Steps) -> None:
    """Open the file once for all areas of a process that map it, map them where they were, then advice and locks once they are filled."""
    needs = ["clear", "paths", "caps"]
    if rec.inode is not None:
        needs.append(str(rec.inode))
    by_process: dict[ObjectId, list[Entry]] = {}
    for mate in steps.mates:
        by_process.setdefault(areas.owner(mate.id), []).append(mate)
    for process, mates in by_process.items():
        part = steps.part(task=process, needs=needs, gives=("mapped",))
        # what has no name is opened again through the descriptor that the object was made with
        path = rec.path if rec.inode is None else b"/proc/self/fd/%d" % part.slot(rec.inode)
        fd = part.call("openat", AT_FDCWD, path + b"\0", (O_RDWR if rec.writable else 0) | O_CLOEXEC, 0)
        firsts = [_map(part, mate.record, fd, steps, mate.id) for mate in mates]
        part.call("close", fd)
        for mate, first in zip(mates, firsts, strict=True):
            areas.mapped(part, mate.record)
            areas.finish(mate.record, steps, first, mate.id)


# The protection that an area is mapped with until it is filled.
def _map(part: Part, rec: FileArea, fd: Call, steps: Steps, subject: ObjectId) -> int:
    flags = areas.MAP_FIXED_NOREPLACE | (areas.MAP_SHARED if rec.shared else areas.MAP_PRIVATE)
    if "no_reserve" in rec.flags:
        flags |= areas.MAP_NORESERVE
    prot = areas.bits(rec.protection) if rec.shared else areas.first_protection(rec, steps, subject)
    part.call("mmap", rec.start, rec.end - rec.start, prot, flags, fd, rec.offset, check=rec.start)
    return prot


def compare(before: FileArea, after: FileArea, where: ObjectId) -> Iterator[Difference]:
    """Every field but the file's own size and times, which `ready` has judged."""
    skip = ("size", "modified_ns")
    return (d for d in areas.compare("mm.file", where, before, after) if d.field not in skip)


KIND: Any = Kind(
    "mm.file",
    record=FileArea,
    subject="vma",
    claims=True,
    watches=areas.WATCHES,
    verbs=verbs(__name__),
    group=lambda rec: (rec.path, rec.writable, rec.inode),
)
