"""What fd.pty promises, kept by a real dump and restore; sessions are in tests/live/kinds/task/test_controlling_terminal.py."""

from __future__ import annotations

import os
import termios
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast import Options
from holdfast.errors import Refused
from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("pty")  # a number that one test frees and wants again must not go to another

PAIR = """
import termios
def pair():
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(master, 0x40045431, bytes(4))
    number = int.from_bytes(fcntl.ioctl(master, 0x80045430, bytes(4)), "little")
    return master, os.open("/dev/pts/%d" % number, os.O_RDWR | os.O_NOCTTY), number
"""


def test_settings_size_and_numbers_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        PAIR
        + """
spare, first, second = pair(), pair(), pair()
os.close(spare[0]), os.close(spare[1])                   # a lower number is free again
m, s, n = second
settings = termios.tcgetattr(s)
settings[3] &= ~(termios.ICANON | termios.ECHO)
settings[6][termios.VINTR] = b"\\x07"
termios.tcsetattr(s, termios.TCSANOW, settings)
fcntl.ioctl(m, 0x5414, struct.pack("HHHH", 50, 132, 1, 2))
fcntl.ioctl(m, 0x5420, (1).to_bytes(4, "little"))         # packet mode
os.set_blocking(first[0], False)
numbers = first[2], second[2]
pause()
say([os.ttyname(x[1]) == "/dev/pts/%d" % k for x, k in zip((first, second), numbers)])
say(termios.tcgetattr(s)[3] & (termios.ICANON | termios.ECHO))
say(termios.tcgetattr(s)[6][termios.VINTR].hex())
say(struct.unpack("HHHH", fcntl.ioctl(s, 0x5413, bytes(8))))
os.write(m, b"abc")
say(os.read(s, 10).decode())
os.write(s, b"out")
say(os.read(m, 10).hex())                                # with the packet's first byte
say([os.get_blocking(first[0]), os.get_blocking(m)])
os.write(first[0], b"line\\n")
say(os.read(first[1], 10).decode())
say(os.read(first[0], 20).decode())                      # the echo
os.close(s)
try:
    os.read(m, 10)
except OSError as e:
    say(str(e))
""",
    )
    assert trip.said == trip.control
    assert len(trip.losses) == 1  # the other one is in line mode


def test_a_terminal_whose_master_is_elsewhere_is_refused(tmp_path: Path) -> None:
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    os.set_inheritable(master, False)
    subject = harness.start(
        tmp_path,
        """
        fcntl.ioctl(MASTER, 0x40045431, bytes(4))
        slave = os.open("/dev/pts/%d" % int.from_bytes(fcntl.ioctl(MASTER, 0x80045430, bytes(4)), "little"), os.O_RDWR | os.O_NOCTTY)
        os.close(MASTER)
        pause()
        """.replace("MASTER", str(master)),
        keep=[master],
    )
    try:
        with pytest.raises(Refused) as e:
            holdfast.dump(subject.pid, tmp_path / "image")
        subject.go()
        subject.end()
    finally:
        subject.kill()
        os.close(master)
    assert [r.code for r in e.value.refusals] == ["fd.pty.outside"]


def test_data_that_waits_is_refused(tmp_path: Path) -> None:
    codes = harness.refused(tmp_path, PAIR + "m, s, n = pair()\nos.write(s, b'x')\npause()\nsay(os.read(m, 5).decode())")
    assert codes == ["fd.pty.pending"]


def test_a_terminal_of_others_becomes_the_restorers_where_the_caller_says_so(tmp_path: Path) -> None:
    def terminal() -> tuple[int, int]:
        master, slave = os.openpty()
        return master, slave

    old, new = terminal(), terminal()
    settings = termios.tcgetattr(old[1])
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(old[1], termios.TCSANOW, settings)
    source = f"os.dup2({old[1]}, 0); os.close({old[1]}); pause(); say(os.ttyname(0)); import termios; say(termios.tcgetattr(0)[3])"
    subject = harness.start(tmp_path, source, keep=[old[1]])
    ours = os.dup(0)
    try:
        holdfast.dump(subject.pid, tmp_path / "image", options=Options(shell_job=True))
        subject.process.wait()
        os.dup2(new[1], 0)
        harness.restored(tmp_path / "image", subject)
        assert subject.said == [os.ttyname(new[1]), settings[3]]
    finally:
        subject.kill()
        os.dup2(ours, 0)
        for fd in (*old, *new, ours):
            os.close(fd)


def test_an_exclusive_slave_and_speeds_by_number_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        PAIR
        + """
m, s, n = pair()
again = os.open("/dev/pts/%d" % n, os.O_RDWR | os.O_NOCTTY)
fcntl.ioctl(s, 0x540C, 0)                                 # TIOCEXCL
raw = bytearray(fcntl.ioctl(s, 0x802C542A, bytes(44)))    # TCGETS2
struct.pack_into("<I", raw, 8, struct.unpack_from("<I", raw, 8)[0] & ~0x100F | 0x1000)
struct.pack_into("<II", raw, 36, 50, 50)
fcntl.ioctl(s, 0x402C542B, bytes(raw))
pause()
say([int.from_bytes(fcntl.ioctl(fd, 0x80045440, bytes(4)), "little") for fd in (m, s, again)])
say(fcntl.ioctl(s, 0x802C542A, bytes(44)) == raw)
""",
    )
    assert trip.said == trip.control == [[0, 1, 1], True]
