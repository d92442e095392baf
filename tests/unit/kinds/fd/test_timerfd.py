"""fd.timerfd, on timers of this process."""

from __future__ import annotations

import ctypes
import os
import select
import time
from typing import TYPE_CHECKING

import pytest

from holdfast.kinds.fd.timerfd import KIND, Timerfd, compare
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = ObjectId("file:0")
HOUR = 3600 * 10**9
_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        os.close(fd)


def timer(fds: list[int], clock: int, flags: int = 0, value_ns: int = 0, interval_ns: int = 0, settings: int = 0) -> int:
    fd: int = _libc.timerfd_create(clock, flags)
    assert fd >= 0
    fds.append(fd)
    parts = (ctypes.c_long * 4)(*divmod(interval_ns, 10**9), *divmod(value_ns, 10**9))
    assert _libc.timerfd_settime(fd, settings, parts, None) == 0
    return fd


def again(fds: list[int], fd: int) -> tuple[Timerfd, int]:
    """The record of a timer, and a timer made of it; asserts that its record shows no difference."""
    [rec] = native.records(KIND, fd)
    [made] = native.restored(KIND, [rec])
    fds.append(made)
    assert list(compare(rec, native.records(KIND, made)[0], ID)) == []
    return rec, made


@pytest.mark.parametrize("clock", [0, 1, 7])
def test_a_timer_that_is_not_armed_comes_back(fds: list[int], clock: int) -> None:
    rec, _ = again(fds, timer(fds, clock, os.O_NONBLOCK))
    name = {0: "CLOCK_REALTIME", 1: "CLOCK_MONOTONIC", 7: "CLOCK_BOOTTIME"}[clock]
    assert rec == Timerfd(name, 0, 0, 0, 0, flags=("O_NONBLOCK", "O_RDWR"))


def test_what_is_left_comes_back(fds: list[int]) -> None:
    rec, made = again(fds, timer(fds, time.CLOCK_MONOTONIC, 0, HOUR, HOUR // 2))
    assert HOUR // 2 < rec.left_ns <= HOUR
    assert rec.interval_ns == HOUR // 2
    [now] = native.records(KIND, made)
    assert 0 < now.left_ns <= rec.left_ns


@pytest.mark.parametrize("cancel", [False, True])
def test_a_point_in_time_comes_back(fds: list[int], cancel: bool) -> None:
    when = time.clock_gettime_ns(time.CLOCK_REALTIME) + HOUR
    rec, _ = again(fds, timer(fds, time.CLOCK_REALTIME, 0, when, 0, 3 if cancel else 1))
    assert (rec.absolute, rec.cancel_on_set, rec.left_ns) == (True, cancel, 0)
    assert abs(rec.expires_ns - when) < 10**9


def test_an_expired_timer_keeps_its_tick(fds: list[int]) -> None:
    fd = timer(fds, time.CLOCK_MONOTONIC, 0, 1)
    select.select([fd], [], [])
    rec, made = again(fds, fd)
    assert (rec.ticks, rec.left_ns) == (1, 0)
    assert os.read(made, 8) == (1).to_bytes(8, "little")


def test_a_periodic_timer_that_was_not_read_keeps_its_ticks_and_its_beat(fds: list[int]) -> None:
    fd = timer(fds, time.CLOCK_MONOTONIC, 0, 1, 3 * HOUR)
    select.select([fd], [], [])
    rec, made = again(fds, fd)
    assert rec.ticks == 1
    assert 2 * HOUR < rec.left_ns <= 3 * HOUR
    assert os.read(made, 8) == (1).to_bytes(8, "little")
    assert os.read(fd, 8) == (1).to_bytes(8, "little")


def test_ticks_of_a_timer_that_a_clock_change_cancels_are_refused(fds: list[int]) -> None:
    fd = timer(fds, time.CLOCK_REALTIME, 0, 1, HOUR, 3)
    select.select([fd], [], [])
    assert native.verdicts(KIND, fd) == ["fd.timerfd.cancelled"]


def test_unknown_settings_are_refused(fds: list[int]) -> None:
    evidence = native.tree(timer(fds, time.CLOCK_MONOTONIC))
    file = evidence.files[0]
    refuse = KIND.verb("refuse")
    assert refuse is not None
    for key, value in (("clockid", b"5"), ("settime flags", b"04")):
        lines = tuple((k, value if k == key else v) for k, v in evidence.files[0].info.lines)
        seen = file.info
        file.info = seen.replace(lines=lines)
        assert [v.code for v in refuse(file, native.answer)] == ["fd.timerfd.unknown"]
        file.info = seen
    native.close(evidence)


ARMED = Timerfd("CLOCK_MONOTONIC", 1000, 0, 5, 0)
POINT = Timerfd("CLOCK_REALTIME", 0, 10**18, 0, 0, True)


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        (ARMED, ARMED, 0),
        (ARMED, ARMED.replace(left_ns=10), 0),
        (ARMED, ARMED.replace(left_ns=0, ticks=1), 0),
        (ARMED, ARMED.replace(left_ns=1001), 1),
        (ARMED, ARMED.replace(left_ns=0), 1),
        (ARMED, ARMED.replace(clock="CLOCK_BOOTTIME"), 1),
        (ARMED, ARMED.replace(interval_ns=6), 1),
        (ARMED, ARMED.replace(cancel_on_set=True), 1),
        (ARMED, ARMED.replace(flags=("O_RDWR",)), 1),
        (ARMED.replace(left_ns=0), ARMED.replace(left_ns=0, ticks=1), 1),
        (POINT, POINT.replace(expires_ns=10**18 + 1000), 0),
        (POINT, POINT.replace(expires_ns=10**18 + 2 * 10**9), 1),
        (POINT, POINT.replace(absolute=False), 1),
    ],
)
def test_only_the_passing_of_time_is_no_difference(before: Timerfd, after: Timerfd, count: int) -> None:
    assert len(list(compare(before, after, ID))) == count
