"""A capability of our own that is laid down for a moment, so that the kernel takes us for somebody who does not have it."""

from __future__ import annotations

from struct import Struct as Format

from holdfast.kernel.libc import LONG, POINTER, buffer, function, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

VERSION_3 = 0x20080522
CAPGET, CAPSET = 125, 126
_HEADER = Format("<Ii")
_SETS = Format("<6I")  # effective, permitted, inheritable: low words, then high words
_syscall = function("syscall", LONG, POINTER, POINTER)


def _call(number: int, sets: object) -> None:
    if _syscall(number, _HEADER.pack(VERSION_3, 0), sets):
        raise refused("capget or capset of ourselves")


class Without:
    """While in this context, this thread does not have the capability in effect; afterwards it has what it had.

    Source:  capset(2): what is permitted can be taken into effect again
    """

    __slots__ = ("_had", "capability")

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def __enter__(self) -> Self:
        room = buffer(_SETS.size)
        _call(CAPGET, room)
        self._had = room.raw
        words = list(_SETS.unpack(self._had))
        words[3 * (self.capability // 32)] &= ~(1 << self.capability % 32)
        _call(CAPSET, _SETS.pack(*words))
        return self

    def __exit__(self, *_: object) -> None:
        _call(CAPSET, self._had)
