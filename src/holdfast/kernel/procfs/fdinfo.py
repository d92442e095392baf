"""One descriptor's /proc/PID/fdinfo/FD: four keys that all have, then lines that depend on what it is.

`parse_fdinfo` splits and keeps every line; a function per kind of object reads the lines of that kind. What the
kernel adds to such a line is kept in `more`.
"""

from __future__ import annotations

from holdfast.kernel.procfs.locks import Lock, parse_lock
from holdfast.kernel.procfs.malformed import malformed, missing
from holdfast.model.record import Record

_SOURCE = "proc_pid_fdinfo(5), Linux fs/proc/fd.c seq_show"
NSEC = 1_000_000_000


class FdInfo(Record):
    """What the kernel tells about one descriptor."""

    pos: int  # the file offset; signed
    flags: int  # as F_GETFL gives them, with O_CLOEXEC added when the descriptor has it
    mnt_id: int
    ino: int | None  # None before Linux 5.14 (3845f256a8b5, "procfs/fdinfo: add inode number for fd")
    lines: tuple[tuple[str, bytes], ...]  # all others, in order: key, value without the white space before it

    def all(self, key: str) -> list[bytes]:
        """Every value of a key, in order."""
        return [value for name, value in self.lines if name == key]

    def one(self, key: str) -> bytes:
        """The value of a key.

        Raises:  kernel_lacks.proc_key: the kernel does not print it
        """
        for name, value in self.lines:
            if name == key:
                return value
        raise missing("fdinfo", key, _SOURCE)

    def get(self, key: str) -> bytes | None:
        """The value of a key, or None."""
        for name, value in self.lines:
            if name == key:
                return value
        return None

    def keys(self) -> list[str]:
        """The keys of `lines`, each once, in order; `inotify` and `fanotify` for the lines that begin so."""
        return list(dict.fromkeys(name for name, _ in self.lines))

    def locks(self) -> list[Lock]:
        """The locks held through this descriptor's open file description, or by its process on its file."""
        return [parse_lock(value) for value in self.all("lock")]


def parse_fdinfo(data: bytes) -> FdInfo:
    """The lines of /proc/PID/fdinfo/FD.

    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  proc_pid_fdinfo(5), Linux fs/proc/fd.c seq_show
    """
    pos = flags = mnt_id = ino = None
    lines = []
    line = b""
    try:
        for line in data.split(b"\n"):
            key, colon, value = line.partition(b":")
            if key == b"pos":
                pos = int(value)
            elif key == b"flags":
                flags = int(value, 8)
            elif key == b"mnt_id":
                mnt_id = int(value)
            elif key == b"ino":
                ino = int(value)
            elif key[:8] == b"inotify ":
                lines.append(("inotify", line[8:]))
            elif key[:9] == b"fanotify ":
                lines.append(("fanotify", line[9:]))
            elif line:
                # A line without a colon is kept whole, as a key: io_uring prints some.
                lines.append((key.decode("ascii", "backslashreplace"), value.lstrip() if colon else b""))
        if pos is None or flags is None or mnt_id is None:
            line = data
            raise ValueError(data)
    except ValueError as cause:
        raise malformed("fdinfo", line, _SOURCE) from cause
    return FdInfo(pos, flags, mnt_id, ino, tuple(lines))


# `pos:0 ino:2bde` and `events:       19` alike, to name and text.
def _pairs(value: bytes) -> dict[str, bytes]:
    words = value.replace(b":", b" ").split()
    if len(words) % 2:
        raise ValueError(value)
    return {words[i].decode("ascii"): words[i + 1] for i in range(0, len(words), 2)}


def _more(pairs: dict[str, bytes]) -> tuple[tuple[str, bytes], ...]:
    return tuple(pairs.items())


def device(number: int) -> tuple[int, int]:
    """Major and minor of a device number as fdinfo prints one.

    Source:  Linux include/linux/kdev_t.h MAJOR, MINOR
    """
    return number >> 20, number & 0xFFFFF


class Eventfd(Record):
    """The lines of an eventfd; `semaphore` is None on a kernel that does not say (before 6.5)."""

    count: int
    id: int | None
    semaphore: bool | None


def eventfd(info: FdInfo) -> Eventfd:
    """The counter of an eventfd.

    Raises:  kernel_lacks.proc_key: it is none
    Source:  Linux fs/eventfd.c eventfd_show_fdinfo; 33d8b5d7824c ("eventfd: show the EFD_SEMAPHORE flag in fdinfo") (v6.5)
    """
    count, ident, semaphore = info.one("eventfd-count"), info.get("eventfd-id"), info.get("eventfd-semaphore")
    try:
        return Eventfd(
            int(count, 16),  # printed as %16llx
            None if ident is None else int(ident),
            None if semaphore is None else int(semaphore) != 0,
        )
    except ValueError as cause:
        raise malformed("fdinfo", count, "fs/eventfd.c eventfd_show_fdinfo") from cause


class EpollTarget(Record):
    """One file that an epoll instance watches, under the number that the descriptor had when it was added."""

    fd: int
    events: int
    data: int
    pos: int | None
    ino: int | None  # None before Linux 4.13
    sdev: int | None
    more: tuple[tuple[str, bytes], ...]


def epoll_targets(info: FdInfo) -> list[EpollTarget]:
    """What an epoll instance watches.

    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  Linux fs/eventpoll.c ep_show_fdinfo; 77493f04b74c ("procfs: fdinfo: extend information about epoll target files") (v4.13)
    """
    out = []
    for value in info.all("tfd"):
        try:
            pairs = _pairs(b"tfd " + value)
            fd, events, data = int(pairs.pop("tfd")), int(pairs.pop("events"), 16), int(pairs.pop("data"), 16)
            pos, ino, sdev = pairs.pop("pos", None), pairs.pop("ino", None), pairs.pop("sdev", None)
            out.append(
                EpollTarget(
                    fd,
                    events,
                    data,
                    None if pos is None else int(pos),
                    None if ino is None else int(ino, 16),
                    None if sdev is None else int(sdev, 16),
                    _more(pairs),
                )
            )
        except (ValueError, KeyError) as cause:
            raise malformed("fdinfo", value, "fs/eventpoll.c ep_show_fdinfo") from cause
    return out


class Timerfd(Record):
    """The lines of a timerfd."""

    clockid: int
    ticks: int  # expirations not yet read
    settime_flags: int  # TFD_TIMER_ABSTIME 1, TFD_TIMER_CANCEL_ON_SET 2
    value_ns: int  # what is left, 0 when disarmed
    interval_ns: int


def _timespec(value: bytes) -> int:
    sec, _, nsec = value.strip().strip(b"()").partition(b",")
    return int(sec) * NSEC + int(nsec)


def timerfd(info: FdInfo) -> Timerfd:
    """The timer of a timerfd.

    Raises:  kernel_lacks.proc_key: it is none
    Source:  proc_pid_fdinfo(5), Linux fs/timerfd.c timerfd_show
    """
    clockid = info.one("clockid")
    ticks, flags = info.one("ticks"), info.one("settime flags")
    left, interval = info.one("it_value"), info.one("it_interval")
    try:
        return Timerfd(int(clockid), int(ticks), int(flags, 8), _timespec(left), _timespec(interval))
    except ValueError as cause:
        raise malformed("fdinfo", b" ".join((clockid, ticks, flags, left, interval)), "fs/timerfd.c timerfd_show") from cause


def signalfd_mask(info: FdInfo) -> int:
    """The signals that a signalfd reads; bit N-1 is signal N.

    Raises:  kernel_lacks.proc_key: it is none
    Source:  proc_pid_fdinfo(5), Linux fs/signalfd.c signalfd_show_fdinfo
    """
    value = info.one("sigmask")
    try:
        return int(value, 16)
    except ValueError as cause:
        raise malformed("fdinfo", value, "fs/signalfd.c signalfd_show_fdinfo") from cause


class InotifyWatch(Record):
    """One watch of an inotify instance."""

    wd: int
    ino: int
    sdev: int
    mask: int
    handle: tuple[int, bytes] | None  # type and bytes for open_by_handle_at; None where the filesystem has none
    more: tuple[tuple[str, bytes], ...]


def _handle(pairs: dict[str, bytes]) -> tuple[int, bytes] | None:
    size, kind, text = pairs.pop("fhandle-bytes", None), pairs.pop("fhandle-type", None), pairs.pop("f_handle", None)
    if size is None or kind is None or text is None:
        return None
    handle = bytes.fromhex(text.decode("ascii"))
    if len(handle) != int(size, 16):
        raise ValueError(text)
    return int(kind, 16), handle


def inotify_watches(info: FdInfo) -> list[InotifyWatch]:
    """The watches of an inotify instance, newest first as the kernel prints them.

    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  proc_pid_fdinfo(5), Linux fs/notify/fdinfo.c inotify_fdinfo
    """
    out = []
    for value in info.all("inotify"):
        try:
            pairs = _pairs(value)
            wd, ino, sdev, mask = (int(pairs.pop(name), 16) for name in ("wd", "ino", "sdev", "mask"))
            if int(pairs.pop("ignored_mask", b"0"), 16) == 0:  # always 0: printed for old readers
                out.append(InotifyWatch(wd, ino, sdev, mask, _handle(pairs), _more(pairs)))
            else:
                raise ValueError(value)
        except (ValueError, KeyError) as cause:
            raise malformed("fdinfo", value, "fs/notify/fdinfo.c inotify_fdinfo") from cause
    return out


class FanotifyMark(Record):
    """One mark of a fanotify group, by the object that it is on."""

    on: str  # inode, mount, filesystem, namespace
    ino: int | None
    sdev: int | None
    mnt_id: int | None
    mnt_ns: int | None
    mflags: int
    mask: int
    ignored_mask: int
    handle: tuple[int, bytes] | None
    more: tuple[tuple[str, bytes], ...]


class Fanotify(Record):
    """The lines of a fanotify group."""

    flags: int
    event_flags: int
    marks: tuple[FanotifyMark, ...]


# The key that only one sort of mark has, in the order in which they decide: an inode's line holds sdev too.
_MARKED = (("ino", "inode"), ("mnt_ns", "namespace"), ("mnt_id", "mount"), ("sdev", "filesystem"))


def fanotify(info: FdInfo) -> Fanotify:
    """The flags and marks of a fanotify group.

    Raises:  kernel_lacks.proc_key: it is none
    Source:  proc_pid_fdinfo(5), Linux fs/notify/fdinfo.c fanotify_fdinfo
    """
    flags = event_flags = None
    marks = []
    for value in info.all("fanotify"):
        try:
            pairs = _pairs(value)
            if "event-flags" in pairs:
                flags, event_flags = int(pairs["flags"], 16), int(pairs["event-flags"], 16)
                continue
            on = next(word for key, word in _MARKED if key in pairs)
            mnt_ns = pairs.pop("mnt_ns", None)
            hexes = (pairs.pop(name, None) for name in ("ino", "sdev", "mnt_id"))
            ino, sdev, mnt_id = (None if text is None else int(text, 16) for text in hexes)
            mflags, mask, ignored = (int(pairs.pop(name), 16) for name in ("mflags", "mask", "ignored_mask"))
            namespace = None if mnt_ns is None else int(mnt_ns)
            marks.append(FanotifyMark(on, ino, sdev, mnt_id, namespace, mflags, mask, ignored, _handle(pairs), _more(pairs)))
        except (ValueError, KeyError, StopIteration) as cause:
            raise malformed("fdinfo", value, "fs/notify/fdinfo.c fanotify_fdinfo") from cause
    if flags is None or event_flags is None:
        raise missing("fdinfo", "fanotify flags", "Linux fs/notify/fdinfo.c fanotify_fdinfo")
    return Fanotify(flags, event_flags, tuple(marks))


class Pidfd(Record):
    """Whom a pidfd means."""

    pid: int  # as this /proc counts; -1 when it is gone and reaped, 0 when it is not to be seen from here
    ns_pids: tuple[int, ...]  # in each pid namespace from this /proc's inwards


def pidfd(info: FdInfo) -> Pidfd:
    """The process that a pidfd means.

    Raises:  kernel_lacks.proc_key: it is none
    Source:  Linux fs/pidfs.c pidfd_show_fdinfo (kernel/fork.c before 6.9)
    """
    pid, ns_pids = info.one("Pid"), info.get("NSpid")
    try:
        return Pidfd(int(pid), tuple(map(int, (ns_pids or b"").split())))
    except ValueError as cause:
        raise malformed("fdinfo", pid, "fs/pidfs.c pidfd_show_fdinfo") from cause


def tun_name(info: FdInfo) -> bytes:
    """The interface that a /dev/net/tun descriptor is attached to; empty when it is not attached.

    Source:  Linux drivers/net/tun.c tun_chr_show_fdinfo
    """
    return info.get("iff") or b""
