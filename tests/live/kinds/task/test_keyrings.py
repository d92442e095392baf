"""What task.keyrings promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import holdfast
from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("ring", "code"), [(-1, "refused.task.thread_keyring"), (-2, "refused.task.process_keyring")])
def test_a_keyring_is_refused(tmp_path: Path, ring: int, code: str) -> None:
    source = with_calls(f"""
        call(250, 0, {ring}, 1)
        pause()
        """)
    subject = harness.start(tmp_path, source)
    try:
        with pytest.raises(holdfast.HoldfastError) as caught:
            holdfast.dump(subject.pid, tmp_path / "image")
        assert caught.value.code == code
        subject.go()
        subject.end()
    finally:
        subject.kill()
