"""Names of things: never a bare int where two kinds of number could be confused."""

from __future__ import annotations


class Pid(int):
    """A process id as the caller's own pid namespace sees it."""

    __slots__ = ()


class NsPid(int):
    """A process id as the target's innermost pid namespace sees it; the only pid that an image stores."""

    __slots__ = ()


class Tid(int):
    """A thread id as the caller's own pid namespace sees it."""

    __slots__ = ()


class Fd(int):
    """A descriptor number in a target; never one of ours."""

    __slots__ = ()


class RemoteAddr(int):
    """An address in a target's memory, 0 .. 2**64-1."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{int(self):#x}"


class ObjectId(str):
    """The name of one object within one image, such as `file:12` or `process:412`; records point at each other by it."""

    __slots__ = ()
