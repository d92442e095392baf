"""What the kinds of memory areas have in common: VmFlags to names, and names to the calls that bring them back.

Kinds may not import each other; what several need beside the contract stands here.
"""

from __future__ import annotations

from holdfast.kinds.contract import Difference, Refusal, StatusKey, Struct
from holdfast.model.ids import ObjectId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from typing import Any

    from holdfast.kinds.contract import Part, Steps
    from holdfast.kinds.evidence import VmaEvidence

READ, WRITE, EXEC = 1, 2, 4
MAP_SHARED, MAP_PRIVATE, MAP_DROPPABLE, MAP_ANONYMOUS = 1, 2, 8, 0x20
MAP_GROWSDOWN, MAP_NORESERVE, MAP_FIXED_NOREPLACE = 0x100, 0x4000, 0x100000
NO_FD = (1 << 64) - 1
PR_SET_VMA, PR_SET_VMA_ANON_NAME = 0x53564D41, 0
MLOCK_ONFAULT = 1
MADV_GUARD_INSTALL, MADV_GUARD_REMOVE, PAGE = 102, 103, 4096
MADV_DONTNEED, MADV_POPULATE_WRITE = 4, 23

# Letters of VmFlags (fs/proc/task_mmu.c show_smap_vma_flags) that a restore must bring back, by the name an image keeps.
CARRIED = {
    "gd": "grows_down",
    "lo": "locked",
    "lf": "lock_on_fault",
    "sr": "sequential_read",
    "rr": "random_read",
    "dc": "dont_fork",
    "nr": "no_reserve",
    "wf": "wipe_on_fork",
    "dd": "dont_dump",
    "hg": "huge_page",
    "nh": "no_huge_page",
    "mg": "mergeable",
    "sl": "sealed",
    "dp": "droppable",
}
# Letters that follow from how the area is made (protection, sharing, the file's own limits), or that the kernel keeps for itself.
# `sd` is the soft-dirty bit of a tracker; `ac` says that the area is counted against the overcommit limit, as a private one is from when it
# first may be written (mm/mprotect.c): one that may not be now has the word `accounted`.
DERIVED = frozenset(("rd", "wr", "ex", "sh", "mr", "mw", "me", "ms", "ac", "sd"))
KNOWN = DERIVED.union(CARRIED)
ACCOUNTED = "ac"
# A letter of an area of the process's own memory that has or had guard pages: mm.guard carries where they are.
GUARDED = {"gu": "guarded"}
# Letters that say that an area is something this engine cannot make again.
FOREIGN = {
    "pf": "it maps page frames directly, as a device does",
    "io": "it maps device memory",
    "mm": "it mixes page frames and pages, as a device does",
    "ht": "it uses huge TLB pages",
    "sf": "it is a synchronous mapping (MAP_SYNC) of persistent memory",
    "nl": "it is a non-linear mapping",
    "ar": "it has an architecture specific flag",
    "um": "userfaultfd tracks missing pages in it",
    "uw": "userfaultfd tracks writes to it",
    "ui": "userfaultfd tracks minor faults in it",
    "ss": "it is a shadow stack",
    "bt": "it has bounds tables",
    "mt": "it uses memory tags",
    "de": "it cannot be expanded, as a driver's area",
    "gu": "it may hold guard regions",
}
ADVICE = {
    "sequential_read": 2,
    "random_read": 1,
    "dont_fork": 10,
    "wipe_on_fork": 18,
    "dont_dump": 16,
    "huge_page": 14,
    "no_huge_page": 15,
    "mergeable": 12,
}
WATCHES = (Struct("vm_area_struct"), Struct("anon_vma_name"), StatusKey("VmLck"))
SOURCE = "proc_pid_smaps(5), Linux fs/proc/task_mmu.c show_smap_vma_flags"


def where(ev: VmaEvidence) -> str:
    """An area for a message."""
    v = ev.vma
    return f"/proc/{int(ev.process.pid)}/smaps {v.start:x}-{v.end:x} {v.name.decode('utf-8', 'backslashreplace')}".rstrip()


def refusals(ev: VmaEvidence, allowed: Container[str] = ()) -> Iterator[Refusal]:
    """A refusal for every VmFlags letter that is foreign or that nobody knows.

    Shape:   `allowed` are letters that the asking kind carries itself
    """
    if ev.smap is None or (not ev.smap.keyed and KNOWN.issuperset(ev.flags)):
        return
    who = f"pid {int(ev.process.pid)} ({ev.process.stat.comm.decode('utf-8', 'backslashreplace')}) memory {ev.vma.start:#x}-{ev.vma.end:#x}"
    for letters in ev.flags:
        if letters in KNOWN or letters in allowed:
            continue
        if letters in FOREIGN:
            yield Refusal(
                "mm.flag",
                f"{who} cannot be dumped: {FOREIGN[letters]}",
                where(ev),
                f"VmFlags `{letters}`; {SOURCE}",
                "unmap it or end its use and retry",
            )
        else:
            yield Refusal(
                "mm.unknown_flag",
                f"{who} has the VmFlags `{letters}`, which Holdfast does not know",
                where(ev),
                f"a flag that nobody knows may be state that a restore would lose; {SOURCE}",
                "see `holdfast drift`; teach the flag to kinds/areas.py",
            )
    for line in ev.smap.lines:
        if line.startswith(b"ProtectionKey:") and line.split()[1] != b"0":
            yield Refusal(
                "mm.protection_key",
                f"{who} cannot be dumped: it has protection key {line.split()[1].decode()}",
                where(ev),
                "pkey_alloc(2) numbers and the PKRU register would have to be brought back together",
                "pkey_mprotect it back to key 0 and retry",
            )


def names(ev: VmaEvidence) -> tuple[str, ...]:
    """The permanent names of the flags that a restore must bring back, sorted."""
    found = [CARRIED[f] for f in ev.flags if f in CARRIED]
    found += [GUARDED[f] for f in ev.flags if f in GUARDED]
    if ACCOUNTED in ev.flags and not ev.vma.shared and not ev.vma.prot & WRITE:
        found.append("accounted")
    return tuple(sorted(found))


def words(prot: int) -> tuple[str, ...]:
    """Protection bits as permanent names."""
    return tuple(w for w, bit in (("read", READ), ("write", WRITE), ("execute", EXEC)) if prot & bit)


def bits(prot: tuple[str, ...]) -> int:
    """Permanent names as protection bits.

    Raises:  ValueError: an unknown name
    """
    table = {"read": READ, "write": WRITE, "execute": EXEC}
    out = 0
    for word in prot:
        if word not in table:
            raise ValueError(f"unknown memory protection {word!r}")
        out |= table[word]
    return out


def first_protection(rec: Any, steps: Steps, subject: ObjectId) -> int:
    """The protection to map an area with: writable where it once was.

    One that never was, but has pages of its own, got them from a debugger; mapped writable it would be counted. The engine forces them in.
    """
    prot = bits(rec.protection)
    once = "accounted" in rec.flags or ("no_reserve" in rec.flags and steps.has_pages(subject))
    return prot | WRITE if once else prot


def mapped(part: Part, rec: Any) -> None:
    """Add what has to follow the mapping of an area at once, before it is filled."""
    if "guarded" in rec.flags:  # sticks to an area that had guard pages once, mm/madvise.c madvise_guard_install
        part.call("madvise", rec.start, PAGE, MADV_GUARD_INSTALL)
        part.call("madvise", rec.start, PAGE, MADV_GUARD_REMOVE)


def finish(rec: Any, steps: Steps, first: int, subject: ObjectId) -> None:
    """Emit what follows the filling of the area `subject`: final protection, advice, name, locks, seal."""
    flags = frozenset(rec.flags)
    prot = bits(rec.protection)
    size = rec.end - rec.start
    early = flags & ADVICE.keys()
    guards = _guards(rec, steps, subject)
    if not (prot != first or early or guards or rec.name is not None or flags & {"locked", "sealed"}):
        return
    part: Part = steps.part(task=owner(subject), needs=("filled",), gives=("sealed",))
    for start, end in guards:
        part.call("madvise", start, end - start, MADV_GUARD_INSTALL)
    if prot != first:
        part.call("mprotect", rec.start, size, prot)
    for name in sorted(early):
        part.call("madvise", rec.start, size, ADVICE[name])
    if rec.name is not None:
        part.call("prctl", PR_SET_VMA, PR_SET_VMA_ANON_NAME, rec.start, size, rec.name + b"\0")
    if "locked" in flags:
        part.call("mlock2", rec.start, size, MLOCK_ONFAULT if "lock_on_fault" in flags else 0)
    if "sealed" in flags:
        part.call("mseal", rec.start, size, 0)


def owner(area: ObjectId) -> ObjectId:
    """The process that an area belongs to."""
    return ObjectId(f"process:{str(area).split(':')[1]}")


def _guards(rec: Any, steps: Steps, subject: ObjectId) -> list[tuple[int, int]]:
    found = steps.record_of(owner(subject), "mm.guard")
    if found is None:
        return []
    return [(max(g.start, rec.start), min(g.end, rec.end)) for g in found.ranges if g.start < rec.end and rec.start < g.end]


def compare(kind: str, where_: Any, before: Any, after: Any) -> Iterator[Difference]:
    """Every field that differs."""
    for name, value in before.items():
        now = getattr(after, name)
        if value != now:
            yield Difference(kind, where_, name, value, now)
