"""A kernel's .config as a mapping: every option, its value, and what in the text cannot be trusted."""

from __future__ import annotations

import re

from holdfast.errors import UsageError
from holdfast.model.record import Record

# One pass over the text. Names are what the kernel's own reader accepts: scripts/kconfig/confdata.c conf_read_simple.
_LINE = re.compile(r"^(?:CONFIG_([A-Za-z0-9_]+)=([^\r\n]*)|# CONFIG_([A-Za-z0-9_]+) is not set)[ \t]*\r?$", re.MULTILINE)
_SUSPECT = re.compile(r"^(?!$|#|CONFIG_[A-Za-z0-9_]+=)[^\n]*$", re.MULTILINE)
_RELEASE = re.compile(r"^# Linux/(\S+) (\S+) Kernel Configuration$", re.MULTILINE)
_VALUE = re.compile(r'[ymn]|-?[0-9]+|0[xX][0-9a-fA-F]+|"(?:[^"\\\n]|\\.)*"')
_LAST_MENU = re.compile(r"^# end of Kernel hacking\r?$", re.MULTILINE)
LIMIT_BYTES = 4 << 20  # Debian's biggest is 0.3 MB; a file ten times that is not a kernel config


class Config(Record):
    """What one .config says.

    Shape:   `values` maps a name without CONFIG_ to y, m, n, a number or a string without its quotes; `clashing` are names given two
             values; `broken` are names whose value no Kconfig type allows; `gaps` says why a missing name may not be read as n
    """

    values: dict[str, str]
    clashing: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    gaps: tuple[str, ...] = ()
    release: str = ""  # 6.12.117, from the header comment; for reports and kernel ranges
    arch: str = ""  # x86

    @property
    def whole(self) -> bool:
        """Whether a name that is missing can be read as n."""
        return not self.gaps

    def state(self, name: str) -> str | None:
        """y, m, n, a value, or None where the file does not let anybody say."""
        if name in self.clashing or name in self.broken:
            return None
        value = self.values.get(name)
        if value is None:
            return "n" if self.whole else None
        return value


def parse(data: bytes) -> Config:
    """Every option of a .config text.

    Raises:  usage.kconfig.binary: the bytes are not text
    Raises:  usage.kconfig.empty: no line sets or unsets an option
    Raises:  usage.kconfig.large: more than LIMIT_BYTES
    Source:  Linux scripts/kconfig/confdata.c conf_read_simple, conf_write
    """
    if len(data) > LIMIT_BYTES:
        raise UsageError(
            "kconfig.large",
            f"{len(data)} bytes are too many for a kernel config",
            why=f"the limit is {LIMIT_BYTES}",
            do="give a .config file",
        )
    if b"\0" in data:
        where = f"byte {data.index(0)}"
        raise UsageError("kconfig.binary", "the input is not a kernel config: it holds NUL bytes", where=where, do="give a text .config")
    text = data.decode("ascii", "backslashreplace")
    pairs = _LINE.findall(text)
    if not pairs:
        raise UsageError(
            "kconfig.empty",
            "the input is not a kernel config: no line sets an option",
            why='expected lines such as "CONFIG_X=y" and "# CONFIG_X is not set"',
            do="give a .config, /boot/config-*, config.gz or a kernel .deb",
        )
    values = {name or unset: value if name else "n" for name, value, unset in pairs}
    clashing = frozenset[str]() if len(values) == len(pairs) else _clashing(pairs)
    broken = []
    for name, value in values.items():
        if value not in {"y", "m", "n"}:
            if _VALUE.fullmatch(value) is None:
                broken.append(name)
            elif value[0] == '"':
                values[name] = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    head = _RELEASE.search(text)
    return Config(
        values,
        clashing,
        frozenset(broken),
        tuple(_gaps(text, head is not None)),
        head.group(2) if head else "",
        head.group(1) if head else "",
    )


# The kernel's reader takes the last of two lines and warns; which one the builder meant is not ours to guess.
def _clashing(pairs: list[tuple[str, str, str]]) -> frozenset[str]:
    seen: dict[str, str] = {}
    out = set()
    for name, value, unset in pairs:
        key, got = name or unset, value if name else "n"
        if seen.setdefault(key, got) != got:
            out.add(key)
    return frozenset(out)


# conf_write opens a file with its header, closes each menu with "# end of" (since v5.3), and ends each line: a cut file lacks one of
# these. The top Kconfig sources lib/Kconfig.debug (Kernel hacking) last; only two symbols of io_uring/Kconfig come after it (v6.15).
def _gaps(text: str, has_head: bool) -> list[str]:
    gaps = []
    if not has_head:
        gaps.append("no header line: a fragment or a defconfig, so what it does not name is not known")
    if not text.endswith("\n"):
        gaps.append("the last line has no end: the file is cut")
    if has_head and _LAST_MENU.search(text) is None:
        gaps.append("the last menu, Kernel hacking, is not closed: the file is cut")
    suspect = _SUSPECT.search(text)
    if suspect is not None:
        line = text.count("\n", 0, suspect.start()) + 1
        gaps.append(f"line {line} is neither an option nor a comment: {suspect.group()[:60]!r}")
    return gaps
