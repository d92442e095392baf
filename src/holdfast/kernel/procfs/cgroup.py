"""Control groups of a task: /proc/PID/cgroup."""

from __future__ import annotations

from holdfast.kernel.procfs.malformed import malformed
from holdfast.model.record import Record

_SOURCE = "cgroups(7), Linux kernel/cgroup/cgroup.c proc_cgroup_show"

_DELETED = b" (deleted)"


class Membership(Record):
    """The group that a task is in, in one hierarchy."""

    hierarchy: int  # 0 is version 2
    controllers: tuple[str, ...]  # empty for version 2; `name=systemd` for a hierarchy without controller
    path: bytes  # from the root of the reader's cgroup namespace: may begin with /..
    deleted: bool  # the group was removed while the task, a zombie, was in it


def parse_cgroup(data: bytes) -> list[Membership]:
    """The groups of /proc/PID/cgroup, in the kernel's order.

    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  cgroups(7), Linux kernel/cgroup/cgroup.c proc_cgroup_show
    """
    out = []
    for line in data.split(b"\n"):
        if not line:
            continue
        words = line.split(b":", 2)
        if len(words) != 3 or not words[0].isdigit():
            raise malformed("cgroup", line, _SOURCE)
        names = words[1].decode("ascii", "backslashreplace")
        deleted = words[2].endswith(_DELETED)
        out.append(Membership(int(words[0]), tuple(names.split(",")) if names else (), words[2].removesuffix(_DELETED), deleted))
    return out
