"""How the kernel schedules the calling process: the default that others are compared with, and what its children inherit."""

from __future__ import annotations

import os
from _signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask  # type: ignore[import-not-found]  # `signal` itself would be 5 ms of enums
from _thread import get_native_id

from holdfast.kernel.libc import INT, LONG, POINTER, buffer, function, refused
from holdfast.kernel.uapi.syscalls import X86_64 as NUMBERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

# The kernel reads as many bits as it may have CPUs (kernel/sched/syscalls.c get_user_cpu_mask); who asks for every one of them goes
# with its cpuset afterwards, as one that never asked (kernel/sched/core.c __set_cpus_allowed_ptr).
EVERY = b"\xff" * 1024
_syscall = function("syscall", LONG, LONG, POINTER, LONG, LONG)
_setaffinity = function("sched_setaffinity", LONG, LONG, POINTER, returns=INT)
_getcpu = function("sched_getcpu", returns=INT)
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


def keep_near(tid: int) -> None:
    """Let a task run only where the caller runs now, so that each need not wait for another CPU to wake up to hear of the other.

    Where that cannot be, nothing happens.
    Source:  sched_setaffinity(2), getcpu(2); decisions/0073
    """
    cpu = _getcpu()
    if cpu >= 0:
        try:
            os.sched_setaffinity(tid, (cpu,))
        except OSError:
            return


def let_run(tid: int, cpus: tuple[int, ...]) -> None:
    """Let a task run on these CPUs, sorted; none stands for every CPU.

    Raises:  OSError: EINVAL, it may run on none of them; EPERM, it is another user's
    Source:  sched_setaffinity(2)
    """
    mask = mask_of(cpus)
    if _setaffinity(tid, len(mask), mask) != 0:
        raise refused(f"sched_setaffinity of task {tid}")


def mask_of(cpus: tuple[int, ...]) -> bytes:
    """CPUs, sorted, as sched_setaffinity(2) takes them; none stands for every CPU."""
    if not cpus:
        return EVERY
    number = sum(1 << cpu for cpu in cpus)
    return number.to_bytes((number.bit_length() + 63) // 64 * 8, "little")


class Beside:
    """While in this context the calling thread stays where it runs, as does what it starts, and no handler of a signal runs in it.

    Nothing happens for a thread that may not run on every CPU, as what it was told could not be put back; nor for a first thread that is
    not the only one: it runs the handlers of signals that came to the others, and what those start would stay here.
    """

    __slots__ = ("_mask",)

    def __init__(self) -> None:
        self._mask: set[Any] | None = None

    def __enter__(self) -> Self:
        if len(os.sched_getaffinity(0)) < (os.cpu_count() or 1) or (
            get_native_id() == os.getpid() and len(os.listdir("/proc/self/task")) > 1
        ):
            return self
        self._mask = pthread_sigmask(SIG_BLOCK, (*range(1, 32), *range(34, 65)))
        keep_near(0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._mask is not None:
            let_run(0, ())
            pthread_sigmask(SIG_SETMASK, self._mask)
