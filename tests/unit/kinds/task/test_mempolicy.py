"""task.mempolicy. Replies as Linux 6.18 gives them."""

from __future__ import annotations

import pytest

from holdfast.errors import Refused
from holdfast.kinds.task.mempolicy import KIND, MemPolicy
from tests.unit.kinds import captured


def test_a_kernel_without_numa_has_no_record() -> None:
    assert captured.dumped(KIND, captured.process().leader, {("get_mempolicy",): -38}) is None


@pytest.mark.parametrize(
    ("mode", "record"),
    [(0, MemPolicy("default", (), ())), (1 << 15 | 2, MemPolicy("bind", ("MPOL_F_STATIC_NODES",), ())), (4, MemPolicy("local", (), ()))],
)
def test_the_kernels_number_gives_the_record(mode: int, record: MemPolicy) -> None:
    assert captured.dumped(KIND, captured.process().leader, {("get_mempolicy",): (0, mode.to_bytes(4, "little"))}) == record


@pytest.mark.parametrize("reply", [(0, b"\x09\0\0\0"), (0, b"\0\x10\0\0"), (-22, b"")])
def test_what_has_no_name_is_refused(reply: tuple[int, bytes]) -> None:
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, captured.process().leader, {("get_mempolicy",): reply})
    assert caught.value.code == "refused.task.mempolicy"


def test_nodes_are_a_mask() -> None:
    rec = MemPolicy("interleave", ("MPOL_F_RELATIVE_NODES",), (0, 9))
    assert captured.calls(KIND, rec, captured.THREAD) == [("set_mempolicy", 3 | 1 << 14, b"\x01\x02" + bytes(126), 1025)]
    assert captured.calls(KIND, MemPolicy("default", (), ()), captured.THREAD) == [("set_mempolicy", 0, 0, 0)]
