"""Open files: the table of descriptors, and the object behind a file, known by the functions of its f_op.

Source:  fs/file.c, fs/eventfd.c, fs/timerfd.c, fs/signalfd.c, fs/eventpoll.c, fs/pipe.c, net/socket.c, fs/notify/, fs/userfaultfd.c,
         drivers/tty/tty_io.c, mm/shmem.c, ipc/mqueue.c
"""

from __future__ import annotations

from holdfast.kernel.state import credentials
from holdfast.kernel.state.plan import LIST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.kernel.state.walk import After, Walk

    Visit = Callable[[Walk, int, str], None]

# a function that only this kind of file has -> the kind, and the struct that private_data points at
KINDS: dict[str, tuple[str, str]] = {
    "eventfd_read": ("eventfd", "eventfd_ctx"),
    "timerfd_read_iter": ("timerfd", "timerfd_ctx"),
    "timerfd_read": ("timerfd", "timerfd_ctx"),
    "signalfd_read_iter": ("signalfd", "signalfd_ctx"),
    "signalfd_read": ("signalfd", "signalfd_ctx"),
    "ep_eventpoll_poll": ("eventpoll", "eventpoll"),
    "pipe_read": ("pipe", "pipe_inode_info"),
    "fifo_pipe_read": ("pipe", "pipe_inode_info"),
    "anon_pipe_read": ("pipe", "pipe_inode_info"),
    "sock_read_iter": ("socket", "socket"),
    "inotify_read": ("inotify", "fsnotify_group"),
    "fanotify_read": ("fanotify", "fsnotify_group"),
    "userfaultfd_read_iter": ("userfaultfd", "userfaultfd_ctx"),
    "userfaultfd_read": ("userfaultfd", "userfaultfd_ctx"),
    "tty_read": ("tty", ""),
    "shmem_file_llseek": ("shmem", ""),
    "shmem_file_read_iter": ("shmem", ""),
    "shmem_file_open": ("shmem", ""),
    "hugetlbfs_read_iter": ("hugetlbfs", ""),
    "mqueue_read_file": ("mqueue", ""),
    "mqueue_poll_file": ("mqueue", ""),
    "perf_read": ("perf", ""),
    "io_uring_release": ("io_uring", ""),
    "io_uring_poll": ("io_uring", ""),
    "bpf_map_release": ("bpf_map", ""),
    "bpf_prog_release": ("bpf_prog", ""),
    "bpf_link_release": ("bpf_link", ""),
    "pidfd_poll": ("pidfd", ""),
    "secretmem_release": ("secretmem", ""),
    "seccomp_notify_ioctl": ("seccomp_notify", ""),
    "landlock_file_ioctl": ("landlock_ruleset", ""),
    "tun_chr_read_iter": ("tun", ""),
    "fuse_dev_read": ("fuse", ""),
    "kvm_vm_ioctl": ("kvm", ""),
}
# kinds whose object is not decoded: what they hold is refused whole
CLOSED = frozenset("perf io_uring bpf_map bpf_prog bpf_link seccomp_notify tun fuse kvm".split())
_MOST_FDS = 1 << 20
_PACKET = 0x08  # PIPE_BUF_FLAG_PACKET, include/linux/pipe_fs_i.h


def kind_of(walk: Walk, file: int) -> tuple[str, str]:
    """What a file is, and the struct behind its private_data; empty where its functions tell nothing.

    Raises:  OSError: the file is gone
    """
    for name in walk.operations(walk.field(file, "file.f_op")):
        if (found := KINDS.get(name)) is not None:
            return found
    return "", ""


def descriptors(walk: Walk, address: int, path: str) -> None:
    """Each open descriptor of a files_struct: its file by number, and whether it closes at exec."""
    table = walk.number(address + walk.layouts.plan("files_struct").by_path["fdt"].offset)
    for fd, file, cloexec in open_files(walk, table):
        name = f"{path}.fd[{fd}]"
        walk.reach(file, "file", name)
        walk.later(name, file, "fdtable", "fd", "struct file**")
        walk.put(f"{path}.close_on_exec[{fd}]", cloexec, "fdtable", "close_on_exec", "long unsigned int*")


def open_files(walk: Walk, table: int) -> list[tuple[int, int, int]]:
    """Number, file and close-on-exec of each open descriptor of an fdtable."""
    at = walk.layouts.at
    most = min(walk.field(table, "fdtable.max_fds"), _MOST_FDS)
    bitmap = int.from_bytes(walk.memory.read(walk.number(table + at("fdtable.open_fds")), most // 8), "little")  # in words: 64 or more
    used = bitmap.bit_length()
    if not used:
        return []
    closing = int.from_bytes(walk.memory.read(walk.number(table + at("fdtable.close_on_exec")), (used + 7) // 8), "little")
    slots = walk.memory.read(walk.number(table + at("fdtable.fd")), used * 8)
    out = []
    for fd in range(used):
        file = int.from_bytes(slots[fd * 8 : fd * 8 + 8], "little")
        if file and bitmap >> fd & 1:
            out.append((fd, file, closing >> fd & 1))
    return out


def _files(walk: Walk, address: int, _data: bytes, path: str) -> None:
    descriptors(walk, address, path)


def _file(walk: Walk, address: int, _data: bytes, path: str) -> None:
    kind, struct = kind_of(walk, address)
    private = walk.field(address, "file.private_data")
    walk.put(f"{path}.kind", kind or "other", "file", "f_op", "struct file_operations*")
    if kind in CLOSED:
        walk.gaps.add(f"file.private_data:{kind}")
    elif struct and private:
        walk.reach(private, struct, f"{path}.private")
        walk.later(f"{path}.private", private, "file", "private_data", "void*")
        if struct == "fsnotify_group":
            _group(walk, private, kind, f"{path}.private")
    elif kind in _WITHIN:
        _WITHIN[kind](walk, address, path)
    rights = credentials.landlock_file_offset(walk)
    if rights is not None and (blob := walk.field(address, "file.f_security")):
        walk.reach(blob + rights, "landlock_file_security", f"{path}.landlock")
    _dnotify(walk, address, path)


def _in_inode(struct: str) -> Visit:
    # kinds whose state is around the inode
    def visit(walk: Walk, file: int, path: str) -> None:
        inode = walk.field(file, "file.f_inode")
        holder = inode - walk.layouts.at(f"{struct}.vfs_inode")
        if holder != inode:
            walk.reach(holder, struct, f"{path}.{struct}")
            walk.later(f"{path}.{struct}", holder, "file", "f_inode", "struct inode*")
        else:
            walk.also(inode, struct, f"{path}.{struct}")

    return visit


def tty_of(walk: Walk, file: int) -> int:
    """The terminal behind an open file of one.

    Raises:  OSError: it is gone
    """
    return walk.number(walk.field(file, "file.private_data") + walk.layouts.at("tty_file_private.tty"))


def _tty(walk: Walk, file: int, path: str) -> None:
    tty = tty_of(walk, file)
    walk.reach(tty, "tty_struct", f"{path}.private")
    walk.later(f"{path}.private", tty, "file", "private_data", "void*")


_WITHIN: dict[str, Visit] = {
    "tty": _tty,
    "shmem": _in_inode("shmem_inode_info"),
    "hugetlbfs": _in_inode("hugetlbfs_inode_info"),
    "mqueue": _in_inode("mqueue_inode_info"),
}


def _line(walk: Walk, address: int, _data: bytes, path: str) -> None:
    # a terminal with the default line discipline keeps what it has read in n_tty_data
    at = walk.layouts.at
    ldisc = walk.field(address, "tty_struct.ldisc")
    if not ldisc:
        return
    number = walk.number(walk.number(ldisc + at("tty_ldisc.ops")) + at("tty_ldisc_ops.num"), 4)
    walk.put(f"{path}.ldisc_number", number, "tty_ldisc", "ops", "struct tty_ldisc_ops*")
    held = walk.field(address, "tty_struct.disc_data")
    if number or not held:
        return
    walk.reach(held, "n_tty_data", f"{path}.disc_data")
    head, tail = walk.field(held, "n_tty_data.read_head"), walk.field(held, "n_tty_data.read_tail")
    size = walk.layouts.size("n_tty_data.read_buf")
    ring = walk.memory.read(held + at("n_tty_data.read_buf"), size)
    unread = bytes(ring[i % size] for i in range(tail, tail + min(head - tail, size)))
    walk.put(f"{path}.disc_data.unread", unread, "n_tty_data", "read_buf", "u8[4096]")


def buffers(walk: Walk, pipe: int) -> list[int]:
    """The pipe_buffers that hold what waits in a pipe, in reading order; the other slots keep what was there before."""
    at, size = walk.layouts.at, walk.layouts.size
    width = size("pipe_inode_info.head")
    head, tail = walk.number(pipe + at("pipe_inode_info.head"), width), walk.number(pipe + at("pipe_inode_info.tail"), width)
    slots, ring = walk.field(pipe, "pipe_inode_info.ring_size"), walk.field(pipe, "pipe_inode_info.bufs")
    used = head - tail & (1 << 8 * width) - 1
    if slots & slots - 1 or used > slots:
        return []
    return [ring + (tail + n & slots - 1) * size("pipe_buffer") for n in range(used)]


def shared_buffers(walk: Walk, pipe: int) -> list[int]:
    """The pipe_buffers whose page is still a file's or a mapping's: what is written there later is what the reader gets."""
    out = []
    for one in buffers(walk, pipe):
        table = walk.memory.read(walk.field(one, "pipe_buffer.ops"), 4 * 8)  # struct pipe_buf_operations: four functions
        names = {walk.symbols.name(int.from_bytes(table[i : i + 8], "little")) for i in range(0, 32, 8)}
        if "page_cache_pipe_buf_release" in names:  # of splice(2) from a page cache and of vmsplice(2), of no other
            out.append(one)
    return out


def _ring(walk: Walk, address: int, _data: bytes, path: str) -> None:
    # how the kernel spread the data over pages and slots is its own affair: what reads without end would return, and which are packets
    reads: list[int] = []
    packets: list[int] = []
    joins = False
    for one in buffers(walk, address):
        packet = walk.field(one, "pipe_buffer.flags") & _PACKET
        length = walk.field(one, "pipe_buffer.len")
        if joins:
            reads[-1] += length
        else:
            reads.append(length)
            packets.append(int(bool(packet)))
        joins = not packet
    walk.put(f"{path}.reads", " ".join(map(str, reads)), "pipe_buffer", "len", "unsigned int")
    walk.put(f"{path}.packets", " ".join(map(str, packets)), "pipe_buffer", "flags", "unsigned int")


def _group(walk: Walk, group: int, kind: str, path: str) -> None:
    # the marks that a group watches by, named by watch descriptor, and the events that nobody has read
    if walk.labels.get(group) != path:
        return
    rows = walk.layouts.plan("fsnotify_group").by_path
    inotify = kind == "inotify"
    struct = "inotify_inode_mark" if inotify else "fanotify_mark"
    link = walk.layouts.at("fsnotify_mark.g_list") + walk.layouts.at(f"{struct}.fsn_mark")
    for n, element in enumerate(walk.elements(LIST, group + rows["marks_list"].offset)):
        mark = element - link
        number = walk.field(mark, "inotify_inode_mark.wd") if inotify else n
        walk.reach(mark, struct, f"{path}.mark[{number}]")
    if inotify:
        first = walk.layouts.at("inotify_event_info.fse") + walk.layouts.at("fsnotify_event.list")
        for n, element in enumerate(walk.elements(LIST, group + rows["notification_list"].offset)):
            event = element - first
            if _is_overflow(walk, group, event):
                walk.put(f"{path}.event[{n}]", "overflow", "fsnotify_group", "overflow_event", "struct fsnotify_event*")
            else:
                walk.reach(event, "inotify_event_info", f"{path}.event[{n}]")


def _is_overflow(walk: Walk, group: int, event: int) -> bool:
    return walk.field(group, "fsnotify_group.overflow_event") == event + walk.layouts.at("inotify_event_info.fse")


def _event(walk: Walk, address: int, data: bytes, path: str) -> None:
    length = walk.layouts.plan("inotify_event_info").number(data, "name_len")
    if length:
        name = walk.memory.read(address + walk.layouts.at("inotify_event_info.name"), min(length, 255))
        walk.put(f"{path}.name", name, "inotify_event_info", "name", "char[]")


def dnotify_marks(walk: Walk, file: int) -> list[int]:
    """The dnotify_marks that a file of ours asked for.

    Raises:  OSError: the file is gone
    """
    # a folder's inode may carry marks of many; dnotify's are the only ones that belong to an open file
    inode = walk.field(file, "file.f_inode")
    if not inode or not (connector := walk.field(inode, "inode.i_fsnotify_marks")):
        return []
    at = walk.layouts.at
    link, out = at("fsnotify_mark.obj_list"), []
    for element in walk.elements(LIST, connector + at("fsnotify_mark_connector.list")):
        mark = element - link
        group = walk.field(mark, "fsnotify_mark.group")
        operations = walk.memory.read(walk.field(group, "fsnotify_group.ops"), walk.layouts.size("fsnotify_ops"))
        handlers = {walk.symbols.name(int.from_bytes(operations[i : i + 8], "little")) for i in range(0, len(operations) - 7, 8)}
        if handlers & {"dnotify_handle_event", "dnotify_free_mark"} and _ours(walk, mark, file):
            out.append(mark - at("dnotify_mark.fsn_mark"))
    return out


def _dnotify(walk: Walk, file: int, path: str) -> None:
    for n, mark in enumerate(dnotify_marks(walk, file)):
        walk.reach(mark, "dnotify_mark", f"{path}.dnotify[{n}]")


def _ours(walk: Walk, mark: int, file: int) -> bool:
    at = walk.number(mark - walk.layouts.at("dnotify_mark.fsn_mark") + walk.layouts.at("dnotify_mark.dn"))
    for _ in range(1024):
        if not at:
            return False
        if walk.number(at + walk.layouts.at("dnotify_struct.dn_filp")) == file:
            return True
        at = walk.number(at + walk.layouts.at("dnotify_struct.dn_next"))
    return False


AFTER: dict[str, After] = {
    "files_struct": _files,
    "file": _file,
    "pipe_inode_info": _ring,
    "tty_struct": _line,
    "inotify_event_info": _event,
}
