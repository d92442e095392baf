"""What task.cpu_features promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import holdfast
from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_a_local_descriptor_table_is_refused(tmp_path: Path) -> None:
    subject = harness.start(
        tmp_path,
        with_calls(
            """
        call(154, 1, struct.pack("<4I", 0, 0, 0xFFFFF, 1 | 1 << 4 | 1 << 6), 16)
        pause()
        """
        ),
    )
    try:
        with pytest.raises(holdfast.HoldfastError) as caught:
            holdfast.dump(subject.pid, tmp_path / "image")
        assert caught.value.code == "refused.task.ldt"
        subject.go()
        subject.end()
    finally:
        subject.kill()
