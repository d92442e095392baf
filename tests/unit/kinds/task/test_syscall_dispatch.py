"""task.syscall_dispatch."""

from __future__ import annotations

import pytest

from holdfast.kinds.task.syscall_dispatch import KIND
from tests.unit.kinds import captured


@pytest.mark.parametrize(
    ("mode", "codes"), [(0, []), (1, ["task.syscall_dispatch"]), (2, ["task.syscall_dispatch"]), (None, ["Unchecked"])]
)
def test_any_mode_is_refused(mode: int | None, codes: list[str]) -> None:
    assert captured.verdicts(KIND, captured.process(stopped=captured.NOTHING.replace(dispatch_mode=mode)).leader) == codes
