"""What task.cpu_features promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_a_local_descriptor_table_is_refused(tmp_path: Path) -> None:
    table = "call(154, 1, struct.pack('<4I', 0, 0, 0xFFFFF, 1 | 1 << 4 | 1 << 6), 16)"
    assert harness.refused(tmp_path, with_calls(f"{table}\npause()")) == ["task.ldt"]
