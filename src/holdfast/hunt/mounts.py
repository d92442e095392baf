"""What a sandbox sees of the file system: the machine's, read-only, with a /proc, /dev, /tmp and /run of its own.

Needs a mount namespace that nobody else is in. What was mounted stays mounted, read-only and private; so a program inside finds its
libraries, and changes nothing.
Source:  mount_namespaces(7), mount_setattr(2), open_tree(2), move_mount(2), Linux Documentation/filesystems/{tmpfs,devpts}.rst
"""

from __future__ import annotations

import ctypes
import os
import stat

from holdfast.kernel.uapi.syscalls import X86_64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 0x4000, 1 << 18
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, 0o2000000
MOVE_MOUNT_F_EMPTY_PATH = 4
MOUNT_ATTR_RDONLY = 1
PRIVATE = ("/tmp", "/run", "/var/tmp")
# nodes of the machine that act on nobody else; all others are not there
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "net/tun", "userfaultfd", "fuse")
LINKS = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
# writable ways to the whole machine below /proc
SEALED = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/proc/scsi", "/proc/mtrr")

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *args: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = int(_libc.syscall(ctypes.c_long(X86_64[name]), *given))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", next((os.fsdecode(a) for a in args if isinstance(a, bytes)), ""))
    return result


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    _call("mount", os.fsencode(source), os.fsencode(target), kind.encode(), flags, data.encode())


def build(keep: Iterable[str], writable: Iterable[str], memory: int) -> None:
    """Make the file system of a sandbox out of the machine's.

    Shape:   `keep`: paths that stay to be seen, read-only, where a private folder hides what was there; `writable`: folders that stay
             as they are
    Unit:    `memory` in bytes: how much may lie in /tmp, and in /dev/shm
    Needs:   CAP_SYS_ADMIN in the user namespace of a new mount namespace; a new pid and ipc namespace
    Raises:  OSError: the call that failed and its path
    """
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    hidden = [(path, _clone(path)) for path in _outermost(keep) if path.startswith(tuple(f"{p}/" for p in PRIVATE))]
    open_still = [(path, _clone(path)) for path in _outermost(writable)]
    devices = [(name, _clone(f"/dev/{name}")) for name in DEVICES if _is_device(f"/dev/{name}")]
    _read_only(AT_FDCWD, "/", True)
    for point in PRIVATE:
        if os.path.isdir(point) and not os.path.islink(point):
            mount("tmpfs", point, "tmpfs", MS_NOSUID | MS_NODEV, f"size={memory},mode=1777")
    for path, tree in hidden:
        _read_only(tree, "", True)
        _place(tree, path)
    for path, tree in open_still:
        _place(tree, path)
    mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64k,mode=755")
    for name, tree in devices:
        _place(tree, f"/dev/{name}")
    for name, to in LINKS.items():
        os.symlink(to, f"/dev/{name}")
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(f"/dev/{name}")
    _read_only(AT_FDCWD, "/dev", False)
    mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, f"size={memory},mode=1777")
    try:
        mount("mqueue", "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError:
        os.stat("/dev/mqueue")  # a kernel without CONFIG_POSIX_MQUEUE: the folder stays empty
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for path in SEALED:
        if os.path.exists(path):
            tree = _clone(path)
            _read_only(tree, "", True)
            _place(tree, path)
    os.chdir("/")


def _outermost(paths: Iterable[str]) -> list[str]:
    found: list[str] = []
    for path in sorted({os.path.abspath(p) for p in paths if os.path.exists(p)}):
        if not any(path.startswith(f + "/") for f in found):
            found.append(path)
    return found


def _is_device(path: str) -> bool:
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False


def _clone(path: str) -> int:
    return _call("open_tree", AT_FDCWD, os.fsencode(path), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)


def _read_only(tree: int, path: str, recursive: bool) -> None:
    attributes = MOUNT_ATTR_RDONLY.to_bytes(8, "little") + bytes(24)
    flags = (AT_RECURSIVE if recursive else 0) | (0 if path else AT_EMPTY_PATH)
    _call("mount_setattr", tree, os.fsencode(path), flags, ctypes.create_string_buffer(attributes, 32), 32)


def _place(tree: int, path: str) -> None:
    if not os.path.exists(path):
        is_folder = stat.S_ISDIR(os.fstat(tree).st_mode)
        os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
        if not is_folder:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
    _call("move_mount", tree, b"", AT_FDCWD, os.fsencode(path), MOVE_MOUNT_F_EMPTY_PATH)
    os.close(tree)
