"""What one process uses now, as runtime keys, and the verdict about it: for `check` and `dump` at dump time, never sticky.

`judge` takes primitive facts, so that an engine which has looked already need not look again; it loads only the rows that it wants.
"""

from __future__ import annotations

import stat

from holdfast.tags import evaluate, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from holdfast.tags.evaluate import Judged
    from holdfast.tags.row import Tag

AREAS = ("descriptors", "process")
POLICIES = ("SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "4", "SCHED_IDLE", "SCHED_DEADLINE", "SCHED_EXT")
_FS = {
    "proc": "proc",
    "sysfs": "sysfs",
    "cgroup": "cgroup",
    "cgroup2": "cgroup",
    "tracefs": "tracefs",
    "debugfs": "debugfs",
    "securityfs": "securityfs",
    "bpf": "bpffs",
    "configfs": "configfs",
    "mqueue": "mqueue",
    "binder": "binderfs",
}
# file systems, as mountinfo names them, whose open files hold nothing but an offset and flags: those that fd.regular knows
_STORES = frozenset(
    """ext2 ext3 ext4 xfs btrfs tmpfs devtmpfs ramfs rootfs overlay f2fs bcachefs zfs vfat msdos exfat ntfs3 jfs nilfs2 reiserfs
    squashfs erofs iso9660 udf nfs nfs4 cifs smb3 ceph 9p fuse fuseblk gfs2 ocfs2 hugetlbfs""".split()
)
# pages of the kernel itself: their flags (io, pf) are its own business
_KERNELS_OWN = frozenset({"[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]"})
_O_PATH, _FASYNC = 0o10000000, 0o20000
# status keys whose value at rest is known; any other value is in use
_AT_REST = {"Seccomp": ("0",), "NoNewPrivs": ("0",), "TracerPid": ("0",), "THP_enabled": ("1",), "untag_mask": ("0xffffffffffffffff",)}
_SPEC_AT_REST = ("not vulnerable", "thread vulnerable", "vulnerable", "conditional enabled", "always enabled", "unknown")
_SPEC = {
    "Speculation_Store_Bypass": _SPEC_AT_REST,
    "SpeculationIndirectBranch": (*_SPEC_AT_REST, "not affected", "unsupported", "always disabled"),
}


def descriptor(link: str, mode: int, rdev: int = 0, flags: int = 0, filesystem: str = "") -> str:
    """The key of one descriptor that is no socket.

    Shape:   `link` as readlink of /proc/PID/fd/N prints it, `mode` and `rdev` of stat, `flags` of fdinfo, `filesystem` of its mount
    Source:  proc_pid_fd(5)
    """
    if link.startswith("anon_inode:"):
        return "fd:" + link.replace(" ", "\\x20")
    if link.startswith("/memfd:"):
        return "fd:memfd"
    if link.startswith("/secretmem"):
        return "fd:secretmem"
    if link.startswith("/dmabuf:"):
        return "fd:dmabuf"
    if link.startswith("pidfd:") or filesystem == "pidfs":
        return "fd:pidfd"
    head, colon, rest = link.partition(":")
    if colon and rest.startswith("[") and head not in {"pipe", "socket"}:
        return f"fd:ns:{head}"
    if flags & _O_PATH:
        return "fd:o_path"
    if stat.S_ISCHR(mode):
        return f"fd:chr:{(rdev >> 8) & 0xFFF}:{(rdev & 0xFF) | ((rdev >> 12) & 0xFFF00)}"
    if stat.S_ISBLK(mode):
        return "fd:block"
    if stat.S_ISFIFO(mode):
        return "fd:pipe" if link.startswith("pipe:") else "fd:fifo"
    if stat.S_ISDIR(mode):
        return "fd:directory"
    if stat.S_ISREG(mode):
        if filesystem in _FS:
            return f"fd:{_FS[filesystem]}"
        return "fd:regular" if filesystem.partition(".")[0] in _STORES else f"fd:on:{filesystem}"
    return f"fd:mode:{stat.S_IFMT(mode):o}"


def fdinfo(lines: Iterable[str], flags: int = 0) -> Iterator[str]:
    """Keys of what fdinfo says of a descriptor beyond its kind: locks, signal-driven I/O.

    Source:  proc_pid_fdinfo(5)
    """
    if "lock" in lines:
        yield "fdinfo:lock"
    if flags & _FASYNC:
        yield "fdinfo:async"


def mapping(name: str, flags: Iterable[str], protection_key: int = 0) -> Iterator[str]:
    """Keys of one mapping: a special name, its VmFlags, its protection key.

    Source:  proc_pid_maps(5), proc_pid_smaps(5)
    """
    if name.startswith(("[", "anon_inode:", "/SYSV", "/[aio]", "/secretmem", "/dev/sgx")):
        yield f"vma:{'[stack]' if name.startswith('[stack') else 'anon_inode' if name.startswith('anon_inode:') else name}"
    if name in _KERNELS_OWN:
        return
    for flag in flags:
        yield f"vmflag:{flag}"
    if protection_key:
        yield "smaps:ProtectionKey"


def status(keys: Mapping[str, str]) -> Iterator[str]:
    """Keys of /proc/PID/status that are not at rest.

    Source:  proc_pid_status(5)
    """
    for key, rest in {**_AT_REST, **_SPEC}.items():
        if key in keys and keys[key] not in rest:
            yield f"status:{key}"
    for word in keys.get("x86_Thread_features", "").split():
        yield f"feature:{word}"
    state = keys.get("State", "")[:1]
    if state:
        yield f"task:{state}"


def judge(keys: Iterable[str], engine: str = "native", kernel: str = "", version: str = "", discovered: Iterable[Tag] = ()) -> Judged:
    """The verdict about a set of runtime keys, as facts/descriptors.py explains them.

    Shape:   evaluated anew at each call; nothing is kept
    """
    return evaluate.process(keys, table.load(discovered, AREAS), engine, kernel, version)
