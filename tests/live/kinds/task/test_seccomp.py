"""What task.seccomp promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_a_filter_is_refused(tmp_path: Path) -> None:
    source = with_calls(
        """
        prctl(38, 1)
        program = ctypes.create_string_buffer(struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000))
        prctl(22, 2, struct.pack("<HxxxxxxQ", 1, ctypes.addressof(program)))
        pause()
        """
    )
    assert harness.refused(tmp_path, source) == ["task.seccomp"]
