"""One task's /proc/PID/stat: one line whose places never change; new fields come at its end."""

from __future__ import annotations

from holdfast.kernel.procfs.malformed import malformed
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SOURCE = "proc_pid_stat(5), Linux fs/proc/array.c do_task_stat"


class Stat(Record):
    """The fields under the names of proc_pid_stat(5), in its order.

    Addresses and the exit code are 0 for a reader who may not trace the task.
    """

    pid: int
    comm: bytes  # raw: may hold parentheses, spaces, newlines
    state: str
    ppid: int
    pgrp: int
    session: int
    tty_nr: int
    tpgid: int
    flags: int
    minflt: int
    cminflt: int
    majflt: int
    cmajflt: int
    utime: int
    stime: int
    cutime: int
    cstime: int
    priority: int
    nice: int
    num_threads: int
    itrealvalue: int
    starttime: int  # clock ticks since boot, by the reader's time namespace
    vsize: int
    rss: int
    rsslim: int
    startcode: int
    endcode: int
    startstack: int
    kstkesp: int
    kstkeip: int
    signal: int
    blocked: int
    sigignore: int
    sigcatch: int
    wchan: int
    nswap: int
    cnswap: int
    exit_signal: int
    processor: int
    rt_priority: int
    policy: int
    delayacct_blkio_ticks: int
    guest_time: int
    cguest_time: int
    start_data: int
    end_data: int
    start_brk: int
    arg_start: int
    arg_end: int
    env_start: int
    env_end: int
    exit_code: int
    more: tuple[int, ...] = ()  # what a newer kernel adds


_FIELDS = len(Stat._names) - 1


def parse_stat(data: bytes) -> Stat:
    """The fields of /proc/PID/stat or /proc/PID/task/TID/stat.

    Raises:  kernel_lacks.proc_format: fewer fields than Linux 3.5 prints, or no number where one must be
    Source:  proc_pid_stat(5), Linux fs/proc/array.c do_task_stat
    """
    # The name is between the first and the last parenthesis: it may hold either, and nothing after it does.
    head, _, rest = data.partition(b" (")
    comm, close, rest = rest.rpartition(b")")
    words = rest.split()
    try:
        if not close or len(words) < _FIELDS - 2:
            raise ValueError(data)
        numbers = tuple(map(int, words[1:]))
        values: tuple[Any, ...] = (int(head), comm, words[0].decode("ascii"), *numbers[: _FIELDS - 3], numbers[_FIELDS - 3 :])
        return Stat(*values)
    except ValueError as cause:
        raise malformed("stat", data, _SOURCE) from cause
