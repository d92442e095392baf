"""The auxiliary vector: /proc/PID/auxv, what the kernel told the process at exec."""

from __future__ import annotations

from struct import iter_unpack

from holdfast.kernel.procfs.malformed import malformed

_SOURCE = "proc_pid_auxv(5), Linux fs/proc/base.c proc_pid_auxv"

AT_NULL = 0


def parse_auxv(data: bytes) -> list[tuple[int, int]]:
    """Type and value of each entry before AT_NULL, in order; empty for a task that lost its memory.

    Raises:  kernel_lacks.proc_format: no whole number of entries, or none is AT_NULL
    Source:  proc_pid_auxv(5), getauxval(3)
    """
    if len(data) % 16:
        raise malformed("auxv", data[-16:], _SOURCE)
    out: list[tuple[int, int]] = []
    for kind, value in iter_unpack("<QQ", data):
        if kind == AT_NULL:
            return out
        out.append((kind, value))
    if out:
        raise malformed("auxv", data[-16:], _SOURCE)
    return out
