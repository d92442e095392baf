"""The memory areas of large processes, read before the tree is stopped, and proved afterwards to be those that it had then.

To tell the flags of an area the kernel looks at each of its pages: 10 ms a GiB, nearly half of the pause of a dump that leaves its tree
running. So smaps is read while the process still runs. What it can have changed until it stood is compared:
- the areas with maps, which costs nothing, as soon as the tree is stopped: where they differ, smaps is read again at once;
- their flags and protection keys with the twin's, which are those of that moment (kernel/fork.c dup_mmap copies them), once the tree
  runs again: where they differ, the dump fails with target_changed.areas, and is made again without foresight.
A twin has neither locks (VM_LOCKED) nor areas that are not inherited (VM_DONTCOPY) nor what userfaultfd watches. So there is no foresight
for a process that has any of the first two; and a third look, at the process itself, says that nothing is watched.
Source:  proc_pid_smaps(5), Linux fs/proc/task_mmu.c show_smap
"""

from __future__ import annotations

from holdfast.errors import TargetChanged
from holdfast.kernel.procfs import listing
from holdfast.kernel.procfs.maps import parse_smaps
from holdfast.kernel.procfs.status import parse_status
from holdfast.kernel.source import Live

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.kernel.procfs.maps import Smap, Vma
    from holdfast.kernel.procfs.status import Status
    from holdfast.kinds.evidence import ProcessEvidence

LARGE = 64 << 20  # below this much of its own memory a look costs less than a millisecond
NOT_INHERITED = frozenset(("lo", "lf", "dc"))
WATCHED = frozenset(("um", "uw", "ui"))
TRACKED = frozenset(("sd",))  # the soft-dirty bit is a tracker's, and no kind's


def own_memory(status: Status) -> int:
    """How much memory of its own a process has, swapped or not; the kernel counts it a little late.

    Unit:    bytes
    """
    return sum(int(status.keys.get(key, b"0").split()[0]) for key in ("RssAnon", "VmSwap")) * 1024


def look(root: int) -> dict[int, list[Smap]]:
    """By pid, the areas of each large process of a running tree.

    Raises:  nothing: what may not be read, or is gone, is not foreseen
    """
    found: dict[int, list[Smap]] = {}
    todo = [root]
    while todo:
        pid = todo.pop()
        try:
            with Live(f"/proc/{pid}") as source:
                todo += map(int, listing.children(source))
                if own_memory(parse_status(source.read("status"))) >= LARGE:
                    found[pid] = parse_smaps(source.read("smaps"))
        except OSError:
            continue
    return found


def holds(foreseen: Sequence[Smap], now: Sequence[Vma], status: Status) -> bool:
    """Whether areas that were read before may stand for those of a process that is stopped now."""
    if status.keys.get("VmLck", b"").split()[:1] != [b"0"] or any(not NOT_INHERITED.isdisjoint(s.flags) for s in foreseen):
        return False
    return [s.vma for s in foreseen] == list(now)


def prove(process: ProcessEvidence, twin: int) -> None:
    """Compare a process's areas with its twin's.

    Needs:   the areas are of a `look` that `holds`; the process runs again, and its twin has an area of ours where the process had it
    Raises:  target_changed.areas: they are not what they were when it was stopped
    """
    with Live(f"/proc/{twin}") as source:
        there = {s.vma.start: s for s in parse_smaps(source.read("smaps"))}
    for area in process.vmas:
        mine, its = area.smap, there.get(area.vma.start)
        if mine is None or its is None or its.vma.end < mine.vma.end or _flags(mine) != _flags(its) or _keys(mine) != _keys(its):
            raise _changed(process)
    try:
        with Live(f"/proc/{int(process.pid)}") as source:
            last = parse_smaps(source.read("smaps"))
    except (FileNotFoundError, ProcessLookupError):
        return  # it has ended by itself since: nobody watches it
    if any(not WATCHED.isdisjoint(s.flags) for s in last):
        raise _changed(process)


def _flags(area: Smap) -> set[str]:
    return set(area.flags) - TRACKED


def _keys(area: Smap) -> list[bytes]:
    return [line for line in area.lines if line.startswith(b"ProtectionKey:")] if area.keyed else []


def _changed(process: ProcessEvidence) -> TargetChanged:
    return TargetChanged(
        "areas",
        f"pid {int(process.pid)} changed how its memory is treated at the moment when it was stopped",
        where=f"/proc/{int(process.pid)}/smaps",
        do="try again",
    )


def used(processes: Iterable[ProcessEvidence], foreseen: dict[int, list[Smap]]) -> set[int]:
    """The pids of those whose areas are the foreseen ones."""
    return {int(p.pid) for p in processes if p.vmas and (known := foreseen.get(int(p.pid))) and p.vmas[0].smap is known[0]}
