"""Whether two tasks share a kernel object: kcmp(2)."""

from __future__ import annotations

import os

from holdfast.kernel.libc import LONG, function, refused
from holdfast.kernel.uapi.syscalls import X86_64 as NUMBERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

VM, FILES, FS, SIGHAND, IO, SYSVSEM = 1, 2, 3, 4, 5, 6

_syscall = function("syscall", LONG, LONG, LONG, LONG, LONG, LONG)


def order(a: int, b: int, what: int) -> int:
    """0: both have the same object (or both have none); 1 or 2: a's comes before or after b's, in an order that is fixed while both live.

    Needs:   the right to look into both tasks (ptrace(2), PTRACE_MODE_READ)
    Raises:  OSError: ESRCH, a task is gone; EPERM, it may not be looked into; ENOSYS, a kernel without CONFIG_KCMP
    Source:  kcmp(2)
    """
    got = _syscall(NUMBERS["kcmp"], a, b, what, 0, 0)
    if got < 0:
        raise refused(f"kcmp of tasks {a} and {b}")
    return got


def same(a: int, b: int, what: int) -> bool:
    """Whether two tasks share an object, or both have none.

    Raises:  OSError: as for order
    """
    return order(a, b, what) == 0


class Newborn:
    """A process that has nothing yet of what is made on first use, to compare others with; it ends with the context.

    Shape:   `pid` is 0 where it cannot be started
    """

    __slots__ = ("pid",)

    def __init__(self) -> None:
        try:
            # not a fork: it shares nothing with us, and ends by itself where we are killed
            self.pid = os.posix_spawnp("sleep", ("sleep", "10"), {})
        except OSError:
            self.pid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
