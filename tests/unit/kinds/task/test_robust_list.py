"""task.robust_list."""

from __future__ import annotations

from holdfast.kinds.task.robust_list import KIND, RobustList
from holdfast.model.ids import RemoteAddr
from tests.unit.kinds import captured


def test_only_a_thread_with_a_list_has_a_record() -> None:
    with_list = captured.NOTHING.replace(robust=(0x7F0000001000, 24))
    assert captured.dumped(KIND, captured.process(stopped=with_list).leader) == RobustList(RemoteAddr(0x7F0000001000), 24)
    detect = KIND.verb("detect")
    assert detect is not None
    assert detect(captured.process().leader) is None
    assert detect(captured.process(stopped=None).leader) is None


def test_the_list_is_registered() -> None:
    assert captured.calls(KIND, RobustList(RemoteAddr(4096), 24), captured.THREAD) == [("set_robust_list", 4096, 24)]
