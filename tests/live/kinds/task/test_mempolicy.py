"""What task.mempolicy promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_mode_flags_and_nodes_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            call(238, 2 | 0x8000, struct.pack("<Q", 1), 65)
            pause()
            mode, nodes = ctypes.c_int(), ctypes.create_string_buffer(128)
            call(239, ctypes.byref(mode), nodes, 1025, 0, 0)
            say([mode.value, nodes.raw[0]])
            """
        ),
    )
    assert trip.said == trip.control == [[0x8002, 1]]
