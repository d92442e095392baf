"""task.sigaltstack."""

from __future__ import annotations

import pytest

from holdfast.errors import Refused
from holdfast.kinds.task.sigaltstack import KIND, STACK, SigAltStack
from holdfast.model.ids import RemoteAddr
from tests.unit.kinds import captured


def dump(address: int, flags: int, size: int) -> SigAltStack | None:
    replies: dict[tuple[str | int, ...], int | tuple[int, bytes]] = {("sigaltstack",): (0, STACK.pack(address, flags, size))}
    got: SigAltStack | None = captured.dumped(KIND, captured.process().leader, replies)
    return got


def test_only_a_thread_with_a_stack_has_a_record() -> None:
    assert dump(0, 2, 0) is None
    assert dump(4096, 0, 8192) == SigAltStack(RemoteAddr(4096), 8192)
    assert dump(4096, 1 | 1 << 31, 8192) == SigAltStack(RemoteAddr(4096), 8192, True)


def test_one_that_is_switched_off_keeps_its_setting() -> None:
    off = SigAltStack(RemoteAddr(0), 0, True)
    assert dump(0, 2 | 1 << 31, 0) == off
    assert captured.calls(KIND, off, captured.THREAD) == [("sigaltstack", STACK.pack(0, 2 | 1 << 31, 0), 0)]


def test_an_unknown_flag_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        dump(4096, 1 << 30, 8192)
    assert caught.value.code == "refused.task.sigaltstack"


def test_the_stack_is_set() -> None:
    assert captured.calls(KIND, SigAltStack(RemoteAddr(64), 128, True), captured.THREAD) == [
        ("sigaltstack", STACK.pack(64, 1 << 31, 128), 0)
    ]
