"""Where fetched and derived things are kept between runs: one folder, safe to delete at any time."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


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


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Alone with whatever the name stands for, among all processes that share the cache; waits for its turn."""
    with open(os.path.join(folder("locks"), name), "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # closing is not enough while a forked child has the file open too
