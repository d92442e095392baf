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


def test_every_signal_is_set_as_the_restorer_may_ignore_some() -> None:
    rec = SigActions((Action(64, RemoteAddr(1), ("SA_RESTART",), RemoteAddr(2), 3),))
    [part] = captured.written(KIND, rec)
    assert part.gives == {"actions"}
    assert [c[1] for c in part.calls] == [n for n in range(1, 65) if n not in (9, 19)]
    assert part.calls[0] == ("rt_sigaction", 1, bytes(32), 0, 8)
    assert part.calls[-1] == ("rt_sigaction", 64, ACTION.pack(1, 0x10000000, 2, 3), 0, 8)
