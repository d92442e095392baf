"""What the kinds of open files have in common: flags by name, owners, and the calls that open a file again.

Kinds may not import each other; what several need beside the contract stands here.
"""

from __future__ import annotations

import os
from stat import S_ISFIFO

from holdfast.kernel import flags
from holdfast.kernel.procfs.id_map import parse_id_map
from holdfast.kinds import tasks
from holdfast.kinds.contract import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Part
    from holdfast.kinds.evidence import FileEvidence, ProcessEvidence, TreeEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Arg, Call

PROC_SUPER_MAGIC = 0x9FA0
DELETED = b" (deleted)"
AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
SEEK_SET, SEEK_HOLE = 0, 4
F_SETFL = 4
RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS = 2, 4

# Of the names in kernel.flags, what f_flags can hold after an open: the kernel drops O_CREAT, O_EXCL, O_NOCTTY and O_TRUNC
# (fs/open.c do_dentry_open); O_CLOEXEC belongs to the descriptor.
ACCESS, WRONLY, RDWR = 3, 1, 2
APPEND, NONBLOCK, ASYNC, DIRECT = 0o2000, 0o4000, 0o20000, 0o40000
LARGEFILE, DIRECTORY, NOATIME = 0o100000, 0o200000, 0o1000000
PATH, TMPFILE, CLOEXEC = 0o10000000, 0o20200000, 0o2000000
# fs/fcntl.c SETFL_MASK; O_ASYNC is for fd.owner, which must set the owner first
SETTABLE = APPEND | NONBLOCK | DIRECT | NOATIME


def names(bits: int) -> tuple[str, ...]:
    """The flags of an open file as permanent names, sorted.

    Raises:  UnknownFlag: a bit has no name
    """
    return flags.names("open", bits)


def bits(names: tuple[str, ...]) -> int:
    """Permanent names as the flags of open(2).

    Raises:  UnknownFlag: an unknown name
    """
    return flags.bits("open", names)


def shown(path: bytes) -> str:
    """A path for a message."""
    return path.decode("utf-8", "backslashreplace")


def who(ev: FileEvidence) -> str:
    """Process and descriptor for a message."""
    comm = ev.process.stat.comm.decode("utf-8", "backslashreplace")
    return f"pid {int(ev.process.pid)} ({comm}) fd {int(ev.fd)}"


def unknown_flags(ev: FileEvidence, kind: str) -> Iterator[Refusal]:
    """A refusal where the file has flags without a name."""
    try:
        names(ev.flags)
    except flags.UnknownFlag as e:
        yield Refusal(
            f"{kind}.flags",
            f"{who(ev)} has flags that Holdfast does not know: {e}",
            ev.where,
            "a flag that nobody knows may be state that a restore would lose; Linux fs/open.c build_open_flags",
            "see `holdfast drift`; teach the flag to kernel/flagtables.py",
        )


def device(rdev: int) -> tuple[int, int]:
    """Major and minor of a device number as stat gives it.

    Source:  makedev(3)
    """
    return os.major(rdev), os.minor(rdev)


# --- owners


def inner(process: ProcessEvidence, table: str, outer: int) -> int:
    """A user or group number as we see it, as the process's user namespace numbers it; -1 where it has no number for it.

    Shape:   `table` is uid_map or gid_map
    Source:  user_namespaces(7): the second number of a line is as the reader's namespace sees it, but as its parent does where the reader
             is in the process's own
    """
    if process.namespace("user") == tasks.own_namespace(process.tree, "user"):
        return outer
    for r in parse_id_map(process.read(table)):
        if r.outside <= outer < r.outside + r.count:
            return r.inside + outer - r.outside
    return -1


def owner(process: ProcessEvidence, stat: os.stat_result) -> tuple[int, int]:
    """Owner and group of a file as its holder's user namespace numbers them; -1 where that namespace has no number for it."""
    return inner(process, "uid_map", stat.st_uid), inner(process, "gid_map", stat.st_gid)


# --- paths


def tree_stat(process: ProcessEvidence, path: bytes) -> os.stat_result | None:
    """What a path that the kernel printed leads to, without following a link at its end; None where there is nothing.

    Source:  Linux fs/d_path.c prepend_path: a path is printed as it is from the reader's root, or, where it cannot be reached
             from there, from the root of its own mount namespace
    """
    if process.namespace("mnt") != known(process.tree).mounts:
        path = b"/proc/%d/root%s" % (process.pid, path)
    try:
        return os.lstat(path)
    except OSError:
        return None


def lost_name(ev: FileEvidence, kind: str) -> Iterator[Refusal]:
    """A refusal where the path that the kernel prints does not lead to the file, and it is not carried as one without a name."""
    if ev.inode is not None:
        return
    st = tree_stat(ev.process, ev.link)
    mine = ev.stat
    if st is not None and (st.st_dev, st.st_ino) == (mine.st_dev, mine.st_ino):
        if kind != "fd.proc" and _of_process(ev):
            yield Refusal(
                f"{kind}.process",
                f"{who(ev)}: {shown(ev.link)} is of a process that is dumped with it",
                ev.where,
                "it ends with that process, and is another one once the process is made again, proc(5)",
                "close it and retry",
            )
        return
    if ev.link.endswith(DELETED) and mine.st_nlink:
        why = "its name was removed, but it has another one that the kernel does not tell; proc_pid_fd(5)"
        do = "give it back a name known to Holdfast, or close it, and retry"
    elif ev.link.endswith(DELETED):
        why = "its name was removed; only regular files are carried without a name"
        do = "close it and retry"
    else:
        why = "another file covers it, such as a mount, or it is in a mount namespace that this process cannot look into"
        do = "unmount what covers it, or run Holdfast where the path can be seen"
    yield Refusal(f"{kind}.path", f"{who(ev)}: {shown(ev.link)} does not lead to the open file", ev.where, why, do)


# A folder or file that /proc has for a process of the tree: it is not there when a restore looks for its files.
def _of_process(ev: FileEvidence) -> bool:
    parts = ev.link.split(b"/", 3)
    return (
        len(parts) > 2
        and parts[1] == b"proc"
        and parts[2].isdigit()
        and int(parts[2]) in ev.tree.by_nspid
        and ev.borrowed.filesystem == PROC_SUPER_MAGIC
    )


class Known:
    """What was worked out once about a tree: its files by link, and the dumper's mount namespace."""

    __slots__ = ("_fifos", "ends", "mounts", "tree")

    def __init__(self, tree: TreeEvidence) -> None:
        self.tree = tree
        self.mounts = int(tree.host.readlink("self/ns/mnt").rpartition(b"[")[2].rstrip(b"]"))
        self.ends: dict[bytes, list[FileEvidence]] = {}
        for file in tree.files:
            self.ends.setdefault(file.link, []).append(file)
        self._fifos: dict[tuple[int, int], list[FileEvidence]] | None = None

    def fifo(self, ev: FileEvidence) -> list[FileEvidence]:
        """Every open file of one named pipe, under whatever name."""
        if self._fifos is None:
            self._fifos = {}
            for file in self.tree.files:
                if file.link[:1] == b"/" and not file.flags & PATH and S_ISFIFO(file.stat.st_mode):
                    self._fifos.setdefault((file.stat.st_dev, file.stat.st_ino), []).append(file)
        return self._fifos[ev.stat.st_dev, ev.stat.st_ino]


_known: Known | None = None


def known(tree: TreeEvidence) -> Known:
    """What is known of a tree; the last one is kept."""
    global _known
    if _known is None or _known.tree is not tree:
        _known = Known(tree)
    return _known


# --- restore


def open_again(part: Part, path: bytes, wanted: int, mode: int = 0) -> Call:
    """Open a path that the kernel printed: it holds no symbolic link, so one found there now was put there by somebody else.

    Source:  openat2(2), Linux 5.6
    """
    how = b"".join(n.to_bytes(8, "little") for n in (wanted | CLOEXEC, mode, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS))
    return part.call("openat2", AT_FDCWD, path + b"\0", how, len(how))


def reopen(part: Part, slot: int, wanted: int) -> Call:
    """A new open file description of what an open descriptor of the task leads to.

    Source:  proc_pid_fd(5): the links can be opened although there may be no such path
    """
    return part.call("openat", AT_FDCWD, b"/proc/self/fd/%d\0" % slot, wanted | CLOEXEC, 0)


def set_flags(part: Part, fd: Arg, names: tuple[str, ...], made: int = 0) -> None:
    """Give a fresh descriptor the status flags that can be changed, where they are not what it was made with."""
    wanted = bits(names) & SETTABLE
    if wanted != made & SETTABLE:
        part.call("fcntl", fd, F_SETFL, wanted)


def set_owner(part: Part, fd: Arg, uid: int, gid: int, mode: int) -> None:
    """Owner, then mode: a change of owner may clear set-id bits (chown(2))."""
    part.call("fchown", fd, uid, gid)
    part.call("fchmod", fd, mode & 0o7777)


def timespec(ns: int) -> bytes:
    """A struct timespec."""
    sec, nsec = divmod(ns, 1_000_000_000)
    return sec.to_bytes(8, "little", signed=True) + nsec.to_bytes(8, "little")


def inherited(ev: FileEvidence) -> bool:
    """Whether the caller allows that the restorer's own descriptor takes this one's place, and it leads out of the tree.

    Needs:   options.external_stdio; the lowest number is 0, 1 or 2
    """
    if not ev.tree.options.external_stdio or min(int(fd) for _, fd, _ in ev.holders) > 2:
        return False
    if ev.link.startswith(b"socket:["):
        from holdfast.kinds import sockets  # it imports this module

        return sockets.leads_out(ev)
    return ev.link.startswith(b"pipe:[") and leads_out(ev)


# --- pipes

POLLIN, POLLERR, POLLHUP = 1, 8, 16


def ends(ev: FileEvidence) -> list[FileEvidence]:
    """Every open file of the tree that leads to the same pipe, named or not, in the tree's order."""
    return known(ev.tree).ends[ev.link] if ev.link[:1] != b"/" else known(ev.tree).fifo(ev)


def readable(ev: FileEvidence) -> bool:
    """Whether it is open for reading."""
    return ev.flags & ACCESS in (0, RDWR) and not ev.flags & PATH


def writable(ev: FileEvidence) -> bool:
    """Whether it is open for writing."""
    return ev.flags & ACCESS in (WRONLY, RDWR) and not ev.flags & PATH


def leads_out(ev: FileEvidence) -> bool:
    """Whether a process outside the tree holds the end of this pipe that the tree does not.

    An end that nobody holds shows: a reader sees a hang-up, a writer an error.

    Source:  poll(2), Linux fs/pipe.c pipe_poll
    """
    mates = ends(ev)
    readers = [f for f in mates if readable(f)]
    writers = [f for f in mates if writable(f)]
    if readers and not writers:
        return not readers[0].borrowed.poll(0) & POLLHUP
    if writers and not readers:
        return not writers[0].borrowed.poll(0) & POLLERR
    return False


def waiting(ev: FileEvidence) -> tuple[tuple[bytes, ...], bool, bool]:
    """What waits in a pipe; whether the entries are packets; whether the last of those is none.

    Source:  of a single byte that is last nothing tells; it is taken for a packet where a writer makes packets (O_DIRECT) now
    """
    mates = ends(ev)
    reader = next((f for f in mates if readable(f)), None)
    data = tuple(reader.borrowed.peek_pipe()) if reader is not None else ()
    if reader is None or not data:
        return (), False, False
    last = reader.borrowed.packets(data)[-1]
    packet = last == "packet" or (last == "unknown" and any(f.flags & DIRECT for f in mates if writable(f)))
    return data, packet or len(data) > 1, len(data) > 1 and not packet


def mixed(ev: FileEvidence, kind: str) -> Iterator[Refusal]:
    """A refusal of a pipe in which packets come after what is no packet: nothing tells where they begin."""
    reader = next((f for f in ends(ev) if readable(f)), None)
    data = () if reader is None else reader.borrowed.peek_pipe()
    if reader is not None and data and "mixed" in reader.borrowed.packets(data):
        yield Refusal(
            f"{kind}.mixed",
            f"{who(ev)} is a pipe with packets that come after data that is no packet",
            ev.where,
            "a read gives both as one, so that nothing tells where the packet begins; pipe(2) O_DIRECT",
            "let the program read it and retry",
        )


def first_id(ev: FileEvidence) -> ObjectId:
    """The name that an image gives the pipe: its first open file."""
    return ends(ev)[0].id
