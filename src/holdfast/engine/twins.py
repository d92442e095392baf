"""Twins of a tree that is to go on: made while it is stopped, looked at and copied from when it runs again."""

from __future__ import annotations

from errno import EFAULT

from holdfast.engine import faults, foresight, memory, twin
from holdfast.errors import Refused
from holdfast.model.census import Refusal
from holdfast.tracee.names import global_pid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from holdfast.engine.inside import Inside
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.model.ids import ObjectId

    Ranges = list[tuple[int, int]]

GUARD = "mm.guard"  # the kind whose pages hold nothing and cannot be read, though they look like ones that are swapped out
NOT_INHERITED = frozenset(("dc", "wf"))  # MADV_DONTFORK, MADV_WIPEONFORK (madvise(2)): a fork leaves out what is in them


class Twins:
    """The twins of a tree's processes, in its order."""

    def __init__(self, inside: Inside, pages: memory.Pages, guards: Mapping[ObjectId, Sequence[Any]]) -> None:
        self.inside, self.pages, self.guards = inside, pages, guards
        self._made: list[tuple[ProcessEvidence, twin.Twin]] = []

    def __bool__(self) -> bool:
        return bool(self._made)

    def make(self, alive: Sequence[ProcessEvidence]) -> None:
        """Make a twin of each process, or of none where one cannot be made; what a fork leaves out is copied now.

        Needs:   the processes are stopped
        """
        for p in alive:
            made = twin.make(self.inside.hand(p.leader), _finder(p))
            if made is None:
                self.end()
                return
            if self.inside.guard is not None:
                self.inside.guard.note_twin(made.pid)
            self._made.append((p, made))
        for p in alive:
            self.pages.copy(p.pid, p, self.own(p, int(p.pid), inherited=False))
        faults.point("dump.twin")

    def own(self, p: ProcessEvidence, pid: int, inherited: bool) -> Ranges:
        """The pages of a process that its twin has, or those that it has not, as `pid` shows them."""
        out = {(a.vma.start, a.vma.end) for a in p.vmas if NOT_INHERITED & set(a.flags)}
        areas = [area for area in memory.private_areas(p) if (area in out) is not inherited]
        return without(memory.ranges_of(pid, areas), self.guards.get(p.id, ()))

    def finish(self, foreseen: set[int]) -> None:
        """Copy from the twins; the tree runs already.

        Shape:   `foreseen`: pids of processes whose areas are to be proved
        Raises:  target_changed.areas: one of these is not proved; refused.dump: a page cannot be read
        """
        try:
            for p, made in self._made:
                if int(p.pid) in foreseen:
                    foresight.prove(p, made.pid)
            later = [self.own(p, made.pid, inherited=True) for p, made in self._made]
            self.pages.total = self.pages.end + sum(b - a for ranges in later for a, b in ranges)
            for (p, made), ranges in zip(self._made, later, strict=True):
                area = self.inside.area_of(p)
                hand = made.seize()
                if area is not None:
                    hand.use_area(area)
                if area is None or not self.pages.self_write(hand, p, ranges):
                    try:
                        self.pages.copy(made.pid, p, ranges)
                    except OSError as cause:
                        raise unreadable(p, cause) from cause
        finally:
            self.end()
            self.inside.dismiss()

    def end(self) -> None:
        """Kill them."""
        for _, made in self._made:
            made.end()
        self._made = []


def unreadable(p: ProcessEvidence, cause: OSError) -> Exception:
    """What to say where a page of a process cannot be read."""
    if cause.errno != EFAULT:
        return cause
    why = "guard pages (MADV_GUARD_INSTALL) cannot be read, and Linux 6.13 to 6.17 does not show which areas have some"
    what = f"pid {int(p.pid)} cannot be dumped: one of its pages cannot be read: {cause}"
    do = "use Linux 6.18 or later, or a C library that makes none"
    said = Refusal("mm.guard.unseen", what, f"/proc/{int(p.pid)}/pagemap", why, do, GUARD)
    return Refused("dump", f"pid {int(p.pid)} cannot be dumped: 1 reason", refusals=(said,))


def without(ranges: Ranges, guards: Sequence[Any]) -> Ranges:
    """Ranges less the guard pages; both sorted, without overlaps."""
    if not guards:
        return ranges
    out: Ranges = []
    i = 0
    for a, b in ranges:
        while i < len(guards) and guards[i].end <= a:
            i += 1
        while i < len(guards) and (guard := guards[i]).start < b:
            if a < guard.start:
                out.append((a, guard.start))
            a = guard.end
            if a > b:
                break
            i += 1
        if a < b:
            out.append((a, b))
    return out


def _finder(process: ProcessEvidence) -> Callable[[int], int]:
    # from a pid of the process's own namespace to ours
    if len(process.status.ns_tgids) < 2:
        return int
    return lambda nspid: global_pid(nspid, process.pid)
