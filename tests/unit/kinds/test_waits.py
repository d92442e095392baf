"""Which waits a stop shortens or begins anew, by their arguments."""

from __future__ import annotations

import pytest

from holdfast.kinds.waits import ANEW, EINTR, ENDS, FORGOTTEN, NO_HANDLER, PART, RESTART_BLOCK, of_running, of_stopped

WITH_TIMEOUT = {(3, 20)}  # descriptor 3 has a timeout for receiving


def running(number: int, *args: int) -> str:
    words = [str(number), *(f"{a:#x}" for a in (*args, *[0] * (6 - len(args)))), "0x7ffd1000", "0x7f001000"]
    return of_running(" ".join(words).encode() + b"\n", lambda fd, option: (fd, option) in WITH_TIMEOUT)


@pytest.mark.parametrize(
    ("number", "args", "lost"),
    [
        (281, (4, 4096, 1, 1000), f"epoll_pwait {ENDS}"),
        (441, (4, 4096, 1, 8192), f"epoll_pwait2 {ENDS}"),
        (441, (4, 4096, 1, 0), ""),
        (128, (4096, 0, 0), ""),
        (220, (1, 4096, 1, 8192), f"semtimedop {ENDS}"),
        (65, (1, 4096, 1), ""),
        (208, (1, 1, 1, 4096, 8192), f"io_getevents {ENDS}"),
        (333, (1, 1, 1, 4096, 8192), f"io_pgetevents {ANEW}"),
        (45, (3, 4096, 1), f"recvfrom {ENDS}"),
        (44, (3, 4096, 1), ""),
        (45, (4, 4096, 1), ""),
        (0, (3, 4096, 1), f"read {ENDS}"),
        (7, (4096, 1, 0xFFFFFFFF), ""),
        (7, (4096, 1, 1000), f"poll {ANEW}"),
        (35, (4096, 4096), ""),
        (35, (4096, 0), f"nanosleep {ANEW}"),
        (230, (1, 1, 4096, 0), ""),
        (230, (1, 0, 4096, 0), f"clock_nanosleep {ANEW}"),
        (202, (4096, 128, 0, 0), ""),
        (202, (4096, 128, 0, 8192), f"futex {ANEW}"),
        (202, (4096, 128 | 9, 0, 8192), ""),
        (39, (), ""),
        (999, (), ""),
    ],
)
def test_of_a_thread_that_is_blocked(number: int, args: tuple[int, ...], lost: str) -> None:
    assert running(number, *args) == lost


@pytest.mark.parametrize(
    ("number", "args", "lost"),
    [
        (7, (4096, 1, 1000), ""),
        (35, (4096, 0), ""),
        (230, (1, 0, 4096, 0), ""),
        (230, (2, 0, 4096, 0), f"clock_nanosleep {ANEW}"),
        (202, (4096, 128, 0, 8192), ""),
        (219, (), ""),
        (333, (1, 1, 1, 4096, 8192), f"io_pgetevents {ANEW}"),
        (281, (4, 4096, 1, 1000), f"epoll_pwait {ENDS}"),
    ],
)
def test_of_a_blocked_thread_whose_restart_block_can_be_seen(number: int, args: tuple[int, ...], lost: str) -> None:
    words = [str(number), *(f"{a:#x}" for a in (*args, *[0] * (6 - len(args)))), "0x7ffd1000", "0x7f001000"]
    assert of_running(" ".join(words).encode() + b"\n", lambda *_: False, seen=True) == lost


def test_a_wait_that_was_stopped_before_is_forgotten() -> None:
    assert running(219) == f"restart_syscall {FORGOTTEN}"
    assert of_stopped(RESTART_BLOCK, 219, (), False) == f"restart_syscall {FORGOTTEN}"
    assert of_stopped(RESTART_BLOCK, 219, (), False, seen=True) == ""


def test_a_thread_that_runs_or_has_ended_loses_nothing() -> None:
    assert [of_running(text, lambda *_: True) for text in (b"running\n", b"-1 0x7ffd1000 0x7f001000\n", b"")] == ["", "", ""]


@pytest.mark.parametrize(
    ("result", "number", "args", "handled", "lost"),
    [
        (EINTR, 45, (3,), False, f"recvfrom {ENDS}"),
        (EINTR, 45, (3,), True, ""),
        (RESTART_BLOCK, 7, (4096, 1, 1000), False, f"poll {ANEW}"),
        (RESTART_BLOCK, 7, (4096, 1, 0xFFFFFFFF), False, ""),
        (NO_HANDLER, 333, (1, 1, 1, 4096, 8192), False, f"io_pgetevents {ANEW}"),
        (NO_HANDLER, 270, (1, 0, 0, 0, 8192), False, ""),  # pselect6 writes what remains
        (0, 7, (4096, 1, 1000), False, ""),
        (EINTR, (1 << 64) - 1, (), False, ""),  # no call was interrupted
        (4096, 1, (4, 8192, 8192), False, f"write {PART}"),
        (8192, 1, (4, 8192, 8192), False, ""),
        (4096, 1, (0, 8192, 8192), False, ""),  # no call waits for this descriptor
        (3, 45, (4, 8192, 6, 0x100), False, f"recvfrom {PART}"),
        (3, 45, (4, 8192, 6, 0), False, ""),
        (6, 45, (4, 8192, 6, 0x100), False, ""),
        (3, 20, (4, 8192, 2), False, f"writev {PART}"),
        (0, 20, (4, 8192, 2), False, ""),
        (3, 1, (4, 8192, 6), True, f"write {PART}"),  # whether a handler runs or not
    ],
)
def test_of_a_thread_that_was_stopped(result: int, number: int, args: tuple[int, ...], handled: bool, lost: str) -> None:
    assert of_stopped(result, number, (*args, *[0] * (6 - len(args))), handled) == lost
