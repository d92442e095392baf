"""What the kinds of terminals have in common: which end of which pseudo terminal a file is, and its settings by name."""

from __future__ import annotations

from stat import S_ISCHR

from holdfast.kinds import files
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.kinds.evidence import FileEvidence, TreeEvidence

TTY, PTMX = (5, 0), (5, 2)
SLAVE_MAJOR = 136
TIOCGDEV = 0x80045432
O_NOCTTY = 0o400
TCGETS2, TCSETS2 = 0x802C542A, 0x402C542B

# asm-generic/termbits.h and termbits-common.h. A value in a field of several bits has its own name; 0 has none.
IFLAG = {
    "IGNBRK": 0x1, "BRKINT": 0x2, "IGNPAR": 0x4, "PARMRK": 0x8, "INPCK": 0x10, "ISTRIP": 0x20, "INLCR": 0x40, "IGNCR": 0x80,
    "ICRNL": 0x100, "IUCLC": 0x200, "IXON": 0x400, "IXANY": 0x800, "IXOFF": 0x1000, "IMAXBEL": 0x2000, "IUTF8": 0x4000,
}  # fmt: skip
OFLAG = {
    "OPOST": 0x1, "OLCUC": 0x2, "ONLCR": 0x4, "OCRNL": 0x8, "ONOCR": 0x10, "ONLRET": 0x20, "OFILL": 0x40, "OFDEL": 0x80,
    "NL1": 0x100, "CR1": 0x200, "CR2": 0x400, "TAB1": 0x800, "TAB2": 0x1000, "BS1": 0x2000, "VT1": 0x4000, "FF1": 0x8000,
}  # fmt: skip
CFLAG = {
    "CS6": 0x10, "CS7": 0x20, "CSTOPB": 0x40, "CREAD": 0x80, "PARENB": 0x100, "PARODD": 0x200, "HUPCL": 0x400, "CLOCAL": 0x800,
    "ADDRB": 0x20000000, "CMSPAR": 0x40000000, "CRTSCTS": 0x80000000,
}  # fmt: skip
LFLAG = {
    "ISIG": 0x1, "ICANON": 0x2, "XCASE": 0x4, "ECHO": 0x8, "ECHOE": 0x10, "ECHOK": 0x20, "ECHONL": 0x40, "NOFLSH": 0x80, "TOSTOP": 0x100,
    "ECHOCTL": 0x200, "ECHOPRT": 0x400, "ECHOKE": 0x800, "FLUSHO": 0x1000, "PENDIN": 0x4000, "IEXTEN": 0x8000, "EXTPROC": 0x10000,
}  # fmt: skip
CBAUD = 0x100F100F  # the speeds' codes for output and input; BOTHER in both says that the speeds stand beside
BOTHER = 0x10001000
SPEEDS = (
    "0 50 75 110 134 150 200 300 600 1200 1800 2400 4800 9600 19200 38400 "
    "57600 115200 230400 460800 500000 576000 921600 1000000 1152000 1500000 2000000 2500000 3000000 3500000 4000000"
).split()
CHARS = "intr quit erase kill eof time min swtc start stop susp eol reprint discard werase lnext eol2".split()


class Settings(Record):
    """The settings of a terminal (termios)."""

    input: tuple[str, ...]
    output: tuple[str, ...]
    control: tuple[str, ...]
    local: tuple[str, ...]
    characters: tuple[int, ...]  # in the order of CHARS, then two that nothing uses
    input_speed: int  # baud
    output_speed: int
    discipline: int  # 0: N_TTY
    output_by_number: bool = False  # BOTHER, although the speed has a name
    input_by_number: bool = False


def names(table: Mapping[str, int], bits: int) -> tuple[str, ...]:
    """Flags as names, sorted.

    Raises:  ValueError: a bit has no name
    """
    left = bits & ~sum(table.values())
    if left:
        raise ValueError(f"terminal flags {left:#x} have no name")
    return tuple(sorted(name for name, value in table.items() if bits & value))


def bits(table: Mapping[str, int], names: tuple[str, ...]) -> int:
    """Names as flags.

    Raises:  ValueError: an unknown name
    """
    out = 0
    for name in names:
        if name not in table:
            raise ValueError(f"unknown terminal flag {name!r}")
        out |= table[name]
    return out


def settings(raw: bytes) -> Settings:
    """A struct termios2 by name.

    Raises:  ValueError: a bit has no name
    Source:  ioctl_tty(2) TCGETS2, asm-generic/termbits.h
    """
    word = [int.from_bytes(raw[i : i + 4], "little") for i in (0, 4, 8, 12, 36, 40)]
    return Settings(
        names(IFLAG, word[0]),
        names(OFLAG, word[1]),
        names(CFLAG, word[2] & ~CBAUD),
        names(LFLAG, word[3]),
        tuple(raw[17:36]),
        word[4],
        word[5],
        raw[16],
        word[2] & CBAUD & 0xFFFF == BOTHER & 0xFFFF and str(word[5]) in SPEEDS,
        word[2] >> 16 & CBAUD >> 16 == BOTHER >> 16 and str(word[4]) in SPEEDS,
    )


def termios2(rec: Settings) -> bytes:
    """A struct termios2 for TCSETS2, with the speeds in full."""
    speed = _code(rec.output_speed, rec.output_by_number)
    if rec.input_speed != rec.output_speed or rec.input_by_number:
        speed |= _code(rec.input_speed, rec.input_by_number) << 16
    words = (bits(IFLAG, rec.input), bits(OFLAG, rec.output), bits(CFLAG, rec.control) | speed, bits(LFLAG, rec.local))
    head = b"".join(w.to_bytes(4, "little") for w in words) + bytes((rec.discipline,)) + bytes(rec.characters)
    return head + rec.input_speed.to_bytes(4, "little") + rec.output_speed.to_bytes(4, "little")


def _code(speed: int, by_number: bool) -> int:
    # Bxxx where there is one, so that programs of the old interface see it, else BOTHER
    if by_number or str(speed) not in SPEEDS:
        return BOTHER & 0xFFFF
    at = SPEEDS.index(str(speed))
    return at if at < 16 else 0x1000 + at - 15


# --- which end of which


def end(ev: FileEvidence) -> tuple[str, int] | None:
    """`master` or `slave` and the number of the pseudo terminal; None for anything else."""
    if ev.link[:1] != b"/" or ev.flags & files.PATH or not S_ISCHR(ev.stat.st_mode):
        return None
    device = files.device(ev.stat.st_rdev)
    if device == PTMX:
        index = ev.info.get("tty-index")
        return None if index is None else ("master", int(index))
    if device == TTY:
        device = opened_as(ev)
    if device[0] == SLAVE_MAJOR:
        return "slave", device[1]
    return None


def is_tty(ev: FileEvidence) -> bool:
    """Whether it was opened as /dev/tty: the terminal that controlled the opener."""
    return ev.link[:1] == b"/" and not ev.flags & files.PATH and S_ISCHR(ev.stat.st_mode) and files.device(ev.stat.st_rdev) == TTY


def opened_as(ev: FileEvidence) -> tuple[int, int]:
    """The device of the terminal that an open /dev/tty leads to; 0, 0 where it hung up.

    Source:  Linux drivers/tty/tty_io.c tty_open_current_tty, TIOCGDEV
    """
    try:
        return device(ev.borrowed.ioctl_int(TIOCGDEV))
    except OSError:
        return 0, 0


def device(tty_nr: int) -> tuple[int, int]:
    """Major and minor of a terminal as /proc/PID/stat and TIOCGDEV give it.

    Source:  Linux include/linux/kdev_t.h new_encode_dev
    """
    return tty_nr >> 8 & 0xFFF, (tty_nr & 0xFF) | (tty_nr >> 12 & 0xFFF00)


def pair(ev: FileEvidence, index: int) -> tuple[list[FileEvidence], list[FileEvidence]]:
    """The tree's open files of a pseudo terminal: masters (one at most) and slaves."""
    return ends(ev.tree).get(index, ([], []))


_ends: tuple[TreeEvidence | None, dict[int, tuple[list[FileEvidence], list[FileEvidence]]]] = (None, {})


def ends(tree: TreeEvidence) -> dict[int, tuple[list[FileEvidence], list[FileEvidence]]]:
    """Every pseudo terminal of which the tree has an end open; the last tree's are kept."""
    global _ends
    if _ends[0] is not tree:
        found: dict[int, tuple[list[FileEvidence], list[FileEvidence]]] = {}
        for file in tree.files:
            which = end(file)
            if which is not None:
                found.setdefault(which[1], ([], []))[which[0] == "slave"].append(file)
        _ends = (tree, found)
    return _ends[1]


def outside(ev: FileEvidence) -> bool:
    """Whether it is a terminal that the tree does not hold the other end of."""
    which = end(ev)
    return which is not None and which[0] == "slave" and not pair(ev, which[1])[0]
