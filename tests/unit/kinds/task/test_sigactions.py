"""task.sigactions."""

from __future__ import annotations

import pytest

from holdfast.errors import Refused
from holdfast.kinds.task.sigactions import ACTION, KIND, Action, SigActions
from holdfast.model.ids import RemoteAddr
from tests.unit.kinds import captured


def dump(**replies: tuple[int, int, int, int]) -> SigActions:
    got: SigActions = captured.dumped(
        KIND, captured.process(), {("rt_sigaction", int(name[1:])): (0, ACTION.pack(*words)) for name, words in replies.items()}
    )
    return got


def test_only_what_is_not_the_default_is_kept() -> None:
    assert dump() == SigActions(())
    assert dump(s2=(0x401000, 0x14000000, 0x402000, 6), s17=(0, 2, 0, 0)) == SigActions(
        (
            Action(2, RemoteAddr(0x401000), ("SA_RESTART", "SA_RESTORER"), RemoteAddr(0x402000), 6),
            Action(17, RemoteAddr(0), ("SA_NOCLDWAIT",), RemoteAddr(0), 0),
        )
    )


def test_an_unknown_flag_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        dump(s1=(1, 0x100, 0, 0))
    assert caught.value.code == "refused.task.sigaction_flags"


def test_the_own_actions_are_set_and_the_defaults_of_the_c_library() -> None:
    rec = SigActions((Action(64, RemoteAddr(1), ("SA_RESTART",), RemoteAddr(2), 3),))
    [part] = captured.written(KIND, rec)
    assert part.gives == {"actions"}
    assert part.calls == [
        ("rt_sigaction", 32, bytes(32), 0, 8),
        ("rt_sigaction", 33, bytes(32), 0, 8),
        ("rt_sigaction", 64, ACTION.pack(1, 0x10000000, 2, 3), 0, 8),
    ]
