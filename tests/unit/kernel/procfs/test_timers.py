"""/proc/PID/timers. Text captured on Linux 6.18 but where a case says otherwise."""

from __future__ import annotations

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs.timers import PosixTimer, parse_timers


def test_timers_are_sorted_by_id() -> None:
    data = (
        b"ID: 2\nsignal: 0/0000000000000000\nnotify: none/pid.13253\nClockID: 7\n"
        b"ID: 1\nsignal: 12/0000000000000055\nnotify: signal/tid.13253\nClockID: 0\n"
        b"ID: 0\nsignal: 10/000000000000dead\nnotify: signal/pid.13253\nClockID: 1\n"
    )
    assert parse_timers(data) == [
        PosixTimer(0, 10, 0xDEAD, 0, 13253, 1),
        PosixTimer(1, 12, 0x55, 4, 13253, 0),
        PosixTimer(2, 0, 0, 1, 13253, 7),
    ]


def test_a_clock_of_another_task_a_new_key_and_another_order() -> None:
    # by hand: a cpu clock id is negative
    data = b"ID: 7\nClockID: -6\nnew: 3\nnotify: thread/pid.0\nsignal: 14/ffffffffffffffff\n"
    assert parse_timers(data) == [PosixTimer(7, 14, 2**64 - 1, 2, 0, -6, (("new", b"3"),))]


def test_no_timers() -> None:
    assert parse_timers(b"") == []


@pytest.mark.parametrize(
    "data",
    [
        b"signal: 0/0\n",
        b"ID: 2\nsignal: 0/0\nnotify: none/pid.1\n",
        b"ID: 2\nsignal: 0/0\nnotify: none/cow.1\nClockID: 0\n",
        b"ID: 2\nsignal: 0/0\nnotify: call/pid.1\nClockID: 0\n",
        b"ID: 2\nsignal\n",
    ],
)
def test_an_unknown_form_is_an_error(data: bytes) -> None:
    with pytest.raises(KernelLacks):
        parse_timers(data)
