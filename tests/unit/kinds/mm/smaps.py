"""Kinds of memory areas tried on captured text: evidence from lines of smaps, restores written down."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING, Any

from holdfast.kernel.procfs.maps import parse_smaps
from holdfast.kinds.evidence import FileEvidence, InodeEvidence, VmaEvidence
from holdfast.model.ids import ObjectId
from tests.unit.kinds import captured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.kinds.contract import Kind
    from holdfast.kinds.evidence import ProcessEvidence
    from tests.unit.kinds.captured import Written

AREA = ObjectId("vma:412:7f0000000000")
INODE = ObjectId("inode:0")
BASE = 0x7F0000000000
PAGE = 0x1000
SIZE = 3 * PAGE
# Linux 6.18, x86-64: one area of `cat /proc/self/smaps`, with the first line and the flags to be filled in
REST = b"""Size:                 12 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   4 kB
Pss:                   4 kB
Pss_Dirty:             4 kB
Shared_Clean:          0 kB
Shared_Dirty:          0 kB
Private_Clean:         0 kB
Private_Dirty:         4 kB
Referenced:            4 kB
Anonymous:             4 kB
KSM:                   0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
SwapPss:               0 kB
Locked:                0 kB
THPeligible:           0
ProtectionKey:         %s
VmFlags: %s
"""
RW = "rd wr mr mw me ac sd"


def area(
    perms: str = "rw-p",
    flags: str = RW,
    name: str = "",
    *,
    offset: int = 0,
    device: str = "00:00",
    inode: int = 0,
    key: int = 0,
    start: int = BASE,
    process: ProcessEvidence | None = None,
) -> VmaEvidence:
    """Evidence of one area of three pages."""
    line = f"{start:08x}-{start + SIZE:08x} {perms} {offset:08x} {device} {inode} {name}".encode().rstrip()
    [smap] = parse_smaps(line + b"\n" + REST % (str(key).encode(), flags.encode()))
    found = VmaEvidence(AREA, process or captured.process(), smap.vma, smap)
    found.process.vmas.append(found)
    return found


_MAPPED: list[mmap.mmap] = []


def shared_memory(pages: int) -> int:
    """Where this process maps a new object of shared memory of so many pages, and as many pages again beyond its end."""
    made = mmap.mmap(-1, pages * PAGE)
    _MAPPED.append(made)
    at = ctypes.addressof(ctypes.c_char.from_buffer(made))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mremap.restype = ctypes.c_void_p
    libc.mremap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)
    grown = libc.mremap(at, 0, (pages + 16) * PAGE, 1)  # a second mapping that reaches farther than the object
    assert grown not in (None, (1 << 64) - 1), os.strerror(ctypes.get_errno())
    return int(grown)


def leads_to(ev: VmaEvidence, *, opened: bool = False) -> InodeEvidence:
    """The nameless object behind an area, which descriptors may lead to as well."""
    v = ev.vma
    ev.inode = InodeEvidence(INODE, ev.tree, v.major << 8 | v.minor, v.inode, v.name)
    ev.inode.vmas.append(ev)
    if opened:
        ev.inode.files.append(FileEvidence(ObjectId("file:0"), ev.tree, v.name, b"pos:\t0\nflags:\t02\nmnt_id:\t1\n"))
    return ev.inode


def claimed(kind: Kind, ev: Any) -> str | None:
    """What a kind calls an object, or None where it does not claim it."""
    detect = kind.verb("detect")
    assert detect is not None
    claim = detect(ev)
    return None if claim is None else str(claim.what)


class AreaSteps(captured.WrittenSteps):
    """A restore of areas written down; pages and staging are as told."""

    def __init__(self, record: Any, pages: bool, records: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        super().__init__(AREA, record, records)
        self.pages = pages

    def has_pages(self, subject: ObjectId) -> bool:
        assert subject == AREA
        return self.pages

    def staging(self, inode: ObjectId) -> int:
        assert inode == INODE
        return 0x10000000


def parts(kind: Kind, record: Any, pages: bool = False, records: Mapping[str, Mapping[str, Any]] | None = None) -> list[Written]:
    """The parts that a kind's restore makes of a record."""
    restore = kind.verb("restore")
    assert restore is not None
    steps = AreaSteps(record, pages, records)
    restore(record, steps)
    return steps.parts


def calls(kind: Kind, record: Any, pages: bool = False, records: Mapping[str, Mapping[str, Any]] | None = None) -> list[Any]:
    """Their calls, part after part."""
    return [call for part in parts(kind, record, pages, records) for call in part.calls]


def changed(record: Any, **fields: Any) -> Any:
    """A record with some fields changed."""
    return type(record)(**{**dict(record.items()), **fields})
