"""task.pdeathsig."""

from __future__ import annotations

from holdfast.kinds.task.pdeathsig import KIND, Pdeathsig
from tests.unit.kinds import captured


def test_only_a_thread_that_asked_for_a_signal_has_a_record() -> None:
    assert captured.dumped(KIND, captured.process().leader) is None
    assert captured.dumped(KIND, captured.process().leader, {("prctl", 2): (0, b"\x09\0\0\0")}) == Pdeathsig(9)


def test_it_is_set_after_every_change_of_credentials() -> None:
    [part] = captured.written(KIND, Pdeathsig(9), captured.THREAD)
    assert (part.calls, "creds" in part.needs) == ([("prctl", 1, 9, 0, 0, 0)], True)
