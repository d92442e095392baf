"""Recipe lines as short text with constants by name: what tables whose objects take several calls are written in.

    fd = memfd_create(b'm\\0', MFD_ALLOW_SEALING|MFD_CLOEXEC)
    timer_settime($id, 0, {<8:0> <8:0> <8:1_000> <8:0>}, 0) ; getpid()

It is the form of `prog.text`, one line each or ` ; ` between two, and: a name stands for itself and its value, names joined by `|` for
all their bits, and `<4:F_WRLCK|8>` is a little-endian word of four bytes that may stand wherever bytes may. `FOLDER` in
bytes is the folder that every subject finds empty. A row whose constants these headers lack is no recipe: a later header makes it one.
"""

from __future__ import annotations

import re

from holdfast.hunt.place import FOLDER
from holdfast.hunt.recipe import Recipe
from holdfast.model.record import Record
from holdfast.prog.text import parse_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from holdfast.hunt.interfaces.harvest import Constants
    from holdfast.prog.text import Line

_WORDS = re.compile(r"<\d+:[^<>]*>(?:\s*<\d+:[^<>]*>)*")
_WORD = re.compile(r"<(\d+):([^<>]*)>")
_TOKEN = re.compile(r"""(?P<data>b'(?:[^'\\]|\\.)*')|(?<![$\w])(?P<names>_{0,2}[A-Z][A-Z0-9_]*\b(?:\|\w+\b)*)(?![=:])""")


class Row(Record):
    """One state as text: what makes the object, what sets the state, what looks, what goes on."""

    name: str
    make: str = ""
    state: str = ""
    get: str = ""
    after: str = ""
    security: bool = False
    inside: bool = False


class Script:
    """Turns rows into recipes; `missing` collects the names that the headers do not have."""

    def __init__(self, constants: Constants) -> None:
        self.constants = constants
        self.missing: set[str] = set()

    def value(self, text: str) -> int:
        """The number behind `NAME|NAME|0x10`.

        Raises:  KeyError: the headers lack a name
        """
        total = 0
        for word in text.split("|"):
            word = word.strip()
            total |= int(word, 0) if word.lstrip("-")[:1].isdigit() else self.constants[word].value
        return total

    def _data(self, found: re.Match[str]) -> str:
        words = _WORD.findall(found[0])
        return repr(b"".join((self.value(text) % (1 << 8 * int(size))).to_bytes(int(size), "little") for size, text in words))

    def _named(self, found: re.Match[str]) -> str:
        if found["data"]:
            return found["data"].replace("FOLDER", FOLDER)
        return f"{found['names'].replace('|', '_')}={self.value(found['names'])}"

    def lines(self, text: str) -> tuple[Line, ...]:
        """The lines of a text, with every name looked up.

        Raises:  KeyError: the headers lack a name; usage.recipe: a line cannot be read
        """
        parts = [part.strip() for part in re.split(r"\n| ; ", text)]
        return tuple(parse_line(_TOKEN.sub(self._named, _WORDS.sub(self._data, part)), part) for part in parts if part)

    def recipes(self, interface: str, rows: Iterable[Row]) -> Iterator[Recipe]:
        """Each row that these headers can say."""
        for row in rows:
            try:
                make, state, get, after = (self.lines(t) for t in (row.make, row.state, row.get, row.after))
            except KeyError as lacking:
                self.missing.add(str(lacking.args[0]))
                continue
            yield Recipe(f"{interface}/{row.name}", interface, make, state, get, after, None, row.inside, row.security)

    def names(self, *prefixes: str, header: str | tuple[str, ...] = "", but: Sequence[str] = ()) -> list[str]:
        """Names of the headers' constants with a prefix, by value, without those that mean something else."""
        return [c.name for c in self.constants.prefixed(*prefixes, header=header) if not c.name.startswith(tuple(but) or ("\0",))]
