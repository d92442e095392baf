"""What a person calls a process: a pid, or the name of a job."""

from __future__ import annotations

from importlib import import_module

from holdfast.errors import UsageError


def pid_of(text: str) -> int:
    """The pid that a word stands for.

    Raises:  usage.target: the word is neither a pid nor the name of a job that runs
    """
    if text.isascii() and text.isdigit():
        pid = int(text)
        if not 0 < pid < 1 << 31:
            raise UsageError("target", f"{text} is no pid", why="pids are 1 to 2147483647", do="give the pid of a process")
        return pid
    try:
        find = import_module("holdfast.engine.jobs").find
    except ModuleNotFoundError as cause:
        raise UsageError("target", f"{text} is no pid", why="this build has no named jobs", do="give the pid of a process") from cause
    return int(find(text))
