"""task.seccomp. Text captured on Linux 6.18."""

from __future__ import annotations

import pytest

from holdfast.kinds.task.seccomp import KIND
from tests.unit.kinds import captured


@pytest.mark.parametrize(("mode", "codes"), [("0", []), ("1", ["task.seccomp"]), ("2", ["task.seccomp"])])
def test_any_mode_is_refused(mode: str, codes: list[str]) -> None:
    assert captured.verdicts(KIND, captured.process({"status": captured.line(captured.STATUS, "Seccomp", mode)}).leader) == codes
