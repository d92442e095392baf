"""mm.shared_memory. The text is Linux 6.18's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from holdfast.kinds.mm.shared_memory import KIND, SharedMemory
from tests.unit.kinds import captured
from tests.unit.kinds.mm import smaps

if TYPE_CHECKING:
    from holdfast.kinds.evidence import InodeEvidence

PAGE = 4096
ZERO = "/dev/zero (deleted)"


def object_of(pages: int, *mapped: tuple[int, int], flags: str = "rd wr sh") -> InodeEvidence:
    """An object of so many pages that this process maps; evidence of areas of three, by offset and first page of the mapping."""
    process = captured.process(pid=os.getpid())
    start = smaps.shared_memory(pages)
    areas = [
        smaps.area("rw-s", flags, ZERO, start=start + PAGE * at, offset=PAGE * offset, device="00:01", inode=1027, process=process)
        for offset, at in mapped
    ]
    inode = smaps.leads_to(areas[0])
    inode.vmas += areas[1:]
    return inode


@pytest.mark.parametrize("pages", [3, 5, 6, 8])
def test_it_is_as_large_as_the_object_and_not_as_its_farthest_mapping_reaches(pages: int) -> None:
    found = captured.dumped(KIND, object_of(pages, (0, 0), (3, 3)))
    assert found == SharedMemory(PAGE * min(pages, 6))  # beyond the mappings only map_files can see


def test_memory_that_every_area_maps_without_reservation_has_none() -> None:
    assert captured.dumped(KIND, object_of(3, (0, 0), flags="rd wr sh nr")) == SharedMemory(3 * PAGE, True)


def test_a_file_is_not_claimed() -> None:
    opened = smaps.area("rw-s", "rd wr sh", ZERO, device="00:01", inode=1027)
    assert smaps.claimed(KIND, smaps.leads_to(opened, opened=True)) is None
    for name in ("/memfd:x (deleted)", "/SYSV00000000 (deleted)", "/tmp/data (deleted)"):
        assert smaps.claimed(KIND, smaps.leads_to(smaps.area("rw-s", "rd wr sh", name, device="00:01", inode=1027))) is None


def test_the_engine_maps_it_so_nothing_is_emitted() -> None:
    assert smaps.parts(KIND, SharedMemory(0x8000)) == []
