"""A process with thousands of memory areas, more than fit into one question or one call of a restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

PAGES = 12_000  # with 16 MiB and more in them they are filled by userfaultfd, each area registered
AREAS = f"""
    import ctypes, mmap
    memory = mmap.mmap(-1, {PAGES} * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for n in range({PAGES}):
        memory[n * 4096 : n * 4096 + 4] = n.to_bytes(4, "little")
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for n in range(0, {PAGES}, 2):
        assert protect(start + n * 4096, 4096, mmap.PROT_READ) == 0
    pause()
    say([n for n in range({PAGES}) if memory[n * 4096 : n * 4096 + 4] != n.to_bytes(4, "little")])
    with open("/proc/self/maps") as file:
        say(sum(1 for line in file) > {PAGES})
    """


@pytest.mark.root
@pytest.mark.parametrize("leave", [False, True], ids=["end", "leave"])
def test_thousands_of_areas_come_back(tmp_path: Path, leave: bool) -> None:
    trip = harness.roundtrip(tmp_path, AREAS, leave_running=leave)
    assert trip.said == trip.control == [[], True]
