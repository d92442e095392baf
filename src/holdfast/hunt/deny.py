"""What a recipe must not do, each with its reason: whatever acts beyond its process on the machine, its users or its network.

DENIALS is the reviewed list. It is asked for every recipe before a line of it runs, by the campaign and again by the worker, and reads only
the text: a path or a number that cannot be read from the lines is denied where it would matter. Behind it stand the sandbox's
own walls (hunt/sandbox.py), so that one mistake in either does no harm.

A new row goes where its sort is; `calls` are names of kernel/uapi/syscalls.py, and `when` answers for one line (None: always).
"""

from __future__ import annotations

import posixpath

from holdfast.errors import UsageError
from holdfast.model.record import Record
from holdfast.prog.text import Const, Parts, Pointer, Ref, Room, Taken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.hunt.recipe import Recipe
    from holdfast.prog.text import Line, Value

MOST_LINES, MOST_TASKS = 256, 32
GIB = 1 << 30


class Denial(Record):
    """A reviewed row: which calls, under which condition, why, and where that can be read."""

    calls: tuple[str, ...]
    why: str
    source: str
    when: Callable[[Line, Context], bool] | None = None


class Context:
    """The lines of a recipe that come before the one that is asked about."""

    def __init__(self) -> None:
        self.results: dict[str, Line] = {}
        self.own: int = 0  # CLONE_NEW* flags that a line has asked for
        self.folder = "/"

    def passed(self, line: Line) -> None:
        """The line is allowed; later ones come after it."""
        if line.result:
            self.results[line.result] = line
        if line.call in ("unshare", "clone"):
            self.own |= number(line.args[0]) or 0
        elif line.call == "clone3":
            self.own |= int.from_bytes(content(line.args[0])[:8], "little")
        elif line.call == "chdir":
            self.folder = self.path(line.args[0]) or self.folder

    def path(self, value: Value) -> str | None:
        """A path as text, whole and plain; None where it cannot be read."""
        if not isinstance(value, bytes | Room | Parts):
            return None
        text = content(value).partition(b"\0")[0].decode("utf-8", "surrogateescape")
        return posixpath.normpath(posixpath.join(self.folder, text)) if text else ""

    def made(self, value: Value, calls: tuple[str, ...]) -> bool:
        """Whether a value is what an earlier line of one of these calls returned, or wrote."""
        if isinstance(value, Taken):
            return True
        return isinstance(value, Ref) and not value.add and value.name in self.results and self.results[value.name].call in calls


def denied(recipe: Recipe) -> str | None:
    """Why a recipe is not run: the line and the reason; None where nothing is against it."""
    lines = (*recipe.make, *recipe.state, *recipe.get, *recipe.after)
    if len(lines) > MOST_LINES:
        return f"{len(lines)} lines: more than {MOST_LINES}"
    if sum(line.call in MAKES_TASK for line in lines) > MOST_TASKS:
        return f"it makes more than {MOST_TASKS} tasks"
    context = Context()
    for line in lines:
        for row in BY_CALL.get(line.call, ()):
            try:
                hit = row.when is None or row.when(line, context)
            except IndexError:
                hit = True  # an argument that decides is not given: the kernel would read whatever is in the register
            if hit:
                return f"{line}: {row.why}"
        context.passed(line)
    return None


def refusal(recipe: Recipe, why: str) -> UsageError:
    """The error for who asks for a recipe that is denied."""
    return UsageError(
        "denied",
        f"recipe {recipe.name} is not run",
        where="src/holdfast/hunt/deny.py",
        why=why,
        do="leave the line out",
    )


# --- what a value is, as far as the text says


def number(value: Value) -> int | None:
    """A number; None where it is known only when the line runs."""
    if isinstance(value, Const):
        return value.value
    return value if isinstance(value, int) else None


def content(value: Value) -> bytes:
    """The bytes that a value passes by its address; zeros where they are known only when the line runs."""
    if isinstance(value, Room):
        return value.initial.ljust(value.size, b"\0")
    if isinstance(value, Parts):
        return b"".join(p if isinstance(p, bytes) else bytes(8 if isinstance(p, Pointer) else p.size) for p in value.parts)
    return value if isinstance(value, bytes) else b""


def _bits(at: int, bits: int) -> Callable[[Line, Context], bool]:
    # any of the bits is set, or nobody knows
    def when(line: Line, _: Context) -> bool:
        got = number(line.args[at])
        return got is None or got & bits != 0

    return when


def _one_of(at: int, *numbers: int) -> Callable[[Line, Context], bool]:
    def when(line: Line, _: Context) -> bool:
        got = number(line.args[at])
        return got is None or got & 0xFFFFFFFF in {n & 0xFFFFFFFF for n in numbers}

    return when


def _none_of(at: int, *numbers: int) -> Callable[[Line, Context], bool]:
    def when(line: Line, _: Context) -> bool:
        got = number(line.args[at])
        return got is None or got & 0xFFFFFFFF not in {n & 0xFFFFFFFF for n in numbers}

    return when


def _above(at: int, most: int) -> Callable[[Line, Context], bool]:
    def when(line: Line, _: Context) -> bool:
        got = number(line.args[at])
        return got is not None and got % (1 << 64) > most

    return when


# --- processes

MAKES_TASK = ("fork", "vfork", "clone", "clone3")
GIVES_PID = (*MAKES_TASK, "getpid", "gettid", "getpgrp", "getpgid", "getsid", "setsid", "set_tid_address", "wait4")
GIVES_PIDFD = ("pidfd_open", "clone3", "dup", "dup2", "dup3", "fcntl")


def _foreign(*places: int) -> Callable[[Line, Context], bool]:
    # a pid that is neither 0 (the caller itself) nor what a line of the recipe made
    def when(line: Line, context: Context) -> bool:
        return any(number(line.args[n]) != 0 and not context.made(line.args[n], GIVES_PID) for n in places)

    return when


def _foreign_who(whole_user: int) -> Callable[[Line, Context], bool]:
    def when(line: Line, context: Context) -> bool:
        return _one_of(0, whole_user)(line, context) or _foreign(1)(line, context)

    return when


def _foreign_owner(line: Line, context: Context) -> bool:
    return number(line.args[1]) == 8 and _foreign(2)(line, context)  # F_SETOWN


def _perf_of_others(line: Line, context: Context) -> bool:
    return _foreign(1)(line, context)


def _executes(at: int) -> Callable[[Line, Context], bool]:
    def when(line: Line, context: Context) -> bool:
        return context.path(line.args[at]) not in ("/proc/self/exe", "/proc/thread-self/exe")

    return when


# --- files

PRIVATE = ("/tmp/", "/var/tmp/", "/run/", "/dev/shm/", "/dev/mqueue/", "/dev/pts/", "/proc/self/", "/proc/thread-self/")
NODES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts/ptmx", "net/tun", "userfaultfd", "fuse", "shm", "pts", "mqueue")
SPENT_BY_READING = ("/proc/kmsg", "/proc/sysrq-trigger", "/sys/kernel/debug", "/sys/kernel/tracing")
AT_FDCWD = -100
O_WRITES = 1 | 2 | 0o100 | 0o1000 | 0o20000000  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE's own bit


def _outside(path: str | None) -> bool:
    if path is None:
        return True
    return not (path.startswith(PRIVATE) or path == "" or path in {p.rstrip("/") for p in PRIVATE} or path in {f"/dev/{n}" for n in NODES})


def _touches(path: str | None, writes: bool) -> bool:
    if path is None:
        return True
    if path.startswith("/dev/") and not path.startswith(PRIVATE) and path not in {f"/dev/{n}" for n in NODES}:
        return True
    return path.startswith(SPENT_BY_READING) or (writes and _outside(path))


def _opens(path_at: int, flags_at: int) -> Callable[[Line, Context], bool]:
    def when(line: Line, context: Context) -> bool:
        if path_at and isinstance(line.args[0], Ref) and not content(line.args[1]).startswith(b"/"):
            return False  # below a folder that an earlier line opened
        value = line.args[flags_at]
        flags = int.from_bytes(content(value)[:8], "little") if line.call == "openat2" else number(value)
        if flags is not None and flags & 0o10000000:
            return False  # O_PATH opens nothing
        return _touches(context.path(line.args[path_at]), flags is None or flags & O_WRITES != 0)

    return when


def _changes(*places: int) -> Callable[[Line, Context], bool]:
    def when(line: Line, context: Context) -> bool:
        for at in places:
            below = at and isinstance(line.args[at - 1], Ref) and "at" in line.call
            absolute = content(line.args[at]).startswith(b"/")
            if not (below and not absolute) and _outside(context.path(line.args[at])):
                return True
        return False

    return when


def _device(at: int) -> Callable[[Line, Context], bool]:
    def when(line: Line, context: Context) -> bool:
        mode = number(line.args[at])
        return mode is None or mode & 0o170000 in (0o020000, 0o060000)

    return when


def _without_own(flag: int) -> Callable[[Line, Context], bool]:
    return lambda line, context: not context.own & flag


def _remounts(line: Line, context: Context) -> bool:
    flags = number(line.args[3])
    return flags is None or bool(flags & 32 and not flags & 4096)


def _marks_others(line: Line, context: Context) -> bool:
    mark, mask = number(line.args[1]), number(line.args[2])
    return mark is None or mask is None or bool(mark & 0x110 and mask & 0x70000)  # FAN_MARK_FILESYSTEM, _MOUNT; FAN_*_PERM


# --- the network

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK = 1, 2, 10, 16, 17, 38, 40
INSIDE = (0, AF_NETLINK, AF_PACKET, AF_ALG)  # a network namespace, or nothing at all, holds them
VSOCK_LOCAL = 1
LOOPBACK6 = (bytes(15) + b"\1", bytes(16), bytes(10) + b"\xff\xff\x7f\0\0\1")


def _leads_out(address: bytes, folder: str = "/") -> bool:
    if len(address) < 2:
        return False  # no address: the kernel says EINVAL, or it is the one that is connected
    family = int.from_bytes(address[:2], "little")
    if family == AF_UNIX:
        name = address[2:]
        path = "" if name[:1] in (b"", b"\0") else name.partition(b"\0")[0].decode("utf-8", "surrogateescape")
        return bool(path) and _outside(posixpath.normpath(posixpath.join(folder, path)))
    if family == AF_INET:
        return len(address) >= 8 and address[4] != 127 and address[4:8] != bytes(4)
    if family == AF_INET6:
        return len(address) >= 24 and address[8:24] not in LOOPBACK6
    if family == AF_VSOCK:
        return int.from_bytes(address[8:12], "little") != VSOCK_LOCAL
    return family not in INSIDE


def _sends_out(at: int) -> Callable[[Line, Context], bool]:
    def when(line: Line, context: Context) -> bool:
        value = line.args[at] if at < len(line.args) else 0
        if number(value) == 0:
            return False
        return not isinstance(value, bytes | Room | Parts) or _leads_out(content(value), context.folder)

    return when


def _message_out(line: Line, context: Context) -> bool:
    header = line.args[1]
    if not isinstance(header, Parts) or not header.parts:
        return True
    first = header.parts[0]
    if isinstance(first, bytes):
        return any(first[:8])
    return not isinstance(first, Pointer) or _leads_out(content(first.to), context.folder)


def _binds_out(line: Line, context: Context) -> bool:
    address = content(line.args[1])
    return address[:2] == b"\1\0" and _leads_out(address, context.folder)


# --- ioctl(2): what is not known to stay with its own file is denied

_T = {0x5412: "TIOCSTI", 0x541C: "TIOCLINUX", 0x541D: "TIOCCONS", 0x5437: "TIOCVHANGUP", 0x541E: "TIOCGSERIAL", 0x541F: "TIOCSSERIAL"}
ALLOWED_TYPES = {
    0x00: (2, 2),  # FIGETBSZ
    0x21: (0, 255),  # seccomp user notification
    0x24: (0, 255),  # perf events, of a file that perf_event_open gave
    0x49: (0, 255),  # inotify
    0x54: (0, 255),  # terminals, generic file ioctls, timerfd, tun; without _T
    0x58: (31, 32),  # FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR
    0x62: (0, 255),  # dma-buf
    0x66: (1, 17),  # inode flags, FIEMAP, PAGEMAP_SCAN, PROCMAP_QUERY
    0x74: (0, 255),  # PPP, in a network namespace
    0x75: (0x40, 0x45),  # udmabuf
    0x76: (1, 2),  # inode generation
    0x89: (0, 255),  # sockets, in a network namespace
    0x8A: (0, 255),  # epoll busy poll
    0x94: (9, 54),  # FICLONE, FICLONERANGE, FIDEDUPERANGE; the other numbers are checked by _ioctl
    0xAA: (0, 255),  # userfaultfd
    0xB7: (0, 255),  # namespaces
    0xE5: (0, 255),  # FUSE
    0xFF: (0, 255),  # pidfds
}
CLONES = (9, 13, 54)


def _ioctl(line: Line, context: Context) -> bool:
    request = number(line.args[1])
    if request is None:
        return True
    kind, nr = request >> 8 & 0xFF, request & 0xFF
    low, high = ALLOWED_TYPES.get(kind, (1, 0))
    if not low <= nr <= high or request & 0xFFFFFFFF in _T:
        return True
    return kind == 0x94 and nr not in CLONES


# --- keys

SPECIAL_OWN = (-1, -2, -3, -7, -8)  # thread, process, session, request key's own
KEY_OPERATIONS_BEYOND = (18, 22)  # KEYCTL_SESSION_TO_PARENT, KEYCTL_GET_PERSISTENT


def _signed(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _foreign_key(at: int) -> Callable[[Line, Context], bool]:
    def when(line: Line, context: Context) -> bool:
        value = line.args[at] if at < len(line.args) else 0
        got = number(value)
        if got is None:
            return not context.made(value, ("add_key", "keyctl", "request_key"))
        return got != 0 and _signed(got) not in SPECIAL_OWN

    return when


def _keyctl(line: Line, context: Context) -> bool:
    operation = number(line.args[0])
    if operation is None or operation in KEY_OPERATIONS_BEYOND:
        return True
    if operation in (1, 14, 23, 30, 31):  # join session, set default keyring, DH, watch, capabilities: no key is named first
        return False
    to = {8: 2, 9: 2, 10: 4}.get(operation)  # link, unlink, search: the keyring that changes
    return _foreign_key(1)(line, context) or (to is not None and _foreign_key(to)(line, context))


CLONE_NEWNS, CLONE_NEWUTS = 0x20000, 0x4000000
BPF_ALONE = (0, 1, 2, 3, 4, 5, 15, 18, 21, 22, 24, 25, 26, 27)  # maps, loading and looking: nothing runs by it

DENIALS: tuple[Denial, ...] = (
    # the machine
    Denial(("reboot",), "it ends or restarts the machine, or the init of the sandbox", "reboot(2)"),
    Denial(("kexec_load", "kexec_file_load"), "it loads another kernel", "kexec_load(2)"),
    Denial(("settimeofday", "clock_settime", "adjtimex", "clock_adjtime"), "the clock is everybody's", "settimeofday(2), adjtimex(2)"),
    Denial(("swapon", "swapoff"), "swap is everybody's", "swapon(2)"),
    Denial(("init_module", "finit_module", "delete_module"), "modules are the kernel's, for everybody", "init_module(2), delete_module(2)"),
    Denial(("iopl", "ioperm"), "I/O ports reach the hardware", "iopl(2), ioperm(2)"),
    Denial(("quotactl", "quotactl_fd"), "quotas are those of a file system that others use", "quotactl(2)"),
    Denial(("syslog",), "it empties or silences the kernel's log", "syslog(2)"),
    Denial(("acct",), "process accounting writes about everybody in the pid namespace", "acct(2)"),
    Denial(("vhangup",), "it hangs up the terminal for everybody", "vhangup(2)"),
    Denial(("sync",), "it makes the machine write everybody's files", "sync(2)"),
    Denial(("bpf",), "a BPF program that is attached runs for everybody; pins stay behind", "bpf(2)", _none_of(0, *BPF_ALONE)),
    Denial(("perf_event_open",), "it measures tasks that no line made, or whole processors", "perf_event_open(2)", _perf_of_others),
    # processes
    Denial(
        ("kill", "tkill", "rt_sigqueueinfo"), "it signals a process that no line made", "kill(2), tkill(2), rt_sigqueueinfo(2)", _foreign(0)
    ),
    Denial(("tgkill", "rt_tgsigqueueinfo"), "it signals a process that no line made", "tgkill(2)", _foreign(0, 1)),
    Denial(
        ("pidfd_send_signal", "process_madvise", "process_mrelease", "pidfd_getfd"),
        "it acts on a process that no line made",
        "pidfd_send_signal(2), process_madvise(2), pidfd_getfd(2)",
        lambda line, context: not context.made(line.args[0], GIVES_PIDFD),
    ),
    Denial(("pidfd_open",), "it takes hold of a process that no line made", "pidfd_open(2)", _foreign(0)),
    Denial(("ptrace",), "it traces a process that no line made", "ptrace(2)", _foreign(1)),
    Denial(
        ("process_vm_writev", "process_vm_readv", "migrate_pages", "move_pages", "prlimit64"),
        "it acts on a process that no line made",
        "process_vm_readv(2), migrate_pages(2), move_pages(2), prlimit(2)",
        _foreign(0),
    ),
    Denial(
        ("sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity"),
        "it sets how a process is scheduled that no line made",
        "sched_setscheduler(2), sched_setattr(2), sched_setaffinity(2)",
        _foreign(0),
    ),
    Denial(("setpgid",), "it moves a process that no line made", "setpgid(2)", _foreign(0, 1)),
    Denial(("setpriority",), "it is about all processes of a user, or one that no line made", "setpriority(2)", _foreign_who(2)),
    Denial(("ioprio_set",), "it is about all processes of a user, or one that no line made", "ioprio_set(2)", _foreign_who(3)),
    Denial(("fcntl",), "signals would go to a process that no line made", "fcntl(2), F_SETOWN", _foreign_owner),
    Denial(("execve",), "it runs a program of the machine: nobody says what that does", "execve(2)", _executes(0)),
    Denial(("execveat",), "it runs a program of the machine: nobody says what that does", "execveat(2)", _executes(1)),
    # files
    Denial(("open",), "it opens a file or a device of the machine for more than reading", "open(2)", _opens(0, 1)),
    Denial(("openat", "openat2"), "it opens a file or a device of the machine for more than reading", "openat(2)", _opens(1, 2)),
    Denial(
        (
            "creat",
            "truncate",
            "unlink",
            "rmdir",
            "mkdir",
            "chmod",
            "chown",
            "lchown",
            "mknod",
            "utime",
            "utimes",
            "setxattr",
            "lsetxattr",
            "removexattr",
            "lremovexattr",
        ),
        "it changes files of the machine",
        "path_resolution(7)",
        _changes(0),
    ),
    Denial(("rename", "link"), "it changes files of the machine", "rename(2), link(2)", _changes(0, 1)),
    Denial(("symlink",), "it changes files of the machine", "symlink(2)", _changes(1)),
    Denial(
        ("unlinkat", "mkdirat", "mknodat", "fchmodat", "fchmodat2", "fchownat", "utimensat", "futimesat", "setxattrat", "removexattrat"),
        "it changes files of the machine",
        "openat(2)",
        lambda line, context: number(line.args[1]) != 0 and _changes(1)(line, context),
    ),
    Denial(("renameat", "renameat2", "linkat"), "it changes files of the machine", "renameat(2), linkat(2)", _changes(1, 3)),
    Denial(("symlinkat",), "it changes files of the machine", "symlinkat(2)", _changes(2)),
    Denial(("mknod",), "it makes a device node", "mknod(2)", _device(1)),
    Denial(("mknodat",), "it makes a device node", "mknod(2)", _device(2)),
    Denial(("fallocate",), "it fills memory or a disk: more than 64 MiB", "fallocate(2)", _above(3, 64 << 20)),
    Denial(("mmap",), "it maps more than 1 GiB: an engine would have to write it", "mmap(2)", _above(1, GIB)),
    Denial(("mremap",), "it maps more than 1 GiB: an engine would have to write it", "mremap(2)", _above(2, GIB)),
    Denial(
        ("mmap",),
        "it fills memory: more than 64 MiB at once (MAP_POPULATE, MAP_LOCKED)",
        "mmap(2)",
        lambda line, context: _above(1, 64 << 20)(line, context) and _bits(3, 0xA000)(line, context),
    ),
    Denial(
        ("fanotify_mark",), "who opens a file of that mount would wait for the listener", "fanotify_mark(2), FAN_OPEN_PERM", _marks_others
    ),
    # mounts and names
    Denial(("pivot_root",), "it changes the root for every process of the sandbox", "pivot_root(2)"),
    Denial(("mount",), "MS_REMOUNT changes a file system for all of its mounts, those of the machine too", "mount(2)", _remounts),
    Denial(("fspick",), "it reconfigures a file system for all of its mounts", "fspick(2)"),
    Denial(
        ("mount", "umount2", "move_mount", "open_tree", "mount_setattr"),
        "later rounds would see it: no line has made a mount namespace of its own",
        "mount_namespaces(7)",
        _without_own(CLONE_NEWNS),
    ),
    Denial(("umount2",), "of the root it makes the file system read-only", "umount(2); Linux fs/namespace.c do_umount", _changes(0)),
    Denial(
        ("sethostname", "setdomainname"),
        "later rounds would see it: no line has made a UTS namespace of its own",
        "uts_namespaces(7)",
        _without_own(CLONE_NEWUTS),
    ),
    # the network
    Denial(("connect",), "it talks to something that is not on this machine, or to a program of this machine", "connect(2)", _sends_out(1)),
    Denial(("sendto",), "it sends to something that is not on this machine, or to a program of this machine", "send(2)", _sends_out(4)),
    Denial(("sendmsg", "sendmmsg"), "it sends to what is not on this machine, or nobody can read where", "send(2)", _message_out),
    Denial(("bind",), "it leaves a socket among the files of the machine", "unix(7)", _binds_out),
    # devices
    Denial(
        ("ioctl",),
        "no request that is known to stay with its own file; consoles, clocks, watchdogs, block devices do not",
        "ioctl(2), ioctl_tty(2), ioctl_console(2); Linux Documentation/userspace-api/ioctl/ioctl-number.rst",
        _ioctl,
    ),
    # keys
    Denial(("keyctl",), "it acts on a keyring of the user, or a key that no line made", "keyctl(2), keyrings(7)", _keyctl),
    Denial(("add_key",), "it adds to a keyring of the user, which others use", "add_key(2), keyrings(7)", _foreign_key(4)),
    Denial(
        ("request_key",),
        "it starts a program of the machine (/sbin/request-key), or adds to a keyring of the user",
        "request_key(2), keyrings(7)",
        lambda line, context: number(line.args[2]) != 0 or _foreign_key(3)(line, context),
    ),
)

BY_CALL: dict[str, tuple[Denial, ...]] = {}
for _row in DENIALS:
    for _call in _row.calls:
        BY_CALL[_call] = (*BY_CALL.get(_call, ()), _row)
