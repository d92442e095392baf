"""mm.shared. The text is Linux 6.18's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.errors import Refused
from holdfast.kinds.mm.shared import KIND, Shared
from holdfast.model.ids import ObjectId
from tests.unit.kinds import captured
from tests.unit.kinds.mm import smaps

if TYPE_CHECKING:
    from holdfast.kinds.evidence import VmaEvidence

HERE, END = smaps.BASE, smaps.BASE + smaps.SIZE
PLAIN = Shared(HERE, END, ("read", "write"), smaps.INODE, 0x2000)


def mapping(
    flags: str = "rd wr sh mr mw me ms sd", perms: str = "rw-s", name: str = "/dev/zero (deleted)", *, opened: bool = False, key: int = 0
) -> VmaEvidence:
    ev = smaps.area(perms, flags, name, offset=0x2000, device="00:01", inode=1027, key=key)
    smaps.leads_to(ev, opened=opened)
    return ev


def of_this_process(pages: int, flags: str = "rd wr sh mr mw me ms sd", perms: str = "rw-s") -> VmaEvidence:
    """The third to fifth page of an object of so many."""
    start = smaps.shared_memory(pages) + 0x2000
    process = captured.process(pid=os.getpid())
    ev = smaps.area(perms, flags, "/dev/zero (deleted)", start=start, offset=0x2000, device="00:01", inode=1027, process=process)
    smaps.leads_to(ev)
    return ev


def test_the_text_gives_the_record() -> None:
    ev = of_this_process(3)
    assert captured.dumped(KIND, ev) == Shared(ev.vma.start, ev.vma.end, ("read", "write"), smaps.INODE, 0x2000)


def test_a_read_only_mapping_keeps_its_advice() -> None:
    ev = of_this_process(5, "rd sh mr mw me ms dc dd", "r--s")
    assert captured.dumped(KIND, ev) == Shared(ev.vma.start, ev.vma.end, ("read",), smaps.INODE, 0x2000, ("dont_dump", "dont_fork"))


def test_a_mapping_of_nothing_but_what_lies_beyond_the_end_is_refused() -> None:
    with pytest.raises(Refused, match=r"mm\.shared\.beyond"):
        captured.dumped(KIND, of_this_process(2))


def test_what_descriptors_lead_to_is_not_claimed() -> None:
    assert smaps.claimed(KIND, mapping(opened=True)) is None
    assert smaps.claimed(KIND, mapping(name="/memfd:x (deleted)")) is None
    assert smaps.claimed(KIND, mapping(name="/SYSV00000000 (deleted)")) is None
    assert smaps.claimed(KIND, smaps.area("rw-s", name="/dev/zero (deleted)", device="00:01", inode=1027)) is None


@pytest.mark.parametrize(
    ("flags", "key", "code"), [("rd sh uw", 0, "mm.flag"), ("rd sh ??", 0, "mm.unknown_flag"), ("rd sh", 1, "mm.protection_key")]
)
def test_what_cannot_be_carried_is_refused(flags: str, key: int, code: str) -> None:
    assert captured.verdicts(KIND, mapping(flags, key=key)) == [code]


def test_it_is_a_second_mapping_of_what_was_inherited() -> None:
    [part] = smaps.parts(KIND, PLAIN)
    assert (part.needs, part.gives) == ({"clear"}, {"mapped"})
    assert part.calls == [("mremap", 0x10002000, 0, 0x3000, 3, HERE)]
    assert part.checks == [HERE]


def test_what_may_not_be_written_loses_the_right_after_its_pages_are_there() -> None:
    _, last = smaps.parts(KIND, smaps.changed(PLAIN, protection=("read",), flags=("dont_fork",)))
    assert (last.needs, last.gives) == ({"filled"}, {"sealed"})
    assert last.calls == [("mprotect", HERE, 0x3000, 1), ("madvise", HERE, 0x3000, 10)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start", HERE - 4096),
        ("end", END + 4096),
        ("protection", ()),
        ("inode", ObjectId("inode:9")),
        ("offset", 0),
        ("flags", ("locked",)),
        ("name", b"n"),
    ],
)
def test_compare_sees_every_field(field: str, value: Any) -> None:
    assert captured.differences(KIND, PLAIN, smaps.changed(PLAIN, **{field: value})) == [field]
    assert captured.differences(KIND, PLAIN, PLAIN) == []
