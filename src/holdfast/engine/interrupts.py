"""Signals that would end a dump wait until it stands where it can be undone.

Python runs a signal's handler at any instant in its main thread, also between two ptrace requests that only make sense together; and a
signal without a handler would end us with a partial image left. So while a tree is held these signals are only noted, and heard at safe
points: their handler is called there, and what it raises ends the dump as any failure does; a signal that would end us ends the dump
first, and us when all is as it was. In another thread than the main one nothing is changed: no handler runs there, and against our own
sudden end there is the guard.
"""

from __future__ import annotations

import os
from _signal import SIG_DFL, SIG_IGN, getsignal, signal  # type: ignore[import-not-found]  # `signal` itself would be 5 ms of enums

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

SIGHUP, SIGINT, SIGQUIT, SIGTERM = 1, 2, 3, 15
WAITING = (SIGHUP, SIGINT, SIGQUIT, SIGTERM)


class Interrupted(BaseException):
    """A signal that ends this process has come: everything is undone first."""


class Held:
    """While in this context the signals wait; when it is left, what waits comes."""

    __slots__ = ("_before", "_came")

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._came: list[int] = []

    def __enter__(self) -> Self:
        for number in WAITING:
            handler = getsignal(number)
            if handler is None or handler == SIG_IGN:  # not Python's, or of no effect
                continue
            try:
                signal(number, self._note)
            except ValueError:
                break  # not in the main thread
            self._before[number] = handler
        return self

    def _note(self, number: int, frame: object) -> None:
        self._came.append(number)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal(number, handler)
        self._before, before = {}, self._before
        while self._came:
            number = self._came.pop(0)
            if before[number] == SIG_DFL:
                os.kill(os.getpid(), number)
            else:
                before[number](number, None)

    def safe(self) -> None:
        """What can be undone may be interrupted here.

        Raises:  whatever a signal's handler raises, as KeyboardInterrupt
        """
        while self._came:
            if self._before[self._came[0]] == SIG_DFL:
                raise Interrupted(f"signal {self._came[0]}")
            number = self._came.pop(0)
            self._before[number](number, None)
