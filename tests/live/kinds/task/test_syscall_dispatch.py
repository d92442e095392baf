"""What task.syscall_dispatch promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_refused(tmp_path: Path) -> None:
    source = with_calls(
        """
        selector = ctypes.create_string_buffer(8)
        prctl(59, 1, 0, 1 << 47, ctypes.addressof(selector))
        pause()
        """
    )
    assert harness.refused(tmp_path, source) == ["task.syscall_dispatch"]
