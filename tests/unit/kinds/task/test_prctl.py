"""task.prctl. Replies as Linux 6.18 gives them."""

from __future__ import annotations

import pytest

from holdfast.errors import Refused
from holdfast.kinds.task.prctl import KIND, Prctl
from tests.unit.kinds import captured

USUAL: dict[tuple[str | int, ...], int | tuple[int, bytes]] = {
    ("prctl", 25): (0, b"\x01\0\0\0"),
    ("arch_prctl", 0x1011): 1,
    ("prctl", 34): 2,
    ("prctl", 52, 0): 2,
    ("prctl", 52, 1): 2,
    ("prctl", 52, 2): 8,
    ("prctl", 58): -1,
    ("prctl", 62): -22,
}


def dump(replies: dict[tuple[str | int, ...], int | tuple[int, bytes]], flags: int = 0x400000) -> Prctl:
    words = captured.STAT.split()
    words[8] = str(flags).encode()
    got: Prctl = captured.dumped(KIND, captured.process({"stat": b" ".join(words)}).leader, {**USUAL, **replies})
    return got


def test_a_plain_thread_has_every_default() -> None:
    assert dump({}) == Prctl()


def test_what_was_changed() -> None:
    got = dump({("prctl", 25): (0, b"\x02\0\0\0"), ("arch_prctl", 0x1011): 0, ("prctl", 34): 1, ("prctl", 52, 0): 1 | 4, ("prctl", 58): 1})
    assert got == Prctl("sigsegv", True, "early", True, "disabled")


def test_a_kernel_without_the_settings_has_the_defaults() -> None:
    assert dump({("prctl", 34): -22, ("prctl", 52): -22, ("prctl", 52, 0): -19, ("prctl", 58): -22}) == Prctl()


def test_without_the_right_to_ask_the_tasks_flags_tell() -> None:
    assert dump({}, 0x580000).io_flusher is True
    assert dump({}, 0x480000).io_flusher is False


@pytest.mark.parametrize(
    ("reply", "code"), [({("prctl", 62): (0, b"\x01" * 8)}, "task.sched_core"), ({("prctl", 52, 0): 1 | 64}, "task.speculation")]
)
def test_what_cannot_be_carried_is_refused(reply: dict[tuple[str | int, ...], int | tuple[int, bytes]], code: str) -> None:
    with pytest.raises(Refused) as caught:
        dump(reply)
    assert caught.value.code == f"refused.{code}"


def test_every_setting_is_set() -> None:
    rec = Prctl("sigsegv", True, "late", True, "disabled", "disabled_for_good", "enabled")
    assert captured.calls(KIND, rec, captured.THREAD) == [
        ("prctl", 26, 2, 0, 0, 0),
        ("arch_prctl", 0x1012, 0),
        ("prctl", 33, 1, 0, 0, 0),
        ("prctl", 57, 1, 0, 0, 0),
        ("prctl", 53, 0, 4, 0, 0),
        ("prctl", 53, 1, 8, 0, 0),
        ("prctl", 53, 2, 2, 0, 0),
    ]


def test_what_the_restorer_has_is_undone_even_by_a_plain_thread() -> None:
    assert [c[1] for c in captured.calls(KIND, Prctl(), captured.THREAD)] == [26, 33]
