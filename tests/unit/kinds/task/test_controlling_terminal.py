"""task.controlling_terminal: device numbers as stat prints them; tests/live/kinds/fd/test_pty.py has the rest."""

from __future__ import annotations

import pytest

from holdfast.kinds.task.controlling_terminal import ControllingTerminal, _device, compare
from holdfast.model.ids import NsPid, ObjectId


@pytest.mark.parametrize(
    ("printed", "device"), [(34816, (136, 0)), (34817, (136, 1)), (1025, (4, 1)), (136 << 8 | 5 | 1 << 20, (136, 261))]
)
def test_the_terminal_of_stat_is_a_device(printed: int, device: tuple[int, int]) -> None:
    assert _device(printed) == device


def test_every_field_is_compared() -> None:
    same = ControllingTerminal(ObjectId("file:1"), b"/dev/pts/1", NsPid(2))
    others = [same, same.replace(terminal=ObjectId("file:2")), same.replace(path=b"/dev/pts/2"), same.replace(foreground=NsPid(3))]
    assert [len(list(compare(same, o, ObjectId("process:2")))) for o in others] == [0, 1, 1, 1]
