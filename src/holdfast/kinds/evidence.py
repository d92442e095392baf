"""What a kind is shown of a target: the text of /proc, and once the target is stopped, what only its tracer can see.

Evidence reads lazily and keeps what it read: two kinds that want /proc/PID/status cost one read. It has no way to change
the target.
"""

from __future__ import annotations

from holdfast.kernel.procfs.fdinfo import FdInfo, parse_fdinfo
from holdfast.kernel.procfs.limits import parse_limits
from holdfast.kernel.procfs.stat import Stat, parse_stat
from holdfast.kernel.procfs.status import Status, parse_status
from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from holdfast.kernel.borrowed import Borrowed
    from holdfast.kernel.procfs.maps import Smap, Vma
    from holdfast.kernel.source import Source
    from holdfast.kernel.state.restarts import Restart
    from holdfast.model.ids import Fd, NsPid, ObjectId, Pid, Tid


class Options(Record):
    """What the caller allows a dump to do differently; every field is off by default."""

    reset_tcp: bool = False  # established TCP connections are restored as reset
    shell_job: bool = False  # a terminal or session outside the tree is replaced by the restorer's
    external_stdio: bool = False  # pipes and sockets on descriptors 0-2 that lead out of the tree become the restorer's
    no_kernel_state: bool = False  # live kernel structs are not read
    strict: bool = False  # what cannot be checked refuses


class TreeEvidence:
    """The whole tree: its processes, root first, its files, and what the dumper itself is."""

    id: ObjectId
    options: Options
    processes: list[ProcessEvidence]
    files: list[FileEvidence]
    inodes: list[InodeEvidence]  # nameless files and shared anonymous memory
    by_nspid: dict[int, ProcessEvidence]
    host: Source  # /proc of the dumper
    in_run: bool  # the tree lives in the namespaces that `holdfast run` made
    init: int  # pid of that namespace's init as we see it, 0 where in_run is false
    sees_waits: bool  # live kernel structs tell what a wait that was interrupted goes on with

    def __init__(self, id: ObjectId, options: Options, host: Source) -> None:
        self.id, self.options, self.host = id, options, host
        self.processes, self.files, self.by_nspid, self.inodes = [], [], {}, []
        self.in_run, self.init, self.sees_waits = False, 0, False

    def close(self) -> None:
        """Give back every duplicate of a file and every folder of /proc; what was read stays known."""
        for file in self.files:
            file.close()
        for process in self.processes:
            for thread in process.threads:
                thread.source.close()
            process.source.close()
        self.host.close()


class Task:
    """What processes and threads share: files of one /proc folder, read once."""

    __slots__ = ("_cache", "id", "source", "tree")

    def __init__(self, id: ObjectId, source: Source, tree: TreeEvidence) -> None:
        self.id, self.source, self.tree = id, source, tree
        self._cache: dict[str, bytes | object] = {}

    def read(self, path: str) -> bytes:
        """A file of the task's /proc folder.

        Raises:  OSError: no such file, or not allowed
        """
        got = self._cache.get(path)
        if got is None:
            got = self._cache[path] = self.source.read(path)
        assert isinstance(got, bytes)
        return got

    def readlink(self, path: str) -> bytes:
        """A link of the task's /proc folder, such as `exe`, `cwd`, `root` or `ns/net`.

        Raises:  OSError: no such link, or not allowed
        """
        key = "-> " + path
        got = self._cache.get(key)
        if got is None:
            got = self._cache[key] = self.source.readlink(path)
        assert isinstance(got, bytes)
        return got

    @property
    def status(self) -> Status:
        """/proc/PID/status, parsed."""
        got = self._cache.get("#status")
        if got is None:
            got = self._cache["#status"] = parse_status(self.read("status"))
        assert isinstance(got, Status)
        return got

    @property
    def stat(self) -> Stat:
        """/proc/PID/stat, parsed."""
        got = self._cache.get("#stat")
        if got is None:
            got = self._cache["#stat"] = parse_stat(self.read("stat"))
        assert isinstance(got, Stat)
        return got

    @property
    def limits(self) -> dict[str, tuple[int, int]]:
        """/proc/PID/limits, parsed."""
        got = self._cache.get("#limits")
        if got is None:
            got = self._cache["#limits"] = parse_limits(self.read("limits"))
        assert isinstance(got, dict)
        return got

    def namespace(self, name: str) -> int:
        """The inode number of a namespace such as `net`, or 0 where this kernel has no such namespace."""
        try:
            return int(self.readlink(f"ns/{name}").rpartition(b"[")[2].rstrip(b"]"))
        except FileNotFoundError:
            return 0


class ProcessEvidence(Task):
    """One process: `pid` as we see it, `nspid` as it sees itself."""

    __slots__ = ("area", "exit_status", "fds", "nspid", "parent", "pid", "threads", "vmas", "zombie")

    def __init__(self, id: ObjectId, source: Source, tree: TreeEvidence, pid: Pid, nspid: NsPid, parent: ObjectId | None) -> None:
        super().__init__(id, source, tree)
        self.pid, self.nspid, self.parent = pid, nspid, parent
        self.zombie = False
        self.threads: list[ThreadEvidence] = []
        self.vmas: list[VmaEvidence] = []
        self.fds: dict[Fd, FileEvidence] = {}
        self.area: tuple[int, int] | None = None  # start and end of our own area while we are inside: not the target's

    @property
    def leader(self) -> ThreadEvidence:
        """The thread whose id is the process id."""
        return self.threads[0]

    def __repr__(self) -> str:
        return f"<{self.id}>"


class Stopped(Record):
    """What a tracer sees of a stopped thread."""

    registers: bytes  # struct user_regs_struct
    xstate: bytes  # XSAVE standard format
    sigmask: int  # bit n-1: signal n is blocked
    pending: tuple[bytes, ...]  # struct siginfo each
    shared_pending: tuple[bytes, ...]  # of the process; given with its leader only
    rseq: tuple[int, int, int] | None  # address, size, signature; None: this kernel cannot say
    robust: tuple[int, int]  # head, length
    dispatch_mode: int | None  # of syscall user dispatch; None: this kernel cannot say
    group_stop: int = field(default=0)  # the signal of the job-control stop that it is in
    io_ports: bool = False  # it was given I/O ports by ioperm(2) or iopl(2)
    debug_control: int = 0  # the processor's register that says which breakpoints and watchpoints are on
    restart: Restart | None = None  # the wait that the stop interrupted, where live kernel structs tell it


class ThreadEvidence(Task):
    """One thread: `tid` as we see it, `nstid` as it sees itself."""

    __slots__ = ("nstid", "process", "stopped", "tid")

    def __init__(self, id: ObjectId, source: Source, process: ProcessEvidence, tid: Tid, nstid: int) -> None:
        super().__init__(id, source, process.tree)
        self.process, self.tid, self.nstid = process, tid, nstid
        self.stopped: Stopped | None = None

    @property
    def status(self) -> Status:
        """/proc/PID/task/TID/status, parsed; that of a first thread is its process's (Linux fs/proc/base.c: one function prints both)."""
        return self.process.status if int(self.tid) == int(self.process.pid) else super().status


class VmaEvidence:
    """One memory area of one process; `flags` are VmFlags letters, empty until they were read (check reads them, so does dump)."""

    __slots__ = ("id", "inode", "process", "smap", "vma")

    def __init__(self, id: ObjectId, process: ProcessEvidence, vma: Vma, smap: Smap | None = None) -> None:
        self.id, self.process, self.vma, self.smap = id, process, vma, smap
        self.inode: InodeEvidence | None = None  # set for shared anonymous memory and for files without a name

    @property
    def flags(self) -> tuple[str, ...]:
        """VmFlags letters in the kernel's order."""
        return self.smap.flags if self.smap is not None else ()

    @property
    def tree(self) -> TreeEvidence:
        """The tree that it is in."""
        return self.process.tree


class FileEvidence:
    """One open file description, whoever holds it under whatever number."""

    __slots__ = ("_borrowed", "holders", "id", "info", "inode", "link", "tree")

    def __init__(self, id: ObjectId, tree: TreeEvidence, link: bytes, raw: bytes) -> None:
        self.id, self.tree, self.link = id, tree, link
        self.info: FdInfo = parse_fdinfo(raw)
        self.holders: list[tuple[ProcessEvidence, Fd, bool]] = []  # process, number, close-on-exec
        self.inode: InodeEvidence | None = None  # set where it has no name any more
        self._borrowed: Borrowed | None = None

    @property
    def process(self) -> ProcessEvidence:
        """The first holder."""
        return self.holders[0][0]

    @property
    def fd(self) -> Fd:
        """The first holder's number."""
        return self.holders[0][1]

    @property
    def flags(self) -> int:
        """As F_GETFL gives them: access mode and status flags, without O_CLOEXEC."""
        return self.info.flags & ~0o2000000

    @property
    def borrowed(self) -> Borrowed:
        """Our own duplicate of the descriptor: to ask, never to change.

        Source:  pidfd_getfd(2)
        """
        if self._borrowed is None:
            from holdfast.kernel.borrowed import Borrowed  # only the kinds that ask pay for it

            self._borrowed = Borrowed(self.process.pid, self.fd)
        return self._borrowed

    @property
    def stat(self) -> os.stat_result:
        """What fstat says of it."""
        return self.borrowed.stat

    def close(self) -> None:
        """Give the duplicate back."""
        if self._borrowed is not None:
            self._borrowed.close()
            self._borrowed = None

    @property
    def where(self) -> str:
        """For messages: /proc path and what it leads to."""
        return f"/proc/{self.process.pid}/fd/{int(self.fd)} -> {self.link.decode('utf-8', 'backslashreplace')}"

    def __repr__(self) -> str:
        return f"<{self.id} {self.where}>"


class InodeEvidence:
    """A file that has no name any more, or shared anonymous memory: what several descriptors and areas can lead to."""

    __slots__ = ("dev", "files", "id", "ino", "link", "tree", "vmas")

    def __init__(self, id: ObjectId, tree: TreeEvidence, dev: int, ino: int, link: bytes) -> None:
        self.id, self.tree, self.dev, self.ino, self.link = id, tree, dev, ino, link
        self.files: list[FileEvidence] = []
        self.vmas: list[VmaEvidence] = []
