"""The layout of every struct that the walk meets, kept between runs: decoding BTF takes 0.1 s, reading this file 1 ms.

The file is found by the build id of the running kernel, and is believed only where nobody but its owner, we ourselves, can have
written it.

Source:  /sys/kernel/notes: NT_GNU_BUILD_ID; Documentation/bpf/btf.rst
"""

from __future__ import annotations

import os
import stat
import struct

from holdfast.kernel.state.edges import STRUCTS
from holdfast.kernel.state.places import PLACES
from holdfast.kernel.state.plan import Compiler, Plan
from holdfast.kernel.state.predicates import SEGMENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kernel.btf.decode import Btf

_FORM = 3
_BTF = "/sys/kernel/btf/vmlinux"
_NOTES = "/sys/kernel/notes"
_BUILD_ID = 3
# what the text is made from: an edited table must not meet an older text
_MADE_FROM = ("edges", "unions", "watched", "places", "plan", "layouts", "predicates")


class Layouts:
    """Plans by struct name, and places by `struct.field`; a struct is parsed when it is first asked for.

    Raises:  ValueError: the text is not what `text` writes
    """

    def __init__(self, text: str) -> None:
        head, *sections = text.split("\n\n")
        lines = head.split("\n")
        if lines[0] != f"holdfast kernel state {_FORM}":
            raise ValueError("this is no text of layouts")
        self._places: dict[str, tuple[int, ...]] = {}
        for line in lines[1:]:
            name, *place = line.split(" ")
            self._places[name] = tuple(map(int, place))
            if len(place) != 4:
                raise ValueError(f"{name} has no place in this text of layouts")
        self._sections: dict[str, str] = {}
        for section in sections:
            name, _, rest = section.partition(" ")
            self._sections[name] = rest
        self._plans: dict[str, Plan] = {}
        self._gaps: dict[str, tuple[str, ...]] = {}

    def has(self, name: str) -> bool:
        """Whether this kernel has such a struct."""
        return name in self._sections

    def plan(self, name: str) -> Plan:
        """How a struct is read.

        Raises:  KeyError: this kernel has no such struct
        """
        known = self._plans.get(name)
        if known is None:
            head, *lines = self._sections[name].split("\n")
            size, _, gaps = head.partition(" ")
            known = self._plans[name] = Plan(name, int(size), [line for line in lines if line])
            self._gaps[name] = tuple(gaps.split())
        return known

    def gaps(self, name: str) -> tuple[str, ...]:
        """The unions of a struct that no rule decides."""
        self.plan(name)
        return self._gaps[name]

    def at(self, name: str) -> int:
        """The offset of `struct.field` of the table of places.

        Raises:  KeyError: this kernel has it under no known name
        """
        return self._places[name][0]

    def size(self, name: str) -> int:
        """The size of a struct or field of the table of places.

        Raises:  KeyError: this kernel has it under no known name
        """
        return self._places[name][1]

    def value(self, name: str, data: bytes) -> int:
        """The number that the bytes of a place are.

        Raises:  KeyError: this kernel has it under no known name
        """
        _, _, shift, bits = self._places[name]
        number = int.from_bytes(data, "little")
        return number >> shift & (1 << bits) - 1 if bits else number

    def knows(self, name: str) -> bool:
        """Whether this kernel has a place."""
        return name in self._places


def text(btf: Btf) -> str:
    """The layouts of a kernel as text.

    Raises:  usage.btf.malformed: the BTF contradicts itself
    """
    compiler = Compiler(btf)
    out = [f"holdfast kernel state {_FORM}"]
    for name, spelled in {**{name: name for name in SEGMENTS}, **PLACES}.items():
        if (found := compiler.place(spelled)) is not None:
            out.append(f"{name} {' '.join(map(str, found))}")
    parts = ["\n".join(out)]
    parts.extend(
        "\n".join([f"{name} {lines[0]} {' '.join(sorted(compiler.gaps))}", *lines[1]])
        for name in STRUCTS
        if (lines := compiler.lines(name)) is not None
    )
    return "\n\n".join(parts)


def load() -> Layouts:
    """The layouts of the running kernel, from the cache or from its BTF.

    Raises:  OSError: this kernel has no BTF to read
    """
    # the cache is for whoever may read kernel memory; nothing else imports it here
    from holdfast.kernel import cache

    key = build_id()
    if not key:
        import hashlib  # only a kernel without a build id is known by its content

        with open(_BTF, "rb") as file:
            key = hashlib.sha256(file.read()).hexdigest()[:40]
    path = os.path.join(cache.folder("state"), f"{key}-{_STAMP}.layouts")
    kept = trusted(path)
    if kept is not None:
        try:
            return Layouts(kept.decode())
        except (ValueError, UnicodeDecodeError):
            pass  # a form of another version, or cut short: made anew
    # the decoder is needed only where nothing was kept
    from holdfast.kernel.btf.decode import Btf

    with open(_BTF, "rb") as file:
        made = text(Btf(file.read(), where=_BTF))
    keep(path, made.encode())
    return Layouts(made)


def build_id() -> str:
    """The build id of the running kernel in hex; empty where it has none.

    Source:  /sys/kernel/notes, elf(5)
    """
    try:
        with open(_NOTES, "rb") as file:
            notes = file.read()
    except OSError:
        return ""
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, at)
        start = at + 12 + (name_size + 3 & ~3)
        if kind == _BUILD_ID and notes[at + 12 : at + 12 + name_size] == b"GNU\0":
            return notes[start : start + size].hex()
        at = start + (size + 3 & ~3)
    return ""


def _stamp() -> str:
    # the newest change of what the text is made from, and its size: the tables as they are now
    folder = os.path.dirname(os.path.abspath(__file__))
    newest, total = 0, _FORM
    for name in _MADE_FROM:
        try:
            found = os.stat(os.path.join(folder, f"{name}.py"))
        except OSError:
            continue  # run from an archive, which changes as a whole
        newest, total = max(newest, found.st_mtime_ns), total + found.st_size
    return f"{newest:x}-{total:x}"


# taken when the tables are loaded: a process that has run for long must not keep its older text under the name of newer tables
_STAMP = _stamp()


def trusted(path: str) -> bytes | None:
    """A file's bytes, where only we can have written them; None where it is missing or another user's, or shared."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022 or found.st_nlink != 1:
            return None
        return file.read()


def keep(path: str, data: bytes) -> None:
    """Put a file in place whole, for nobody else to write; what cannot be kept is made again next time."""
    partial = f"{path}.{os.getpid()}.partial"
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as out:
            out.write(data)
        os.replace(partial, path)
    except OSError:
        return
