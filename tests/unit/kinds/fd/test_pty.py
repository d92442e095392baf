"""fd.pty, on pseudo terminals of this process."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import tty
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.kinds import terminals
from holdfast.kinds.evidence import Options
from holdfast.kinds.fd.pty import KIND, Pty, compare
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("pty")  # a number that a live test frees and wants again must not go to another

MASTER = ObjectId("file:0")


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        os.close(fd)


def master(fds: list[int]) -> tuple[int, int]:
    """A master and its number; the slave can be opened."""
    fd = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    fds.append(fd)
    fcntl.ioctl(fd, 0x40045431, bytes(4))
    return fd, int.from_bytes(fcntl.ioctl(fd, 0x80045430, bytes(4)), "little")


def slave(fds: list[int], number: int) -> int:
    fd = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY)
    fds.append(fd)
    return fd


def dumped(*fds: int) -> list[Pty]:
    evidence = native.tree(*fds)
    detect = KIND.verb("detect")
    assert detect is not None
    try:
        assert None not in [detect(f) for f in evidence.files]
        return [native.record(KIND, f) for f in evidence.files]
    finally:
        native.close(evidence)


def verdicts(*fds: int, options: Options | None = None) -> list[str]:
    return [v for v in native.verdicts(KIND, *fds, options=options) if v != "Loss"]


def test_what_is_of_the_terminal_stands_with_its_master(fds: list[int]) -> None:
    m, number = master(fds)
    s = slave(fds, number)
    tty.setraw(s)
    fcntl.ioctl(s, 0x5414, struct.pack("HHHH", 24, 80, 640, 480))
    fcntl.ioctl(m, 0x5420, (1).to_bytes(4, "little"))
    one, two = dumped(m, s)
    assert (one.end, one.number, one.rows, one.columns, one.width, one.height) == ("master", number, 24, 80, 640, 480)
    assert (one.packets, one.locked, one.exclusive, one.slave_closed) == (True, False, False, False)
    assert one.settings is not None
    assert one.settings.local == ("ECHOCTL", "ECHOE", "ECHOK", "ECHOKE")
    assert two == Pty(number, "slave", b"/dev/pts/%d" % number, ("O_LARGEFILE", "O_RDWR"))
    assert verdicts(m, s) == []


def test_a_slave_that_was_closed_is_told_from_one_that_was_never_open(fds: list[int]) -> None:
    m, number = master(fds)
    assert dumped(m)[0].slave_closed is False
    os.close(os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY))
    assert dumped(m)[0].slave_closed is True


def test_an_unfinished_line_may_be_lost_in_line_mode_only(fds: list[int]) -> None:
    m, number = master(fds)
    s = slave(fds, number)
    assert native.verdicts(KIND, m, s) == ["Loss"]
    tty.setraw(s)
    assert native.verdicts(KIND, m, s) == []


def test_what_cannot_be_carried_is_refused(fds: list[int]) -> None:
    m, number = master(fds)
    s = slave(fds, number)
    assert verdicts(s) == ["fd.pty.outside"]
    os.write(m, b"line\n")
    assert verdicts(m, s) == ["fd.pty.pending", "fd.pty.pending"]  # the line, and its echo


def test_an_end_of_file_that_waits_is_refused(fds: list[int]) -> None:
    m, number = master(fds)
    s = slave(fds, number)
    os.write(m, b"\x04")
    assert verdicts(m, s) == ["fd.pty.pending"]


def test_an_event_of_packet_mode_that_waits_is_refused(fds: list[int]) -> None:
    m, number = master(fds)
    s = slave(fds, number)
    fcntl.ioctl(m, 0x5420, (1).to_bytes(4, "little"))
    termios.tcflush(s, termios.TCIOFLUSH)
    assert verdicts(m, s) == ["fd.pty.pending"]


def test_a_master_that_is_open_for_reading_only_is_refused(fds: list[int]) -> None:
    fds.append(os.open("/dev/ptmx", os.O_RDONLY | os.O_NOCTTY))
    assert verdicts(fds[0]) == ["fd.pty.access"]


def test_another_line_discipline_is_refused(fds: list[int]) -> None:
    m, number = master(fds)
    s = slave(fds, number)
    fcntl.ioctl(s, 0x5423, (27).to_bytes(4, "little"))  # TIOCSETD, N_NULL
    assert set(verdicts(m, s)) == {"fd.pty.discipline"}
    fcntl.ioctl(s, 0x5423, bytes(4))
    assert verdicts(m, s) == []


def test_a_terminal_of_others_is_left_to_fd_inherited_where_the_caller_allows_it(fds: list[int]) -> None:
    _, number = master(fds)
    s = slave(fds, number)
    detect = KIND.verb("detect")
    assert detect is not None
    for allowed in (False, True):
        evidence = native.tree(s, options=Options(shell_job=allowed))
        assert (detect(evidence.files[0]) is None) is allowed
        native.close(evidence)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 1},
        {"end": "slave"},
        {"path": b"/x"},
        {"flags": ("O_RDWR",)},
        {"settings": terminals.Settings((), (), (), (), (), 0, 0, 0)},
        {"rows": 1},
        {"columns": 1},
        {"width": 1},
        {"height": 1},
        {"locked": True},
        {"packets": True},
        {"exclusive": True},
        {"slave_closed": True},
        {"uid": 1},
        {"gid": 1},
        {"mode": 1},
    ],
)
def test_every_field_is_compared(change: dict[str, Any]) -> None:
    same = Pty(0, "master", b"/dev/ptmx", ())
    assert (list(compare(same, same, MASTER)), len(list(compare(same, same.replace(**change), MASTER)))) == ([], 1)
