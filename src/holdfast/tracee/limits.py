"""Limits on a process's memory that are out of the way for a moment, so that an area of ours finds room.

A process may have lowered its limits below what it has mapped already: it goes on, and maps nothing more. Nor could we inside it.
Source:  getrlimit(2) RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK; Linux mm/mmap.c may_expand_vm, mlock_future_ok
"""

from __future__ import annotations

import resource  # whoever imports this has a process with such a limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    Limits = Sequence[tuple[int, int, int]]  # number, soft, hard

MEMORY = (resource.RLIMIT_DATA, resource.RLIMIT_MEMLOCK, resource.RLIMIT_AS)  # by number


class Raised:
    """While in this context, a process may map what it likes, as far as we may let it; afterwards its limits are what they were.

    Shape:   `note` is told which limits are about to change, sorted by number, and with none that all are back
    """

    __slots__ = ("_had", "_note", "pid")

    def __init__(self, pid: int, note: Callable[[Limits], None] | None = None) -> None:
        self.pid, self._note = pid, note
        self._had: list[tuple[int, int, int]] = []

    def __enter__(self) -> Self:
        none = resource.RLIM_INFINITY
        try:
            self._had = [(n, soft, hard) for n in MEMORY for soft, hard in (resource.prlimit(self.pid, n),) if soft != none]
        except PermissionError:
            return self  # we may not even ask: nothing changes
        if self._note is not None and self._had:
            self._note([(n, soft % 2**64, hard % 2**64) for n, soft, hard in self._had])
        for n, _, hard in self._had:
            try:
                resource.prlimit(self.pid, n, (none, none))
            except (PermissionError, ValueError):  # above the hard limit goes CAP_SYS_RESOURCE only
                resource.prlimit(self.pid, n, (hard, hard))
        return self

    def __exit__(self, *_: object) -> None:
        put_back(self.pid, self._had)
        if self._note is not None:
            self._note(())


def put_back(pid: int, limits: Limits) -> None:
    """Set limits of a process to what they were."""
    for n, *values in limits:
        soft, hard = (v - 2**64 if v >= 2**63 else v for v in values)  # as the module has them: no limit is -1
        resource.prlimit(pid, n, (soft, hard))
