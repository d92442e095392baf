"""task.tid_address."""

from __future__ import annotations

import pytest

from holdfast.errors import Refused
from holdfast.kinds.task.tid_address import KIND, TidAddress
from holdfast.model.ids import RemoteAddr
from tests.unit.kinds import captured


def test_the_address_is_kept_and_none_is_no_record() -> None:
    ev = captured.process().leader
    assert captured.dumped(KIND, ev) is None
    assert captured.dumped(KIND, ev, {("prctl", 40): (0, (0x7F00DEAD0010).to_bytes(8, "little"))}) == TidAddress(RemoteAddr(0x7F00DEAD0010))
    assert captured.calls(KIND, TidAddress(RemoteAddr(64)), captured.THREAD) == [("set_tid_address", 64)]


def test_a_kernel_that_does_not_tell_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, captured.process().leader, {("prctl", 40): -22})
    assert caught.value.code == "refused.task.tid_address"
