"""A long dump tells how far it is, and may be given up by who is told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import holdfast
from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
room = bytearray(40 << 20)
for at in range(0, len(room), 4096):
    room[at] = 1
pause()
say(sum(room[::4096]))
"""


@pytest.mark.parametrize("leave_running", [False, True])
def test_a_dump_tells_how_much_memory_is_copied(tmp_path: Path, leave_running: bool) -> None:
    told: list[tuple[int, int]] = []
    subject = harness.start(tmp_path, SOURCE)
    try:
        done = holdfast.dump(subject.pid, tmp_path / "image", leave_running=leave_running, progress=lambda a, b: told.append((a, b)))
        assert [a for a, _ in told] == sorted(a for a, _ in told)
        assert 0 < told[0][0] <= told[-1][0] <= told[-1][1] <= done.pages_size
        assert done.pages_size > 40 << 20
    finally:
        subject.kill()


@pytest.mark.parametrize("leave_running", [False, True])
def test_a_dump_that_is_given_up_leaves_the_tree_and_no_image(tmp_path: Path, leave_running: bool) -> None:
    class GivenUp(Exception):
        pass

    def give_up(done: int, total: int) -> None:
        raise GivenUp

    subject = harness.start(tmp_path, SOURCE)
    try:
        with pytest.raises(GivenUp):
            holdfast.dump(subject.pid, tmp_path / "image", leave_running=leave_running, progress=give_up)
        assert [n for n in os.listdir(tmp_path) if n.startswith("image")] == []
        subject.go()
        subject.end()
        assert subject.said == [40 << 8]
    finally:
        subject.kill()
