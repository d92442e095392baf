"""What an engine under test is: something that dumps a tree, ends it, and brings it back."""

from __future__ import annotations

from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Engine(Protocol):
        """One engine in one version.

        Needs:   the caller is, or is the subreaper of, the parent of what is restored, and is in the namespaces of what is dumped
        """

        name: str
        version: str

        def dump(self, pid: int, folder: str) -> Said:
            """Dump the tree of `pid` into an empty folder, and end it."""

        def restore(self, folder: str) -> Said:
            """Bring the tree back, running, with the same pids."""


class Said(Record):
    """What an engine said to a dump or a restore.

    Shape:   `how` is `done`; `refused`: it said no, by name, before anything was touched; `failed`: anything else
    Unit:    took_ns in ns
    """

    how: str
    words: str = ""
    took_ns: int = 0
    warned: tuple[str, ...] = ()  # what it said it may lose, or could not check
