"""What a person calls a process: a pid, or the name of a job."""

from __future__ import annotations

from holdfast.errors import UsageError


def pid_of(text: str) -> int:
    """The pid that a word stands for.

    Raises:  usage.pid.range: the number is no pid; usage.target: no job of that name runs
    """
    if text.isascii() and text.isdigit():
        pid = int(text)
        if not 0 < pid < 1 << 31:
            raise UsageError("pid.range", f"{text} is no pid", why="pids are 1 to 2147483647", do="give the pid of a process")
        return pid
    from holdfast.engine import jobs  # most processes are named by pid

    return int(jobs.find(text))
