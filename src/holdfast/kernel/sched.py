"""How the kernel schedules the calling process: the default that others are compared with."""

from __future__ import annotations

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
