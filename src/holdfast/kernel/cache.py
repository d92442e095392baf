"""Where fetched and derived things are kept between runs: one folder, safe to delete at any time."""

from __future__ import annotations

import fcntl
import os


def folder(*parts: str) -> str:
    """A folder below HOLDFAST_CACHE, or below holdfast/ in the user's cache folder; made when it is missing.

    Source:  XDG Base Directory Specification
    """
    root = os.environ.get("HOLDFAST_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "holdfast")
    path = os.path.join(root, *parts)
    os.makedirs(path, exist_ok=True)
    return path


def write(path: str, data: bytes) -> None:
    """Put a file in place whole: a reader sees the old bytes, the new ones, or none."""
    partial = f"{path}.{os.getpid()}.partial"
    with open(partial, "wb") as out:
        out.write(data)
    os.replace(partial, path)


class locked:  # noqa: N801 - used like a function; contextlib, which would make it from one, is 2 ms of a small dump
    """Alone with whatever the name stands for, among all processes that share the cache; waits for its turn. Use it as a context."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = os.open(os.path.join(folder("locks"), self._name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)  # closing is not enough while a forked child has the file open too
        os.close(self._fd)
