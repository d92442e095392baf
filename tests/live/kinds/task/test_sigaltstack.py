"""What task.sigaltstack promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_a_stack_with_automatic_disarming_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            stack = ctypes.create_string_buffer(65536)
            wanted = struct.pack("<QIIQ", ctypes.addressof(stack), 1 << 31, 0, 65536)
            call(131, wanted, 0)
            pause()
            out = ctypes.create_string_buffer(24)
            call(131, 0, out)
            say(out.raw == wanted)
            """
        ),
    )
    assert trip.said == trip.control == [True]


def test_automatic_disarming_of_a_stack_that_is_switched_off_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            call(131, struct.pack("<QIIQ", 0, 1 << 31 | 2, 0, 0), 0)
            pause()
            out = ctypes.create_string_buffer(24)
            call(131, 0, out)
            say(struct.unpack("<QIIQ", out.raw)[1])
            """
        ),
    )
    assert trip.said == trip.control == [1 << 31 | 2]
