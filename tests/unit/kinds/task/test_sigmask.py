"""task.sigmask."""

from __future__ import annotations

from holdfast.kinds.task.sigmask import KIND, SigMask
from tests.unit.kinds import captured


def test_the_mask_is_the_tracers() -> None:
    assert captured.dumped(KIND, captured.process(stopped=captured.NOTHING.replace(sigmask=0x8000_0000_0000_4003)).leader) == SigMask(
        0x8000_0000_0000_4003
    )


def test_the_engine_sets_it() -> None:
    assert captured.calls(KIND, SigMask(5), captured.THREAD) == []
