"""Tree to evidence: what is there, read from /proc, running or stopped.

The same code looks at a target before a dump and at a restored tree before it is let go, so both are described in
the same words and can be compared.
"""

from __future__ import annotations

import os

from holdfast.engine import enclosure, foresight
from holdfast.errors import TargetChanged
from holdfast.kernel.procfs import listing
from holdfast.kernel.procfs.maps import parse_maps, parse_smaps
from holdfast.kernel.source import Live
from holdfast.kinds.evidence import (
    FileEvidence,
    InodeEvidence,
    Options,
    ProcessEvidence,
    Stopped,
    ThreadEvidence,
    TreeEvidence,
    VmaEvidence,
)
from holdfast.model.ids import Fd, NsPid, ObjectId, Pid, Tid
from holdfast.tracee import ptrace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.kernel.procfs.maps import Smap, Vma
    from holdfast.tracee.seize import Held, Thread

DELETED = b" (deleted)"
CLOEXEC = 0o2000000


def process_id(nspid: int) -> ObjectId:
    """The name of a process in an image."""
    return ObjectId(f"process:{int(nspid)}")


def thread_id(nstid: int) -> ObjectId:
    """The name of a thread in an image."""
    return ObjectId(f"thread:{int(nstid)}")


def vma_id(nspid: int, start: int) -> ObjectId:
    """The name of a memory area in an image."""
    return ObjectId(f"vma:{int(nspid)}:{start:x}")


def _process(tree: TreeEvidence, pid: int, parent: ProcessEvidence | None) -> ProcessEvidence:
    source = Live(f"/proc/{int(pid)}")
    status_nspid = 0
    process = ProcessEvidence(ObjectId(""), source, tree, Pid(pid), NsPid(0), None if parent is None else parent.id)
    nspids = process.status.ns_tgids
    status_nspid = nspids[-1] if nspids else int(pid)
    process.nspid = NsPid(status_nspid)
    process.id = process_id(process.nspid)
    tree.processes.append(process)
    tree.by_nspid[status_nspid] = process
    if len(tree.processes) == 1 and len(nspids) > 1:
        tree.init = enclosure.init_of(int(pid), nspids)
        tree.in_run = tree.init != 0
    process.zombie = process.status.state == "Z"
    return process


def _threads(process: ProcessEvidence, tids: list[int]) -> None:
    for tid in tids:
        if tid == process.pid:
            nstid = int(process.nspid)
            source = process.source.at(f"task/{tid}")
            thread = ThreadEvidence(thread_id(nstid), source, process, Tid(tid), nstid)
        else:
            source = process.source.at(f"task/{tid}")
            thread = ThreadEvidence(ObjectId(""), source, process, Tid(tid), 0)
            ids = thread.status.ns_pids
            thread.nstid = ids[-1] if ids else tid
            thread.id = thread_id(thread.nstid)
        process.threads.append(thread)


def running_tree(root: int, options: Options) -> TreeEvidence:
    """Evidence of a running tree; it may change while we look, so it is good for `check`, not for a dump.

    Raises:  target_changed.died: there is no such process
    """
    tree = TreeEvidence(ObjectId("tree"), options, Live("/proc"))
    todo: list[tuple[int, ProcessEvidence | None]] = [(root, None)]
    while todo:
        pid, parent = todo.pop(0)
        try:
            process = _process(tree, pid, parent)
            if process.zombie:
                continue
            tids = [int(t) for t in listing.tids(process.source)]
            tids.sort(key=lambda t: (t != pid, t))
            _threads(process, tids)
            todo += [(int(c), process) for c in listing.children(process.source)]
            if pid == root and tree.in_run:
                todo += [(stray, None) for stray in enclosure.adopted(tree.init, root)]
        except (FileNotFoundError, ProcessLookupError) as e:
            if pid == root:
                raise TargetChanged("died", f"there is no process {root}", where=f"/proc/{root}", do="check the pid") from e
    for process in tree.processes:
        if not process.zombie:
            areas(process)
    _files(tree)
    _inodes(tree)
    return tree


def stopped_tree(
    held: Held, options: Options, ours: Mapping[int, tuple[int, int]] | None = None, foreseen: Mapping[int, Sequence[Smap]] | None = None
) -> TreeEvidence:
    """Evidence of a tree that we hold: complete and consistent.

    Shape:   by pid: `ours`, start and end of an area of ours that is there already; `foreseen`, areas as they were before the stop
    Needs:   every task of the tree is stopped by us
    """
    tree = TreeEvidence(ObjectId("tree"), options, Live("/proc"))
    parents: dict[int, ProcessEvidence] = {}
    for p in held.processes:
        process = _process(tree, p.pid, None)
        if len(tree.processes) > 1:
            ppid = process.status.ppid
            above = parents.get(ppid)
            if above is not None:
                process.parent = above.id
            elif ppid != tree.init or not tree.in_run:  # what the init of a job adopted has no parent in the tree
                process.parent = tree.processes[0].id
        parents[p.pid] = process
        if p.zombie:
            process.zombie = True
            continue
        _threads(process, [t.tid for t in p.threads])
        for evidence, thread in zip(process.threads, p.threads, strict=True):
            evidence.stopped = stopped(thread, leader=thread.tid == p.pid)
        process.area = None if ours is None else ours.get(p.pid)
        areas(process, (foreseen or {}).get(p.pid))
    _files(tree)
    _inodes(tree)
    return tree


def stopped(thread: Thread, leader: bool) -> Stopped:
    """What ptrace shows of a stopped thread."""
    tid = thread.tid
    try:
        rseq: tuple[int, int, int] | None = ptrace.rseq_configuration(tid)
    except OSError:
        rseq = None
    try:
        dispatch: int | None = ptrace.syscall_user_dispatch(tid)[0]
    except OSError:
        dispatch = None
    return Stopped(
        thread.original,
        ptrace.get_xstate(tid),
        thread.mask,
        ptrace.pending_signals(tid, False),
        ptrace.pending_signals(tid, True) if leader else (),
        rseq,
        ptrace.robust_list(tid),
        dispatch,
        thread.group_stop,
        ptrace.has_io_ports(tid),
        ptrace.debug_control(tid),
    )


def areas(process: ProcessEvidence, foreseen: Sequence[Smap] | None = None) -> None:
    """Read a process's memory areas; its own area of ours, where it has one, is left out.

    Shape:   `foreseen`: what was read before the process was stopped, and need not be read again if it holds
    """
    found = foreseen
    if found is None or not foresight.holds(found, parse_maps(process.source.read("maps")), process.status):
        found = parse_smaps(process.source.read("smaps"))
    ours = process.area
    process.vmas = [
        VmaEvidence(vma_id(process.nspid, s.vma.start), process, s.vma, s)
        for s in found
        if s.vma.name != b"[vsyscall]" and not (ours is not None and ours[0] <= s.vma.start < ours[1])
    ]


# --- files


def _by_pid(tree: TreeEvidence) -> list[ProcessEvidence]:
    # numbers of files do not depend on the order of children, so that the same tree has the same numbers after a restore
    return sorted(tree.processes, key=lambda p: int(p.nspid))


def _files(tree: TreeEvidence) -> None:
    # One object for each open file description. Two descriptors with equal link and equal fdinfo text (but for O_CLOEXEC) may be one:
    # kcmp decides, against one representative of each description with that text, ordered so that n descriptors cost n log n.
    same: dict[tuple[bytes, int, int, int, bytes], list[FileEvidence]] = {}
    for process in _by_pid(tree):
        if process.zombie:
            continue
        source = process.source
        for fd in listing.fds(source):
            try:
                link = source.readlink(f"fd/{int(fd)}")
                raw = source.read(f"fdinfo/{int(fd)}")
            except FileNotFoundError:
                continue  # only a running target closes files while we look
            new = FileEvidence(ObjectId(""), tree, link, raw)
            info = new.info
            # all eventfds have one link; the number of each is its own (Linux fs/eventfd.c eventfd_show_fdinfo)
            own = raw.partition(b"\neventfd-id:")[2].partition(b"\n")[0]
            key = (link, info.flags & ~CLOEXEC, info.pos, info.ino or 0, own)
            known = same.setdefault(key, [])
            at = _search(known, process.pid, fd)
            if at >= 0:
                file = known[at]
            else:
                known.insert(-at - 1, new)
                file = new
                tree.files.append(new)
            file.holders.append((process, fd, bool(info.flags & CLOEXEC)))
            process.fds[fd] = file
    for i, file in enumerate(tree.files):
        file.id = ObjectId(f"file:{i}")


def _search(known: list[FileEvidence], pid: int, fd: Fd) -> int:
    # place in the list where kcmp says equal, or -(place to insert)-1
    low, high = 0, len(known)
    while low < high:
        mid = (low + high) // 2
        other = known[mid]
        order = ptrace.kcmp(pid, other.process.pid, 0, fd, other.fd)
        if order == 0:
            return mid
        if order == 1:
            high = mid
        else:
            low = mid + 1
    return -low - 1


# --- inodes without a name


def _device(major: int, minor: int) -> int:
    return os.makedev(major, minor)


def _inodes(tree: TreeEvidence) -> None:
    known: dict[tuple[int, int], InodeEvidence] = {}

    def inode(dev: int, ino: int, link: bytes) -> InodeEvidence:
        got = known.get((dev, ino))
        if got is None:
            got = known[dev, ino] = InodeEvidence(ObjectId(f"inode:{len(known)}"), tree, dev, ino, link)
            tree.inodes.append(got)
        return got

    for process in _by_pid(tree):
        for area in process.vmas:
            v = area.vma
            if v.seems_deleted and not _has_name(process, v):
                area.inode = inode(_device(v.major, v.minor), v.inode, v.name)
                area.inode.vmas.append(area)
    for file in tree.files:
        if file.link.endswith(DELETED) and file.link[:1] == b"/":
            st = file.stat
            # stat and maps disagree about the device on some filesystems (btrfs): then a file and its mapping would be
            # two objects, which restores them apart; the device that maps shows is the superblock's, as is stat's here
            if st.st_nlink == 0 or file.link.startswith(b"/memfd:"):
                file.inode = inode(st.st_dev, st.st_ino, file.link)
                file.inode.files.append(file)


def _has_name(process: ProcessEvidence, v: Vma) -> bool:
    # a file may really be called `x (deleted)`
    try:
        st = os.stat(b"/proc/%d/root%s" % (process.pid, v.name))
    except OSError:
        return False
    return (st.st_ino, st.st_dev) == (v.inode, _device(v.major, v.minor))
