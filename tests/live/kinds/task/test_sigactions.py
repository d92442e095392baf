"""What task.sigactions promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_handlers_flags_and_masks_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            signal.signal(signal.SIGTERM, lambda *_: say("term"))
            signal.siginterrupt(signal.SIGTERM, False)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            call(13, 17, struct.pack("<4Q", 0, 2 | 0x10000000, 0, 0xF0), 0, 8)
            def actions():
                out = ctypes.create_string_buffer(32)
                found = []
                for number in range(1, 65):
                    if number not in (9, 19):
                        call(13, number, 0, out, 8)
                        found.append(out.raw.hex())
                return found
            before = actions()
            pause()
            say(actions() == before)
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            say("alive")
            """
        ),
    )
    assert trip.said == trip.control == [True, "term", "alive"]
