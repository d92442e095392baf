"""Where the bytes come from: live /proc or a captured copy, behind one interface.

Paths are relative to the root that the source was opened on, `/proc` or one task's directory below it: one parser serves
`412/status` of the one and `status` of the other. A task that is gone is data, not an error of ours: the OSError of the
kernel comes through as it is (ENOENT before the open, ESRCH after it).
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

# A /proc read returns at most what one seq_file buffer holds, a page for most files; a large buffer costs nothing and
# serves the files that give more at once (auxv, environ, io_uring's fdinfo).
READ_SIZE = 1 << 16


class Source:
    """Reads the files, folders and links under one root of /proc."""

    __slots__ = ()

    def read(self, path: str) -> bytes:
        """The whole content of a file.

        Raises:  OSError: no such file, not allowed, or the task is gone
        """
        raise NotImplementedError

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, in the kernel's order.

        Raises:  OSError: no such folder, not allowed, or the task is gone
        """
        raise NotImplementedError

    def readlink(self, path: str) -> bytes:
        """Where a link points, as the kernel prints it.

        Raises:  OSError: no such link, not allowed, or the task is gone
        """
        raise NotImplementedError

    def at(self, path: str) -> Source:
        """A source whose root is a folder of this one."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back what the source holds; its children from `at` live on."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Live(Source):
    """A folder of the running kernel's /proc, held open so that the pid in it cannot come to mean another process.

    Needs:   ptrace read access to the task for maps, fd, and what else proc(5) says so of
    Source:  a directory descriptor of /proc/PID stays bound to that struct pid, fs/proc/base.c proc_pid_lookup and pid_revalidate
    """

    __slots__ = ("fd",)

    def __init__(self, path: str = "/proc", dir_fd: int | None = None) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)

    def read(self, path: str) -> bytes:
        """The whole content of a file, by as many reads as it takes: a short one is not the end."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            first = os.read(fd, READ_SIZE)
            if not first:
                return first
            second = os.read(fd, READ_SIZE)
            if not second:
                return first
            parts = [first, second]
            while part := os.read(fd, READ_SIZE):
                parts.append(part)
            return b"".join(parts)
        finally:
            os.close(fd)

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, in the kernel's order."""
        if path in ("", "."):
            return os.listdir(self.fd)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    def readlink(self, path: str) -> bytes:
        """Where a link points, as the kernel prints it."""
        return os.readlink(os.fsencode(path), dir_fd=self.fd)

    def at(self, path: str) -> Live:
        """A source whose root is a folder of this one."""
        return Live(path, dir_fd=self.fd)

    def close(self) -> None:
        """Give back the descriptor; a second close does nothing."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Link(bytes):
    """The target of a link in a captured copy."""

    __slots__ = ()


class Captured(Source):
    """A copy of a part of /proc: a mapping of path to content, with `Link` for a link and an OSError for what refused to be read."""

    __slots__ = ("files", "prefix")

    def __init__(self, files: Mapping[str, bytes | OSError], prefix: str = "") -> None:
        self.files, self.prefix = files, prefix

    def _found(self, path: str, link: bool) -> bytes:
        full = self.prefix + path
        value = self.files.get(full)
        if value is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), full)
        if isinstance(value, OSError):
            raise value
        if isinstance(value, Link) != link:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), full)
        return bytes(value)

    def read(self, path: str) -> bytes:
        """The captured content of a file."""
        return self._found(path, link=False)

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, in captured order."""
        root = self.prefix if path in ("", ".") else f"{self.prefix}{path.rstrip('/')}/"
        names = dict.fromkeys(name[len(root) :].partition("/")[0] for name in self.files if name.startswith(root))
        if not names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), root)
        return list(names)

    def readlink(self, path: str) -> bytes:
        """Where a captured link points."""
        return self._found(path, link=True)

    def at(self, path: str) -> Captured:
        """A source whose root is a folder of this one."""
        self.listdir(path)
        return Captured(self.files, f"{self.prefix}{path.rstrip('/')}/")


def captured_folder(root: str) -> Captured:
    """A copy of a part of /proc that lies in a folder, with its links as links.

    Raises:  OSError: the folder cannot be read
    """
    files: dict[str, bytes | OSError] = {}
    for folder, folders, names in os.walk(root):
        for name in (*names, *folders):
            path = os.path.join(folder, name)
            key = os.path.relpath(path, root)
            if os.path.islink(path):
                files[key] = Link(os.readlink(os.fsencode(path)))
            elif name in names:
                with open(path, "rb") as file:
                    files[key] = file.read()
    return Captured(files)
