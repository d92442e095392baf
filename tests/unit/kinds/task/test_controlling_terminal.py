"""task.controlling_terminal: comparing; tests/live/kinds/task/test_controlling_terminal.py has the rest."""

from __future__ import annotations

from holdfast.kinds.task.controlling_terminal import ControllingTerminal, compare
from holdfast.model.ids import NsPid, ObjectId


def test_every_field_is_compared() -> None:
    same = ControllingTerminal(ObjectId("file:1"), b"/dev/pts/1", NsPid(2))
    others = [
        same,
        same.replace(terminal=ObjectId("file:2")),
        same.replace(path=b"/dev/pts/2"),
        same.replace(foreground=NsPid(3)),
        same.replace(without=(ObjectId("process:4"),)),
    ]
    assert [len(list(compare(same, o, ObjectId("process:2")))) for o in others] == [0, 1, 1, 1, 1]
