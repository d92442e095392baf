"""Settings of terminals by name, and back to what the kernel takes."""

from __future__ import annotations

import fcntl
import os
import struct

import pytest

from holdfast.kinds import terminals

pytestmark = pytest.mark.xdist_group("pty")  # a number that a live test frees and wants again must not go to another


@pytest.fixture
def master() -> int:
    return os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)


def read(fd: int) -> bytes:
    return fcntl.ioctl(fd, terminals.TCGETS2, bytes(44))


def test_the_kernels_defaults_by_name(master: int) -> None:
    rec = terminals.settings(read(master))
    assert (rec.input, rec.output) == (("ICRNL", "IXON"), ("ONLCR", "OPOST"))
    assert rec.local == ("ECHO", "ECHOCTL", "ECHOE", "ECHOK", "ECHOKE", "ICANON", "IEXTEN", "ISIG")
    assert (rec.input_speed, rec.output_speed, rec.discipline) == (38400, 38400, 0)
    assert rec.characters[0] == 3
    os.close(master)


@pytest.mark.parametrize("code", [0x1000, 0x1000 << 16, 0x1000 | 0x1000 << 16, 0x1000 | 9 << 16])
def test_a_speed_that_has_a_name_and_was_set_by_number_stays_so(master: int, code: int) -> None:
    raw = bytearray(read(master))
    struct.pack_into("<I", raw, 8, struct.unpack_from("<I", raw, 8)[0] & ~terminals.CBAUD | code | (0 if code & 0x1000 else 13))
    struct.pack_into("<II", raw, 36, 50 if code >> 16 == 0x1000 else 300, 9600)
    fcntl.ioctl(master, terminals.TCSETS2, bytes(raw))
    seen = read(master)
    rec = terminals.settings(seen)
    assert (rec.output_by_number, rec.input_by_number) == (bool(code & 0x1000), code >> 16 == 0x1000)
    assert terminals.termios2(rec) == seen
    os.close(master)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 0x5FFF),
        (4, 0x0005),
        (8, 0x04BF),  # another speed, in the old code
        (12, 0x8A31),
        (17, 7),
        (36, 12345),  # a speed without a code
    ],
)
def test_what_is_set_is_read_back(master: int, at: int, value: int) -> None:
    raw = bytearray(read(master))
    if at == 17:
        raw[at] = value
    else:
        struct.pack_into("<I", raw, at, value)
    if at == 36:
        struct.pack_into("<II", raw, 36, value, value)
        raw[8:12] = (int.from_bytes(raw[8:12], "little") & ~terminals.CBAUD | 0x1000).to_bytes(4, "little")
    fcntl.ioctl(master, terminals.TCSETS2, bytes(raw))
    rec = terminals.settings(read(master))
    other = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(other, terminals.TCSETS2, terminals.termios2(rec))
    assert terminals.settings(read(other)) == rec
    assert read(other)[:36] == read(master)[:36]
    os.close(master)
    os.close(other)


def test_a_flag_without_a_name_is_an_error(master: int) -> None:
    raw = bytearray(read(master))
    os.close(master)
    struct.pack_into("<I", raw, 0, 1 << 31)
    with pytest.raises(ValueError, match="0x80000000 have no name"):
        terminals.settings(bytes(raw))
    with pytest.raises(ValueError, match="unknown terminal flag"):
        terminals.bits(terminals.IFLAG, ("NEW",))


@pytest.mark.parametrize(
    ("printed", "device"), [(34816, (136, 0)), (34817, (136, 1)), (1025, (4, 1)), (136 << 8 | 5 | 1 << 20, (136, 261))]
)
def test_the_terminal_of_stat_is_a_device(printed: int, device: tuple[int, int]) -> None:
    assert terminals.device(printed) == device
