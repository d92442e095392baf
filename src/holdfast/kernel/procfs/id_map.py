"""User namespace maps: /proc/PID/uid_map, gid_map and projid_map."""

from __future__ import annotations

from holdfast.kernel.procfs.malformed import malformed
from holdfast.model.record import Record

_SOURCE = "user_namespaces(7), Linux kernel/user_namespace.c uid_m_show"


class IdRange(Record):
    """Consecutive ids in the namespace and what they are outside."""

    inside: int
    outside: int  # as the reader's namespace counts; 4294967295 where it has no such id
    count: int


def parse_id_map(data: bytes) -> list[IdRange]:
    """The ranges of a map, in the kernel's order; empty until someone writes it.

    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  user_namespaces(7)
    """
    out = []
    for line in data.split(b"\n"):
        if not line:
            continue
        try:
            inside, outside, count = map(int, line.split())
        except ValueError as cause:
            raise malformed("uid_map", line, _SOURCE) from cause
        out.append(IdRange(inside, outside, count))
    return out
