"""What task.tid_address promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_a_join_after_the_restore_still_works(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            go = threading.Event()
            thread = threading.Thread(target=go.wait)
            thread.start()
            out = ctypes.c_ulong()
            prctl(40, ctypes.byref(out))
            before = out.value
            pause()
            prctl(40, ctypes.byref(out))
            go.set()
            thread.join()
            say(out.value == before)
            """
        ),
    )
    assert trip.said == trip.control == [True]
