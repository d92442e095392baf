"""States of terminals: every bit and character of termios, disciplines, sizes, modes of the master, sessions, what waits to be read.

A subject opens its own pair; nothing here reaches a terminal or console of the machine.

Source:  asm-generic/termbits.h, asm-generic/ioctls.h, linux/tty.h; termios(3), ioctl_tty(2), pty(7), credentials(7)
"""

from __future__ import annotations

from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

HEADERS = ("asm-generic/termbits.h", "asm-generic/termbits-common.h", "asm/termbits.h")
MASTER = "master = openat(AT_FDCWD, b'/dev/ptmx\\0', O_RDWR|O_NOCTTY|O_NONBLOCK, 0) ; ioctl($master, TIOCSPTLCK, {<4:0>})"
PAIR = f"{MASTER} ; slave = ioctl($master, TIOCGPTPEER, O_RDWR|O_NOCTTY|O_NONBLOCK)"
LOOK = "ioctl($slave, TCGETS2, [44]) ; ioctl($slave, TIOCGWINSZ, [8]) ; ioctl($slave, TIOCGETD, [4])"
# how a pair goes on: what each side reads of what the other wrote. What was written is on its way for a moment: a read or poll that
# finds nothing waits for it (n_tty_read, n_tty_poll), one that finds a part does not
TALKS = (
    "write($master, b'a\\x03b\\r\\n\\x7fc\\x15d\\x04e\\x16f\\xe4\\n', 17) ; read($slave, [64], 64) ; read($slave, [64], 64)"
    " ; read($master, [128], 128) ; write($slave, b'u\\nv\\tw\\r\\n', 7) ; read($master, [128], 128) ; read($master, [128], 128)"
)
ARRIVED = "ppoll({$slave:4, <2:1> <2:0>, $master:4, <2:1> <2:0>}, 2, {<8:0> <8:0>}, 0, 0)"
# The words of struct termios2 (a terminal begins as tty_std_termios has it): which names belong to which of them.
DEFAULTS = ("ICRNL|IXON", "OPOST|ONLCR", "B38400|CS8|CREAD|HUPCL", "ISIG|ICANON|ECHO|ECHOE|ECHOK|ECHOCTL|ECHOKE|IEXTEN")
FIELDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("c_iflag", ("IGN", "BRKINT", "PARMRK", "INPCK", "ISTRIP", "INLCR", "ICRNL", "IUCLC", "IXON", "IXANY", "IXOFF", "IMAXBEL", "IUTF8")),
    (
        "c_oflag",
        (
            "OPOST",
            "OLCUC",
            "ONLCR",
            "OCRNL",
            "ONOCR",
            "ONLRET",
            "OFILL",
            "OFDEL",
            "NLDLY",
            "CRDLY",
            "TABDLY",
            "BSDLY",
            "VTDLY",
            "FFDLY",
            "XTABS",
            "NL1",
            "CR",
            "TAB",
            "BS1",
            "VT1",
            "FF1",
        ),
    ),
    ("c_cflag", ("CS", "CREAD", "PARENB", "PARODD", "HUPCL", "CLOCAL", "CMSPAR", "CRTSCTS", "ADDRB", "B", "EXTA", "EXTB")),
    ("c_lflag", ("ISIG", "ICANON", "XCASE", "ECHO", "NOFLSH", "TOSTOP", "FLUSHO", "PENDIN", "IEXTEN", "EXTPROC")),
)
NOT_FLAGS = ("BOTHER_", "CRTSCTS_", "TC", "B0_", "BUS", "CBAUDEX_", "CSIGNAL")
CHARACTERS = "\\x03\\x1c\\x7f\\x15\\x04\\0\\x01\\0\\x11\\x13\\x1a\\0\\x12\\x0f\\x17\\x16\\0\\0\\0"  # tty_std_termios.c_cc
CHILD = "child = clone(SIGCHLD, 0, 0, 0, 0)"
MASKED = "rt_sigprocmask(SIG_BLOCK, {<8:-1>}, 0, 8)"


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """States of terminals, one a recipe."""
    script = Script(constants)
    yield from script.recipes("termios", _termios(script))
    yield from script.recipes("tty", [*_ttys(script), *_sessions(), *_queues()])


def _settings(script: Script, words: list[int], characters: str = "", speed: int = 38400) -> str:
    flags = " ".join(f"<4:{word}>" for word in words)
    return f"{{{flags} <1:0>, b'{characters or CHARACTERS}', <4:{speed}> <4:{speed}>}}"


def _termios(script: Script) -> Iterator[Row]:
    default = [script.value(text) for text in DEFAULTS]
    for n, (field, prefixes) in enumerate(FIELDS):
        for name in script.names(*prefixes, header=HEADERS):
            if name.startswith(NOT_FLAGS) or (field == "c_cflag" and name == "BRKINT") or (field == "c_oflag" and name == "CREAD"):
                continue
            words = list(default)
            bits = script.value(name)
            # a speed or a delay is a choice, not a bit
            words[n] = words[n] & ~0x100F | bits if field == "c_cflag" and name.startswith("B") else words[n] ^ bits
            if field == "c_cflag" and name.startswith("B") and name not in ("B50", "B9600", "B115200", "B4000000", "BOTHER"):
                continue
            yield Row(f"{field}.{name}", PAIR, f"ioctl($slave, TCSETS2, {_settings(script, words)})", LOOK, TALKS)
        for what, value in {"none": 0, "all": 0x7FFFFFFF}.items():
            words = list(default)
            words[n] = value
            yield Row(f"{field}={what}", PAIR, f"ioctl($slave, TCSETS2, {_settings(script, words)})", LOOK, TALKS)
    codes = [n for n in script.names("V", header=HEADERS) if script.value(n) < 19]
    for name in codes:
        at = script.value(name)
        for code in ("\\0", "e", "\\xff"):
            texts = [f"\\x{b:02x}" for b in _bytes(CHARACTERS)]
            texts[at] = code
            yield Row(
                f"c_cc.{name}={code.replace(chr(92), '')}",
                PAIR,
                f"ioctl($slave, TCSETS2, {_settings(script, default, ''.join(texts))})",
                LOOK,
                TALKS,
            )
    for speed in (50, 12345, 4000000):
        words = list(default)
        words[2] = words[2] & ~0x100F | script.value("BOTHER")
        yield Row(f"c_ospeed={speed}", PAIR, f"ioctl($slave, TCSETS2, {_settings(script, words, speed=speed)})", LOOK)
    raw = [0, 0, script.value("CS8|CREAD|B38400"), 0]
    yield Row("raw", PAIR, f"ioctl($slave, TCSETS2, {_settings(script, raw)})", LOOK, TALKS)
    for least, tenths in ((0, 0), (1, 0), (5, 0), (255, 0), (0, 1)):
        texts = [f"\\x{b:02x}" for b in _bytes(CHARACTERS)]
        texts[5], texts[6] = f"\\x{tenths:02x}", f"\\x{least:02x}"
        yield Row(
            f"raw.VMIN={least}.VTIME={tenths}", PAIR, f"ioctl($slave, TCSETS2, {_settings(script, raw, ''.join(texts))})", LOOK, TALKS
        )
    yield Row("c_line", PAIR, "ioctl($slave, TCSETS2, {<4:0> <4:0> <4:191> <4:0> <1:3>, b'" + CHARACTERS + "', <4:38400> <4:38400>})", LOOK)
    for command in ("TCSETSW2", "TCSETSF2", "TCSETS", "TCSETSW", "TCSETSF"):
        yield Row(f"by.{command}", PAIR, f"ioctl($slave, {command}, {_settings(script, raw)})", LOOK, TALKS)


def _bytes(text: str) -> bytes:
    return text.encode().decode("unicode_escape").encode("latin-1")


def _ttys(script: Script) -> Iterator[Row]:
    for name in ("N_TTY", "N_NULL"):  # any other one is a module that the machine would load
        yield Row(f"TIOCSETD={name}", PAIR, f"ioctl($slave, TIOCSETD, {{<4:{name}>}})", "ioctl($slave, TIOCGETD, [4])")
    for rows, columns, x, y in ((24, 80, 0, 0), (1, 1, 640, 480), (65535, 65535, 65535, 65535), (0, 80, 0, 0)):
        size = f"{{<2:{rows}> <2:{columns}> <2:{x}> <2:{y}>}}"
        for side in ("slave", "master"):
            yield Row(
                f"TIOCSWINSZ={rows}.{columns}.{side}",
                PAIR,
                f"ioctl(${side}, TIOCSWINSZ, {size})",
                "ioctl($slave, TIOCGWINSZ, [8]) ; ioctl($master, TIOCGWINSZ, [8])",
            )
    yield Row(
        "locked",
        "master = openat(AT_FDCWD, b'/dev/ptmx\\0', O_RDWR|O_NOCTTY, 0)",
        "ioctl($master, TIOCSPTLCK, {<4:1>})",
        "ioctl($master, TIOCGPTLCK, [4])",
        "ioctl($master, TIOCGPTPEER, O_RDWR|O_NOCTTY)",
    )
    yield Row(
        "unlocked",
        "master = openat(AT_FDCWD, b'/dev/ptmx\\0', O_RDWR|O_NOCTTY, 0)",
        "ioctl($master, TIOCSPTLCK, {<4:0>})",
        "ioctl($master, TIOCGPTLCK, [4])",
        "ioctl($master, TIOCGPTPEER, O_RDWR|O_NOCTTY)",
    )
    yield Row(
        "master-only",
        "umask(18)",
        MASTER,
        "ioctl($master, TIOCGPTN, [4]) ; ioctl($master, TIOCGPTLCK, [4])",
        "ioctl($master, TIOCGPTPEER, O_RDWR|O_NOCTTY)",
    )
    yield Row("pair", "umask(18)", PAIR, f"ioctl($master, TIOCGPTN, [4]) ; {LOOK}", TALKS)
    yield Row(
        "exclusive",
        PAIR,
        "ioctl($slave, TIOCEXCL, 0)",
        "ioctl($slave, TIOCGEXCL, [4])",
        "ioctl($slave, TIOCNXCL, 0) ; ioctl($slave, TIOCGEXCL, [4])",
    )
    packet = "ioctl($master, TIOCPKT, {<4:1>})"
    yield Row("packet", PAIR, packet, "ioctl($master, TIOCGPKT, [4])", f"ioctl($slave, TCFLSH, 2) ; read($master, [64], 64) ; {TALKS}")
    yield Row(
        "packet.event",
        f"{PAIR} ; {packet}",
        "ioctl($slave, TCFLSH, 2)",
        "ioctl($master, TIOCGPKT, [4])",
        "read($master, [64], 64) ; read($master, [64], 64)",
    )
    yield Row(
        "packet.extproc",
        f"{PAIR} ; {packet}",
        f"ioctl($slave, TCSETS2, {_settings(script, [script.value(t) for t in (*DEFAULTS[:3], DEFAULTS[3] + '|EXTPROC')])})",
        LOOK,
        f"ioctl($slave, TCFLSH, 2) ; read($master, [64], 64) ; {TALKS}",
    )
    yield Row(
        "two-slaves",
        PAIR,
        "more = ioctl($master, TIOCGPTPEER, O_RDONLY|O_NOCTTY|O_NONBLOCK)",
        "fcntl($more, F_GETFL, 0)",
        f"write($master, b'line\\n', 5) ; read($more, [16], 16) ; {TALKS}",
    )
    yield Row(
        "two-pairs",
        PAIR,
        "m2 = openat(AT_FDCWD, b'/dev/ptmx\\0', O_RDWR|O_NOCTTY|O_NONBLOCK, 0) ; ioctl($m2, TIOCSPTLCK, {<4:0>}) ; s2 = ioctl($m2,"
        " TIOCGPTPEER, O_RDWR|O_NOCTTY|O_NONBLOCK)",
        "ioctl($m2, TIOCGPTN, [4])",
        "write($m2, b'line\\n', 5) ; read($s2, [16], 16)",
    )
    yield Row(
        "slave-gone",
        PAIR,
        "close($slave)",
        "ioctl($master, TIOCGPTN, [4])",
        "read($master, [16], 16) ; ioctl($master, TIOCGPTPEER, O_RDWR|O_NOCTTY)",
    )
    yield Row(
        "master-gone",
        f"{MASKED} ; {PAIR}",
        "close($master)",
        "fcntl($slave, F_GETFL, 0)",
        "read($slave, [16], 16) ; write($slave, b'x', 1)",
    )
    yield Row(
        "mode",
        PAIR,
        "fchmod($slave, 384) ; fchown($slave, 1000, 5)",
        "fcntl($slave, F_GETFL, 0)",
        "openat(AT_FDCWD, b'/proc/self/fd/4\\0', O_RDONLY|O_NOCTTY|O_NONBLOCK, 0)",
    )
    yield Row(
        "flags.async",
        f"{PAIR} ; {MASKED} ; me = getpid()",
        "fcntl($slave, F_SETOWN, $me) ; fcntl($slave, F_SETFL, O_NONBLOCK|FASYNC)",
        "fcntl($slave, F_GETFL, 0)",
        f"write($master, b'x\\n', 2) ; {ARRIVED} ; rt_sigpending([8], 8)",
    )


def _sessions() -> Iterator[Row]:
    own = "ioctl($slave, TIOCSCTTY, 0)"
    look = "ioctl($slave, TIOCGPGRP, [4]) ; ioctl($slave, TIOCGSID, [4])"
    opens = "openat(AT_FDCWD, b'/dev/tty\\0', O_RDWR, 0)"
    yield Row("controlling", f"{MASKED} ; {PAIR}", own, look, f"{opens} ; {TALKS}")
    yield Row("controlling.closed", PAIR, f"{own} ; close($slave)", "", opens)
    yield Row("controlling.opened", PAIR, f"{own} ; tty = {opens}", look, "write($tty, b'x', 1) ; read($master, [8], 8)")
    yield Row("controlling.given-up", f"{MASKED} ; {PAIR} ; {own}", "ioctl($slave, TIOCNOTTY, 0)", "", f"{opens} ; rt_sigpending([8], 8)")
    yield Row(
        "controlling.child",
        f"{PAIR} ; {CHILD}",
        "child: setsid() ; child: ioctl($slave, TIOCSCTTY, 0)",
        "child: ioctl($slave, TIOCGPGRP, [4])",
        f"child: {opens} ; {opens}",
    )
    group = f"{MASKED} ; {PAIR} ; {CHILD} ; {own} ; setpgid($child, $child)"
    yield Row(
        "foreground.child",
        group,
        "ioctl($slave, TIOCSPGRP, {$child:4})",
        look,
        f"write($master, b'\\x03', 1) ; {ARRIVED} ; rt_sigpending([8], 8) ; child: rt_sigpending([8], 8)",
    )
    yield Row(
        "foreground.own",
        group,
        "ioctl($slave, TIOCSPGRP, {$child:4}) ; me = getpid() ; ioctl($slave, TIOCSPGRP, {$me:4})",
        look,
        f"write($master, b'\\x03\\x1c', 2) ; {ARRIVED} ; rt_sigpending([8], 8) ; child: rt_sigpending([8], 8)",
    )
    yield Row(
        "signal.waits",
        f"{MASKED} ; {PAIR} ; {own}",
        "write($master, b'\\x03\\x1a', 2)",
        f"{ARRIVED} ; rt_sigpending([8], 8)",
        ARRIVED + " ; rt_sigtimedwait({<8:-1>}, [128], {<8:0> <8:0>}, 8)",
    )
    hung = f"{MASKED} ; {PAIR} ; {own}"
    yield Row("hung-up.by-close", hung, "close($master)", "rt_sigpending([8], 8)", f"read($slave, [8], 8) ; {opens}")


def _queues() -> Iterator[Row]:
    look = f"{ARRIVED} ; ioctl($slave, FIONREAD, [4]) ; ioctl($slave, TIOCOUTQ, [4]) ; ioctl($master, FIONREAD, [4])"
    reads = "read($slave, [64], 64) ; read($slave, [64], 64) ; read($master, [64], 64) ; read($master, [64], 64)"
    for name, text in {
        "line": "a line\\n",
        "lines": "one\\ntwo\\n",
        "half-line": "half",
        "line-and-half": "one\\nhal",
        "end-of-file": "\\x04",
        "line-and-end": "x\\n\\x04",
        "quoted": "a\\x16",
        "long": "x" * 200 + "\\n",
    }.items():
        size = len(_bytes(text))
        yield Row(f"input.{name}", PAIR, f"write($master, b'{text}', {size})", look, f"{reads} ; write($master, b'end\\n', 4) ; {reads}")
    yield Row("input.half-read", PAIR, "write($master, b'a line\\n', 7) ; read($slave, [3], 3)", look, reads)
    yield Row("input.column", PAIR, "write($master, b'ab\\t', 3)", look, f"write($master, b'\\x7f\\x7f\\n', 3) ; {reads}")
    for name, text in {"text": "output\\n", "tab": "ab\\tc", "long": "y" * 200}.items():
        yield Row(
            f"output.{name}", PAIR, f"write($slave, b'{text}', {len(_bytes(text))})", look, f"{reads} ; write($slave, b'\\tz', 2) ; {reads}"
        )
    yield Row("output.half-read", PAIR, "write($slave, b'output', 6) ; read($master, [2], 2)", look, reads)
    for name, code in {"TCOOFF": 0, "TCIOFF": 2}.items():
        yield Row(
            f"stopped.{name}",
            PAIR,
            f"ioctl($slave, TCXONC, {code})",
            look,
            f"write($slave, b'held', 4) ; read($master, [8], 8) ; ioctl($slave, TCXONC, {code + 1}) ; {reads}",
        )
    yield Row(
        "stopped.XOFF",
        PAIR,
        f"write($master, b'\\x13', 1) ; {ARRIVED}",
        look,
        f"write($slave, b'held', 4) ; read($master, [8], 8) ; write($master, b'\\x11', 1) ; {ARRIVED} ; {reads}",
    )
    yield Row(
        "stopped.by-master",
        PAIR,
        "ioctl($master, TCXONC, 0)",
        look,
        f"write($master, b'in\\n', 3) ; read($slave, [8], 8) ; ioctl($master, TCXONC, 1) ; {reads}",
    )
