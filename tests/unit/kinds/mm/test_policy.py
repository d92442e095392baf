"""mm.policy. Replies as Linux 6.18 gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.errors import Refused
from holdfast.kinds.mm.policy import KIND
from holdfast.prog.call import AT_ONCE, Answers
from tests.unit.kinds import captured
from tests.unit.kinds.mm import smaps

if TYPE_CHECKING:
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.prog.call import Program

LOW, HIGH = 0x10000, smaps.BASE
DEFAULT = (0, bytes(4))


def process() -> ProcessEvidence:
    """Two areas and the kernel's own."""
    found = captured.process()
    for n, name in enumerate(("[vsyscall]", "[vvar]", "[vvar_vclock]", "[vdso]")):
        smaps.area("r-xp", name=name, start=HIGH + (n + 1) * 0x10000, process=found)
    for start in (LOW, HIGH):
        smaps.area(start=start, process=found)
    return found


def asked() -> list[tuple[object, ...]]:
    """Address and flags of every question."""
    dump = KIND.verb("dump")
    assert dump is not None
    return [call.args[3:] for call in next(dump(process())).calls if call.name == "get_mempolicy"]


def test_every_area_but_the_kernels_own_is_asked_about() -> None:
    assert asked() == [(LOW, 2), (HIGH, 2)]


def test_many_areas_are_asked_about_in_turn() -> None:
    ev = process()
    for n in range(2 * AT_ONCE):
        smaps.area(start=HIGH + (n + 9) * 0x10000, process=ev)
    dump = KIND.verb("dump")
    assert dump is not None
    dialogue = dump(ev)
    first = next(dialogue)
    second = dialogue.send(zeros(first))
    third = dialogue.send(zeros(second))
    assert [len(p.calls) for p in (first, second, third)] == [AT_ONCE, AT_ONCE, 2]
    with pytest.raises(StopIteration):
        dialogue.send(zeros(third))


def zeros(asked: Program) -> Answers:
    return Answers({id(c): 0 for c in asked.calls}, Zeros())


class Zeros(dict[int, bytes]):
    """Every buffer holds zeros."""

    def __missing__(self, key: int) -> bytes:
        return bytes(8)


@pytest.mark.parametrize("reply", [DEFAULT, -38])
def test_without_a_policy_there_is_no_record(reply: int | tuple[int, bytes]) -> None:
    assert captured.dumped(KIND, process(), {("get_mempolicy",): reply}) is None


# bind; interleave with MPOL_F_STATIC_NODES; local; and a call that fails
@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((0, b"\x02\0\0\0"), "policy 0x2"),
        ((0, b"\x03\x80\0\0"), "policy 0x8003"),
        ((0, b"\x04\0\0\0"), "policy 0x4"),
        (-14, "get_mempolicy gives -14"),
    ],
)
def test_any_other_answer_is_refused_with_the_area(reply: int | tuple[int, bytes], said: str) -> None:
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, process(), {("get_mempolicy",): DEFAULT, ("get_mempolicy", 1025, HIGH): reply})
    assert caught.value.code == "refused.mm.policy"
    assert f"{HIGH:#x}-{HIGH + smaps.SIZE:#x}" in str(caught.value)
    assert said in str(caught.value)


def test_every_area_with_a_policy_is_told() -> None:
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, process(), {("get_mempolicy",): (0, b"\x02\0\0\0")})
    assert [r.code for r in caught.value.refusals] == ["mm.policy", "mm.policy"]


def test_a_zombie_has_no_memory() -> None:
    ev = captured.process()
    ev.zombie = True
    assert smaps.claimed(KIND, ev) is None
