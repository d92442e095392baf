"""How the kernel schedules the calling process: the default that others are compared with, and what its children inherit."""

from __future__ import annotations

import os

from holdfast.kernel.libc import LONG, POINTER, buffer, function
from holdfast.kernel.uapi.syscalls import X86_64 as NUMBERS

_syscall = function("syscall", LONG, LONG, POINTER, LONG, LONG)
_ATTR_SIZE = 56
_SLICE_AT = 24


def own_slice_ns() -> int:
    """The time slice of the caller under a fair policy, 0 where this kernel does not say.

    Source:  sched_setattr(2); 857b158dc5e8 ("sched/eevdf: Use sched_attr::sched_runtime to set request/slice suggestion") (v6.12)
    """
    attr = buffer(_ATTR_SIZE)
    if _syscall(NUMBERS["sched_getattr"], 0, attr, len(attr), 0) != 0:
        return 0
    return int.from_bytes(attr.raw[_SLICE_AT : _SLICE_AT + 8], "little")


def own_io_priority() -> int:
    """The I/O priority that the caller has set, and that its children inherit; 0 where it has set none.

    Source:  ioprio_set(2), Linux block/ioprio.c get_task_ioprio
    """
    return max(int(_syscall(NUMBERS["ioprio_get"], 1, None, 0, 0)), 0)


def own_cpus_are_all() -> bool:
    """Whether the caller, and so a child of it, may run on every CPU.

    Source:  sched_setaffinity(2)
    """
    return len(os.sched_getaffinity(0)) >= (os.cpu_count() or 1)
