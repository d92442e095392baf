"""fd.inotify: an inotify instance and what it watches.

Carries:  every watch: its number, a path that leads to the file, its events; status flags.
Loses:    which number the next new watch gets; events between the dump and the restore. Events that wait to be read are refused, and a
          watched file whose path cannot be found.
Sources:  inotify(7), proc_pid_fdinfo(5), open_by_handle_at(2), Linux fs/notify/inotify/inotify_user.c.
"""

from __future__ import annotations

import os

from holdfast.kernel import handles
from holdfast.kernel.procfs import fdinfo
from holdfast.kernel.procfs.mountinfo import parse_mountinfo
from holdfast.kinds import files
from holdfast.kinds.contract import Claim, FdinfoKey, Kind, Link, Refusal, Struct, compare_fields, verbs
from holdfast.model.record import Record
from holdfast.prog.call import ANY, Out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kernel.procfs.fdinfo import InotifyWatch
    from holdfast.kinds.contract import Difference, Host, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId

FIONREAD = 0x541B
IN_DONT_FOLLOW = 0x2000000
# linux/inotify.h: what a watch keeps of what it was added with
EVENTS = {
    "IN_ACCESS": 0x1,
    "IN_MODIFY": 0x2,
    "IN_ATTRIB": 0x4,
    "IN_CLOSE_WRITE": 0x8,
    "IN_CLOSE_NOWRITE": 0x10,
    "IN_OPEN": 0x20,
    "IN_MOVED_FROM": 0x40,
    "IN_MOVED_TO": 0x80,
    "IN_CREATE": 0x100,
    "IN_DELETE": 0x200,
    "IN_DELETE_SELF": 0x400,
    "IN_MOVE_SELF": 0x800,
    "IN_UNMOUNT": 0x2000,
    "IN_EXCL_UNLINK": 0x4000000,
    "IN_ONESHOT": 0x80000000,
}
# the kernel counts up and never fills gaps, so a high number is reached by as many watches that come and go
HIGHEST = 5000
SPARE = b"/proc/self/ns\0"  # hardly anybody watches it: a watch of the same file would have the same number


class Watch(Record):
    """One watch."""

    number: int
    path: bytes
    events: tuple[str, ...]


class Inotify(Record):
    """An inotify instance; watches are sorted by number."""

    watches: tuple[Watch, ...]
    flags: tuple[str, ...] = ()


LINK = (b"anon_inode:inotify", b"anon_inode:[inotify]")
WATCHES = (Struct("inotify_inode_mark"), Struct("fsnotify_group"), Link("anon_inode:inotify"), FdinfoKey("inotify"))


def detect(ev: FileEvidence) -> Claim | None:
    return Claim() if ev.link in LINK else None


def _path(ev: FileEvidence, watch: InotifyWatch) -> bytes | None:
    if watch.handle is None or ev.process.namespace("mnt") != files.known(ev.tree).mounts:
        return None
    device = fdinfo.device(watch.sdev)
    for mount in parse_mountinfo(ev.process.read("mountinfo")):
        if (mount.major, mount.minor) != device:
            continue
        try:
            path = handles.path_of(mount.point, *watch.handle)
            if os.lstat(path).st_ino == watch.ino:
                return path
        except OSError:
            continue  # another mount of the filesystem may lead to it
    return None


def _events(mask: int) -> tuple[str, ...]:
    left = mask & ~sum(EVENTS.values())
    if left:
        raise ValueError(f"{left:#x}")
    return tuple(sorted(name for name, value in EVENTS.items() if mask & value))


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.inotify")
    if ev.borrowed.ioctl_int(FIONREAD):
        yield Refusal(
            "fd.inotify.pending",
            f"{files.who(ev)} is an inotify instance with events that were not read",
            ev.where,
            "nothing reads them without taking them; inotify(7)",
            "let the program read them, and retry",
        )
    for watch in fdinfo.inotify_watches(ev.info):
        if _path(ev, watch) is None:
            yield Refusal(
                "fd.inotify.path",
                f"{files.who(ev)} watches inode {watch.ino} on device {watch.sdev:#x}, and no path to it was found",
                ev.where,
                "the kernel tells a handle only; open_by_handle_at(2) needs CAP_DAC_READ_SEARCH and a filesystem that has handles",
                "run Holdfast as root in the mount namespace of the process, or remove the watch",
            )
        if watch.wd > HIGHEST:
            yield Refusal(
                "fd.inotify.number",
                f"{files.who(ev)} has watch number {watch.wd}",
                ev.where,
                f"numbers above {HIGHEST} take too long to reach; Linux fs/notify/inotify/inotify_user.c idr_alloc_cyclic",
                "let the program make its inotify instance anew",
            )
        try:
            _events(watch.mask)
            unknown = str(watch.more) if watch.more else ""
        except ValueError as e:
            unknown = f"events {e}"
        if unknown:
            yield Refusal(
                "fd.inotify.unknown", f"{files.who(ev)}: watch {watch.wd} has {unknown}", ev.where, "inotify(7)", "see `holdfast drift`"
            )


def dump(ev: FileEvidence) -> Inotify:
    out = []
    for watch in fdinfo.inotify_watches(ev.info):
        path = _path(ev, watch)
        assert path is not None
        out.append(Watch(watch.wd, path, _events(watch.mask)))
    return Inotify(tuple(sorted(out, key=lambda w: w.number)), files.names(ev.flags))


def ready(rec: Inotify, host: Host) -> Iterator[Refusal]:
    for watch in rec.watches:
        if host.stat(watch.path) is None:
            path = files.shown(watch.path)
            yield Refusal(
                "fd.inotify.missing", f"{path}, which was watched, is not there", path, "files are not part of an image", "put it back"
            )


def restore(rec: Inotify, steps: Steps) -> None:
    part = steps.part(needs=("born",))
    made = files.bits(rec.flags) & files.NONBLOCK
    fd = part.call("inotify_init1", made)
    files.set_flags(part, fd, rec.flags, made=made)
    part.opened(fd)
    if rec.watches:
        _watch(rec, steps)


def _watch(rec: Inotify, steps: Steps) -> None:
    # once every file of the tree is open, for opening them is an event, too
    process, fd = steps.holders(steps.subject)[0]
    living = [p for p in steps.processes() if not getattr(steps.record_of(p, "task.process"), "zombie", False)]
    everywhere = [steps.key(word, p) for word in ("fds", "mm") for p in living]
    part = steps.part(task=process, needs=("paths", "caps", *everywhere))
    part.call("fcntl", fd, files.F_SETFL, files.NONBLOCK)
    number = 0
    for watch in rec.watches:
        for spare in range(number + 1, watch.number):
            part.call("inotify_add_watch", fd, SPARE, EVENTS["IN_DELETE_SELF"], check=spare)
            part.call("inotify_rm_watch", fd, spare, check=0)
        mask = sum(EVENTS[name] for name in watch.events) | IN_DONT_FOLLOW
        part.call("inotify_add_watch", fd, watch.path + b"\0", mask, check=watch.number)
        number = watch.number
    # each watch that went has left an event that says so (IN_IGNORED), of 16 bytes
    gaps = number - len(rec.watches)
    if gaps:
        part.call("read", fd, Out(gaps * 16), gaps * 16, check=ANY)  # fewer where the kernel joins equal events
    part.call("fcntl", fd, files.F_SETFL, files.bits(rec.flags) & files.SETTABLE)


def compare(before: Inotify, after: Inotify, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.inotify", where, before, after)


KIND = Kind("fd.inotify", record=Inotify, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
