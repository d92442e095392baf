"""mm.shared_memory. The text is Linux 6.18's."""

from __future__ import annotations

from holdfast.kinds.mm.shared_memory import KIND, SharedMemory
from tests.unit.kinds import captured
from tests.unit.kinds.mm import smaps

ZERO = "/dev/zero (deleted)"


def test_it_is_as_large_as_its_farthest_mapping_reaches() -> None:
    first = smaps.area("rw-s", "rd wr sh", ZERO, offset=0x5000, device="00:01", inode=1027)
    inode = smaps.leads_to(first)
    inode.vmas.append(smaps.area("rw-s", "rd wr sh", ZERO, start=smaps.BASE + 0x10000, device="00:01", inode=1027))
    assert captured.dumped(KIND, inode) == SharedMemory(0x8000)


def test_a_file_is_not_claimed() -> None:
    opened = smaps.area("rw-s", "rd wr sh", ZERO, device="00:01", inode=1027)
    assert smaps.claimed(KIND, smaps.leads_to(opened, opened=True)) is None
    for name in ("/memfd:x (deleted)", "/SYSV00000000 (deleted)", "/tmp/data (deleted)"):
        assert smaps.claimed(KIND, smaps.leads_to(smaps.area("rw-s", "rd wr sh", name, device="00:01", inode=1027))) is None


def test_the_engine_maps_it_so_nothing_is_emitted() -> None:
    assert smaps.parts(KIND, SharedMemory(0x8000)) == []
