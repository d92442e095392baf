"""What task.mm_layout promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_what_proc_says_of_the_program_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            def seen():
                found = [read(f"/proc/self/{n}") for n in ("cmdline", "environ", "auxv")]
                fields = read("/proc/self/stat").rpartition(")")[2].split()
                return [*found, os.readlink("/proc/self/exe"), fields[23:26], fields[42:49], libc.sbrk(0)]
            libc.sbrk.restype = ctypes.c_void_p
            before = seen()
            pause()
            say([a == b for a, b in zip(before, seen())])
            """
        ),
    )
    assert trip.said == trip.control == [[True] * 7]
