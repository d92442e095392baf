"""Where fetched and derived things are kept between runs: one folder, safe to delete at any time."""

from __future__ import annotations

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
