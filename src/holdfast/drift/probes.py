"""What BTF does not hold, asked of the running kernel: formats of /proc, names and order of kernel areas, what calls accept.

`python3 -m holdfast.drift.probes` prints the facts as JSON; it needs the standard library only, so it runs in any guest. Every
probe works on the process's own new objects, and a probe that fails says so in its value: a fact is never left out in silence.

Shape:   table -> name -> value, all text; a value that is the machine's and not the kernel's is left out
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import re
import select
import socket
import struct
import sys
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FORM = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_GAP = 1 << 20  # kernel areas lie beside each other; what is further apart was placed on its own

# numbers of x86-64; include/uapi/asm-generic/unistd.h gives the newer ones to all CPUs alike
_NEW_CALLS = {
    "memfd_secret": 447, "process_mrelease": 448, "futex_waitv": 449, "set_mempolicy_home_node": 450, "cachestat": 451,
    "fchmodat2": 452, "map_shadow_stack": 453, "futex_wake": 454, "futex_wait": 455, "futex_requeue": 456, "statmount": 457,
    "listmount": 458, "lsm_get_self_attr": 459, "lsm_set_self_attr": 460, "lsm_list_modules": 461, "mseal": 462, "setxattrat": 463,
    "getxattrat": 464, "listxattrat": 465, "removexattrat": 466, "open_tree_attr": 467, "file_getattr": 468, "file_setattr": 469,
    "listns": 470, "rseq_slice_yield": 471,
}  # fmt: skip
# requests by the object that they are asked of: (request, bytes of the argument); each changes at most the probe's own new object
_REQUESTS = {
    "PIDFD_GET_INFO": ("pidfd", 0xC040FF0B, 64), "TFD_IOC_SET_TICKS": ("timerfd", 0x40085400, 8), "EPIOCGPARAMS": ("epoll", 0x80088A02, 8),
    "INOTIFY_IOC_SETNEXTWD": ("inotify", 0x40044900, 4), "TIOCGPTPEER": ("pty", 0x5441, 0), "TIOCGPKT": ("pty", 0x80045438, 4),
    "TIOCGPTLCK": ("pty", 0x80045439, 4), "TIOCGEXCL": ("pty", 0x80045440, 4), "NS_GET_ID": ("namespace", 0x8008B70D, 8),
}  # fmt: skip
# structs that calls take with their size, and that grow at the end: (system call, arguments before the struct, its smallest size)
_GROWING = {
    "clone_args": (435, (), 64), "open_how": (437, (-1, b""), 24), "mount_attr": (442, (-1, b"", 0), 32),
    "landlock_ruleset_attr": (444, (), 8),
}  # fmt: skip
# prctl(2) questions: (option, arguments); they read and change nothing
_QUESTIONS = {
    "PR_GET_DUMPABLE": (3,), "PR_GET_KEEPCAPS": (7,), "PR_GET_TIMING": (13,), "PR_GET_NAME": None, "PR_GET_SECCOMP": (21,),
    "PR_GET_TSC": None, "PR_GET_SECUREBITS": (27,), "PR_GET_TIMERSLACK": (30,), "PR_MCE_KILL_GET": (34,), "PR_GET_CHILD_SUBREAPER": None,
    "PR_GET_NO_NEW_PRIVS": (39,), "PR_GET_TID_ADDRESS": None, "PR_GET_THP_DISABLE": (42,), "PR_GET_SPECULATION_CTRL": (52, 0),
    "PR_GET_IO_FLUSHER": (58,), "PR_GET_MDWE": (66,), "PR_GET_MEMORY_MERGE": (68,), "PR_GET_AUXV": None,
    "PR_TIMER_CREATE_RESTORE_IDS": (77, 2), "PR_FUTEX_HASH": (78, 2), "PR_RSEQ_SLICE_EXTENSION": (79, 1), "PR_GET_CFI": None,
}  # fmt: skip
_POINTERS = {"PR_GET_NAME": 16, "PR_GET_TSC": 25, "PR_GET_CHILD_SUBREAPER": 37, "PR_GET_TID_ADDRESS": 40}
_SOCKET_OPTIONS = {
    "SO_PASSPIDFD": (1, 1, 76), "SO_PEERPIDFD": (1, 1, 77), "SO_PASSRIGHTS": (1, 1, 83), "SO_INQ": (1, 1, 84), "SO_BUF_LOCK": (2, 1, 72),
    "SO_RESERVE_MEM": (2, 1, 73), "SO_TXREHASH": (2, 1, 74), "SO_RCVMARK": (2, 1, 75), "SO_DEVMEM_LINEAR": (2, 1, 78),
    "SO_RCVPRIORITY": (2, 1, 82), "IP_LOCAL_PORT_RANGE": (2, 0, 51), "TCP_RTO_MAX_MS": (2, 6, 44), "TCP_RTO_MIN_US": (2, 6, 45),
    "TCP_DELACK_MAX_US": (2, 6, 46), "TCP_AO_INFO": (2, 6, 40),
}  # fmt: skip


def probe() -> dict[str, dict[str, str]]:
    """Every fact of the running kernel, by table."""
    tables: dict[str, Callable[[], dict[str, str]]] = {
        "proc-files": proc_files,
        "status-keys": lambda: dict.fromkeys(keys("/proc/self/status"), "there"),
        "smaps-keys": lambda: {key: "there" for key in keys("/proc/self/smaps") if " " not in key and "-" not in key},
        "auxv-keys": auxv,
        "vma-names": areas,
        "vmflags-letters": letters,
        "link-names": lambda: {name: link for name, (link, _) in objects().items()},
        "fdinfo-keys": fdinfo_keys,
        "calls": calls,
        "prctl": questions,
        "socket-options": socket_options,
        "numbers": numbers,
        "ioctls": ioctls,
        "sizes": sizes,
        "behaviour": behaviour,
    }
    return {name: dict(sorted(ask().items())) for name, ask in tables.items()}


def keys(path: str) -> list[str]:
    """The words before the colons of a file, each once."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return list(dict.fromkeys(line.split(":", 1)[0] for line in file if ":" in line))


def proc_files() -> dict[str, str]:
    """The files and folders of a process in /proc."""
    return {
        name: "folder" if os.path.isdir(f"/proc/self/{name}") and not os.path.islink(f"/proc/self/{name}") else "file"
        for name in os.listdir("/proc/self")
    }


def auxv() -> dict[str, str]:
    """The entries of the auxiliary vector by number; the value where it is the kernel's and not the machine's."""
    with open("/proc/self/auxv", "rb") as file:
        data = file.read()
    pairs = [struct.unpack_from("<QQ", data, i) for i in range(0, len(data) - 15, 16)]
    telling = {27: "rseq feature size", 28: "rseq alignment"}
    return {f"AT_{k}": f"{telling[k]} {v}" if k in telling else "there" for k, v in pairs if k}


def areas() -> dict[str, str]:
    """The areas that the kernel itself maps: which, their pages, and the order of those that lie beside each other."""
    found: list[tuple[int, int, str]] = []
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        for line in file:
            part = line.split(maxsplit=5)
            if len(part) == 6 and part[5].startswith("[") and not part[5].startswith("[anon"):
                start, end = (int(x, 16) for x in part[0].split("-"))
                found.append((start, end, part[5].strip()))
    fixed = ("[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]", "[uprobes]")
    out = {name: f"{(end - start) // mmap.PAGESIZE} pages" if name in fixed else "there" for start, end, name in found}
    beside = [name for (start, end, name) in found if any(abs(start - e) < _GAP or abs(end - s) < _GAP for s, e, n in found if n != name)]
    out["order"] = " ".join(name for name in beside if name in fixed)
    out.update({f"{name} flags": flags for name, flags in _area_flags().items() if name in fixed})
    return out


def _area_flags() -> dict[str, str]:
    # the letters of named areas: one that is sealed cannot be moved to where an image had it
    out: dict[str, str] = {}
    name = ""
    with open("/proc/self/smaps", encoding="utf-8", errors="replace") as file:
        for line in file:
            part = line.split()
            if "-" in part[0] and not part[0].endswith(":"):
                name = part[5] if len(part) > 5 else ""
            elif part[0] == "VmFlags:" and name:
                out[name] = " ".join(letter for letter in part[1:] if letter != "sd")
    return out


def letters() -> dict[str, str]:
    """The letters of VmFlags that appear on areas of many kinds."""
    held = []
    for advice in range(26):
        area = mmap.mmap(-1, 4 * mmap.PAGESIZE)
        if hasattr(area, "madvise"):
            try:
                area.madvise(advice)
            except (OSError, ValueError):
                pass
        held.append(area)
    held.append(mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000))  # MAP_NORESERVE
    _LIBC.mmap.restype = ctypes.c_void_p
    for flags in (0x22 | 0x100, 0x22 | 0x2000, 0x28):  # grows down, locked, droppable
        _LIBC.mmap(None, mmap.PAGESIZE, 3, flags, -1, 0)
    sealed = _LIBC.mmap(None, mmap.PAGESIZE, 1, 0x22, -1, 0)
    if sealed and sealed != ctypes.c_void_p(-1).value:
        _LIBC.syscall(462, ctypes.c_void_p(sealed), ctypes.c_size_t(mmap.PAGESIZE), 0)
    out: dict[str, str] = {}
    with open("/proc/self/smaps", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("VmFlags:"):
                out.update(dict.fromkeys(line.split()[1:], "there"))
    for area in held:
        area.close()
    return out


def _made() -> dict[str, Callable[[], list[int]]]:
    # name to a function that makes such descriptors; the first one is looked at, all are closed
    def call(number: int, *args: int | bytes | None) -> int:
        result = int(_LIBC.syscall(number, *args))
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

    def epoll() -> list[int]:
        ends, poll = os.pipe(), select.epoll()
        poll.register(ends[0], select.EPOLLIN)
        return [os.dup(poll.fileno()), *ends]

    def inotify() -> list[int]:
        fd = call(294, 0)  # inotify_init1
        call(254, fd, b"/proc/self", 0x100)  # inotify_add_watch
        return [fd]

    def fanotify() -> list[int]:
        fd = call(300, 0, 0)  # fanotify_init
        call(301, fd, 1, ctypes.c_uint64(0x20), -100, b"/")  # type: ignore[arg-type]  # fanotify_mark
        return [fd]

    def locked() -> list[int]:
        fd, path = tempfile.mkstemp()
        os.unlink(path)
        fcntl.lockf(fd, fcntl.LOCK_EX)
        return [fd]

    def ring() -> list[int]:
        return [call(425, 4, ctypes.create_string_buffer(120))]  # type: ignore[arg-type]  # io_uring_setup

    def bpf_map() -> list[int]:
        attributes = struct.pack("<IIII", 2, 4, 4, 1) + bytes(112)  # BPF_MAP_TYPE_ARRAY
        return [call(321, 0, attributes, len(attributes))]

    def perf() -> list[int]:
        attributes = bytearray(136)
        struct.pack_into("<IIQ", attributes, 0, 1, len(attributes), 1)  # PERF_TYPE_SOFTWARE, task clock
        attributes[40] = 0x61  # disabled, exclude_kernel, exclude_hv
        return [call(298, bytes(attributes), 0, -1, -1, 0)]

    return {
        "eventfd": lambda: [call(290, 3, 0)],
        "epoll": epoll,
        "timerfd": lambda: [call(283, 1, 0)],
        "signalfd": lambda: [call(289, -1, struct.pack("<Q", 1 << 9), 8, 0)],
        "inotify": inotify,
        "fanotify": fanotify,
        "pidfd": lambda: [call(434, os.getpid(), 0)],
        "memfd": lambda: [call(319, b"probe", 0)],
        "memfd_secret": lambda: [call(447, 0)],
        "userfaultfd": lambda: [call(323, 1)],
        "io_uring": ring,
        "bpf-map": bpf_map,
        "perf_event": perf,
        "landlock": lambda: [call(444, struct.pack("<Q", 1), 8, 0)],
        "fscontext": lambda: [call(430, b"tmpfs", 0)],
        "mqueue": lambda: [call(240, b"holdfast-probe-%d" % os.getpid(), 0o102, 0o600, None)],
        "pipe": lambda: list(os.pipe()),
        "socket": lambda: [s.detach() for s in socket.socketpair()],
        "file-lock": locked,
        "pty": lambda: list(os.openpty()),
        "namespace": lambda: [os.open("/proc/self/ns/uts", os.O_RDONLY)],
    }


def objects() -> dict[str, tuple[str, list[str]]]:
    """One descriptor of each kind: the text of its link, numbers blanked, and the keys of its fdinfo."""
    out: dict[str, tuple[str, list[str]]] = {}
    for name, make in _made().items():
        try:
            fds = make()
        except OSError as error:
            out[name] = (f"not made: {errno.errorcode.get(error.errno or 0, str(error.errno))}", [])
            continue
        link = os.readlink(f"/proc/self/fd/{fds[0]}")
        link = re.sub(r"^/.*(?= \(deleted\)$)", "PATH", re.sub(r"\d+", "N", link)) if name != "mqueue" else "/NAME"
        with open(f"/proc/self/fdinfo/{fds[0]}", encoding="utf-8", errors="replace") as file:
            found = list(dict.fromkeys(key for line in file if (key := _key(line.strip())) and not key.isdigit()))
        out[name] = (link, found)
        for fd in fds:
            os.close(fd)
        if name == "mqueue":
            _LIBC.syscall(241, b"holdfast-probe-%d" % os.getpid())  # mq_unlink
    return out


def _key(line: str) -> str:
    # `settime flags: 01` has a key of two words, `inotify wd:1 ino:2` and `fanotify ...` are lists after one
    first = line.split(" ", 1)[0]
    return first if first in ("inotify", "fanotify") else line.partition(":")[0] if ":" in line else ""


def fdinfo_keys() -> dict[str, str]:
    """Each key of fdinfo, with the kinds of descriptor that show it."""
    made = {name: found for name, (link, found) in objects().items() if not link.startswith("not made")}
    out: dict[str, list[str]] = {}
    for name, found in sorted(made.items()):
        for key in found:
            out.setdefault(key, []).append(name)
    return {key: "every" if len(names) == len(made) else " ".join(names) for key, names in out.items()}


def calls() -> dict[str, str]:
    """Which of the newer system calls are there; each is asked with arguments that it must refuse."""
    out = {}
    for name, number in _NEW_CALLS.items():
        ctypes.set_errno(0)
        _LIBC.syscall(number, -1, -1, -1, -1, -1, -1)
        out[name] = "missing" if ctypes.get_errno() == errno.ENOSYS else "there"
    return out


def questions() -> dict[str, str]:
    """Which prctl questions are answered."""
    out = {}
    room = ctypes.create_string_buffer(64)
    for name, arguments in _QUESTIONS.items():
        if arguments is None and name not in _POINTERS:
            continue
        ctypes.set_errno(0)
        if arguments is None:
            result = _LIBC.prctl(_POINTERS[name], room, 0, 0, 0)
        else:
            result = _LIBC.prctl(*(ctypes.c_ulong(x) for x in (*arguments, 0, 0, 0, 0)[:5]))
        out[name] = _answer(result)
    return out


def _answer(result: int) -> str:
    return "answered" if result >= 0 else errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))


def socket_options() -> dict[str, str]:
    """Which of the newer socket options can be read back."""
    out = {}
    for name, (family, level, option) in _SOCKET_OPTIONS.items():
        with socket.socket(family, socket.SOCK_STREAM) as one:
            try:
                one.getsockopt(level, option, 64)
                out[name] = "answered"
            except OSError as error:
                out[name] = errno.errorcode.get(error.errno or 0, str(error.errno))
    return out


def numbers() -> dict[str, str]:
    """Masks and counts that grow from kernel to kernel."""
    with open("/proc/self/stat", "rb") as file:
        out = {"fields of stat": str(len(file.read().rpartition(b")")[2].split()) + 2)}
    with open("/proc/self/statm", "rb") as file:
        out["fields of statm"] = str(len(file.read().split()))
    out["landlock version"] = str(_LIBC.syscall(444, None, 0, 1))
    out["membarrier commands"] = hex(_LIBC.syscall(324, 0, 0, 0))
    out["kcmp"] = "there" if _LIBC.syscall(312, os.getpid(), os.getpid(), 1, 0, 0) == 0 else errno.errorcode.get(ctypes.get_errno(), "")
    out["userfaultfd features"] = _userfaultfd()
    return out


def ioctls() -> dict[str, str]:
    """Which requests an object of each kind understands."""
    out = {}
    made = _made()
    for name, (kind, request, length) in _REQUESTS.items():
        try:
            fds = made[kind]()
        except OSError as error:
            out[name] = f"not made: {errno.errorcode.get(error.errno or 0, str(error.errno))}"
            continue
        room = ctypes.create_string_buffer(max(length, 1))
        ctypes.set_errno(0)
        result = _LIBC.ioctl(fds[0], ctypes.c_ulong(request), room)
        out[name] = "missing" if result < 0 and ctypes.get_errno() == errno.ENOTTY else "there"
        if name == "TIOCGPTPEER" and result >= 0:
            os.close(result)
        for fd in fds:
            os.close(fd)
    out["PAGEMAP_SCAN"] = _ioctl("/proc/self/pagemap", 0xC0606610, bytes(96))
    out["PROCMAP_QUERY"] = _ioctl("/proc/self/maps", 0xC0686611, bytes(104))
    return out


def sizes() -> dict[str, str]:
    """How many bytes of each growing struct the kernel knows: the first byte beyond them that must be zero is an E2BIG.

    Source:  include/linux/uaccess.h: copy_struct_from_user, which looks at the struct before any call looks at what is in it
    """
    out = {}
    for name, (number, before, smallest) in _GROWING.items():
        out[name] = "more"
        for known in range(smallest, 256, 8):
            room = bytearray(512)
            room[:8] = b"\xff" * 8  # flags that no kernel knows: no call can succeed, whatever size it takes
            room[known] = 1
            after = (ctypes.c_size_t(len(room)), 0) if name == "landlock_ruleset_attr" else (ctypes.c_size_t(len(room)),)
            ctypes.set_errno(0)
            _LIBC.syscall(number, *before, bytes(room), *after)
            if ctypes.get_errno() == errno.E2BIG:
                out[name] = str(known)
                break
    attributes = ctypes.create_string_buffer(256)
    out["sched_attr"] = "" if _LIBC.syscall(315, 0, attributes, len(attributes), 0) else str(struct.unpack_from("<I", attributes)[0])
    asked = bytearray(512)
    struct.pack_into("<II", asked, 0, 1, len(asked))
    asked[-1] = 1
    refused = ctypes.create_string_buffer(bytes(asked))
    _LIBC.syscall(298, refused, 0, -1, -1, 0)  # refuses the size, and writes the one that it knows
    out["perf_event_attr"] = str(struct.unpack_from("<II", refused)[1])
    return out


def behaviour() -> dict[str, str]:
    """What calls that a dump or restore stands on do here."""
    me, size, uids = os.getpid(), ctypes.c_uint(0), (ctypes.c_uint * 2)()
    known = []
    for kind in range(16):
        ctypes.set_errno(0)
        if _LIBC.syscall(312, me, me, kind, 0, 0) >= 0 or ctypes.get_errno() != errno.EINVAL:  # kcmp
            known.append(str(kind))
    out = {"kcmp types": " ".join(known)}
    # the bytes of struct prctl_mm_map: PR_SET_MM, PR_SET_MM_MAP_SIZE
    asked = _LIBC.prctl(35, ctypes.c_ulong(15), ctypes.byref(size), ctypes.c_ulong(0), ctypes.c_ulong(0))
    out["PR_SET_MM_MAP_SIZE"] = str(size.value) if asked == 0 else errno.errorcode.get(ctypes.get_errno(), "")
    ends = os.pipe()
    out["F_GETOWNER_UIDS"] = _answer(_LIBC.fcntl(ends[0], 17, uids))
    for fd in ends:
        os.close(fd)
    return {**out, **_traced()}


def _traced() -> dict[str, str]:
    # which ptrace requests a stopped task answers; the task is a child that waits, and ends here
    requests = {"PTRACE_PEEKSIGINFO": 0x4209, "PTRACE_GETSIGMASK": 0x420A, "PTRACE_SECCOMP_GET_METADATA": 0x420D,
                "PTRACE_GET_SYSCALL_INFO": 0x420E, "PTRACE_GET_RSEQ_CONFIGURATION": 0x420F,
                "PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG": 0x4211}  # fmt: skip
    lengths = {0x420A: 8, 0x420E: 88, 0x420F: 24, 0x4211: 32, 0x420D: 16}
    _LIBC.ptrace.restype = ctypes.c_long
    hold, let = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(let)
        os.read(hold, 1)
        os._exit(0)
    try:
        room = ctypes.create_string_buffer(256)
        if _LIBC.ptrace(0x4206, child, None, None) != 0 or _LIBC.ptrace(0x4207, child, None, None) != 0:  # SEIZE, INTERRUPT
            return {name: f"not made: {errno.errorcode.get(ctypes.get_errno(), '')}" for name in requests}
        os.waitpid(child, 0x40000000)  # __WALL
        out = {}
        for name, request in requests.items():
            ctypes.set_errno(0)
            room.raw = bytes(256)
            address = room if request == 0x4209 else ctypes.c_ulong(lengths[request])
            result = _LIBC.ptrace(ctypes.c_long(request), child, address, room)
            # EIO says that the request is not known; any other error is about its arguments or the task's state
            out[name] = "missing" if result < 0 and ctypes.get_errno() == errno.EIO else "there"
        return out
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0x40000000)
        os.close(hold)
        os.close(let)


def _ioctl(path: str, request: int, data: bytes) -> str:
    # whether a descriptor knows a request: ENOTTY says no, every other answer that it was understood
    room = ctypes.create_string_buffer(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        ctypes.set_errno(0)
        result = _LIBC.ioctl(fd, ctypes.c_ulong(request), room)
        return "missing" if result < 0 and ctypes.get_errno() == errno.ENOTTY else "there"
    finally:
        os.close(fd)


def _userfaultfd() -> str:
    fd = _LIBC.syscall(323, 1)
    if fd < 0:
        return errno.errorcode.get(ctypes.get_errno(), "")
    room = ctypes.create_string_buffer(struct.pack("<QQQ", 0xAA, 0, 0))
    result = _LIBC.ioctl(fd, ctypes.c_ulong(0xC018AA3F), room)
    os.close(fd)
    return hex(struct.unpack("<QQQ", room.raw[:24])[1]) if result == 0 else errno.errorcode.get(ctypes.get_errno(), "")


def document() -> dict[str, object]:
    """The facts with the release that they are about."""
    return {"form": FORM, "release": os.uname().release, "tables": probe()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=1, sort_keys=True) + "\n")
