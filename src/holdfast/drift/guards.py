"""Which Kconfig symbol a field of a struct depends on, read from the #ifdefs of kernel sources: ledger/guards.tsv.

It tells a change of the configuration from a change of the source. It is a hint and never a decision: a field whose guard is
not known is taken for a change of the source.
"""

from __future__ import annotations

import os
import re

from holdfast.kernel import kconfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from holdfast.drift.snapshot import Snapshot

NAME = "guards.tsv"
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_SYMBOL = re.compile(r"CONFIG_(\w+)")
_STRUCT = re.compile(r"^(?:static |const |typedef )*(?:struct|union)\s+(\w+)\s*\{", re.MULTILINE)
_PIECE = re.compile(r"^[ \t]*#[^\n]*(?:\\\n[^\n]*)*|[{};]|[^{};#\n]+|\n|#", re.MULTILINE)


class Guards:
    """The guard of each field, and the options in which two kernels differ."""

    def __init__(self, rows: Mapping[str, str], old: Mapping[str, str], new: Mapping[str, str]) -> None:
        self.rows = rows
        # n is written as `# CONFIG_X is not set`; a symbol that one kernel does not know is a change of the source
        self.differing = {name for name in old.keys() & new.keys() if (old[name] == "n") != (new[name] == "n")}

    def of(self, struct: str, path: str) -> str:
        """The symbol that a field depends on, with a `!` where it must be off; empty when none is known."""
        full = f"{struct}.{path}"
        while "." in full:
            if guard := self.rows.get(full):
                return guard
            full = full.rpartition(".")[0]
        return ""

    def differs(self, guard: str) -> bool:
        """Whether the two kernels have this symbol set differently."""
        return guard.lstrip("!") in self.differing

    def family(self) -> list[str]:
        """The symbols that guard watched fields and in which the two kernels differ, sorted."""
        return sorted({g.lstrip("!") for g in self.rows.values()} & self.differing)


def between(place: str, old: Snapshot, new: Snapshot) -> Guards:
    """The guards beside a ledger, for two kernels whose configurations may or may not be known."""
    rows: dict[str, str] = {}
    try:
        with open(os.path.join(place, NAME), encoding="utf-8") as file:
            rows = dict(line.rstrip("\n").split("\t", 1) for line in file if "\t" in line and not line.startswith("#"))
    except FileNotFoundError:
        pass
    return Guards(rows, _options(old.config), _options(new.config))


def _options(config: str) -> Mapping[str, str]:
    return kconfig.parse(config.encode()).values if config.strip() else {}


def scan(tree: str, structs: Iterable[str]) -> dict[str, tuple[str, str]]:
    """`struct.field` to its guard and file, for the named structs, over the C files of a kernel tree or headers package."""
    wanted, out = set(structs), {}
    for path in _sources(tree):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        if not any(name in wanted for name in _STRUCT.findall(text)):
            continue
        clean = _COMMENT.sub(" ", text)
        for match in _STRUCT.finditer(clean):
            if match[1] in wanted:
                outer = enclosing(clean[: match.start()])
                for name, guard in fields(clean, match.end(), outer):
                    out[f"{match[1]}.{name}"] = (guard, os.path.relpath(path, tree))
    return out


def _sources(tree: str) -> Iterator[str]:
    for part in ("include", "kernel", "mm", "fs", "ipc", "net", "security", "io_uring", "block", "arch/x86", "drivers/tty"):
        for base, folders, names in os.walk(os.path.join(tree, part)):
            folders.sort()
            yield from (os.path.join(base, name) for name in sorted(names) if name.endswith((".h", ".c")))


def enclosing(text: str) -> list[str]:
    """The guards that are open at the end of a text, outermost first; include guards of headers do not count."""
    stack: list[str] = []
    for line in re.findall(r"^[ \t]*#[ \t]*((?:if|ifdef|ifndef|elif|else|endif)\b[^\n]*)", text, re.MULTILINE):
        _directive(line, stack)
    return stack


def _directive(line: str, stack: list[str]) -> None:
    word, _, rest = line.strip().partition(" ")
    if word in ("if", "ifdef", "ifndef"):
        symbol = _SYMBOL.search(rest)
        negative = word == "ifndef" or rest.lstrip().startswith("!")
        stack.append(("!" if negative else "") + symbol[1] if symbol else "")
    elif word == "endif" and stack:
        stack.pop()
    elif word == "elif" and stack:
        symbol = _SYMBOL.search(rest)
        stack[-1] = symbol[1] if symbol else ""
    elif word.startswith("else") and stack and stack[-1]:
        stack[-1] = stack[-1][1:] if stack[-1].startswith("!") else f"!{stack[-1]}"


def fields(text: str, at: int, outer: Iterable[str] = ()) -> list[tuple[str, str]]:
    """The fields of a struct whose body starts at an offset, with their guards; those without a guard are left out."""
    stack = list(outer)
    frames: list[list[tuple[str, str]]] = [[]]
    pending, closed = "", []
    for match in _PIECE.finditer(text, at):
        piece = match[0]
        if piece.lstrip().startswith("#"):
            _directive(piece.lstrip().removeprefix("#").strip(), stack)
        elif piece == "{":
            frames.append([])
            pending = ""
        elif piece == "}":
            closed = frames.pop()
            if not frames:
                return [(name, guard) for name, guard in closed if guard]
            pending = "}"
        elif piece == ";":
            guard = next((g for g in reversed(stack) if g), "")
            if pending.startswith("}"):
                names = declared(pending[1:])
                frames[-1] += [(f"{names[0]}.{n}" if names else n, g) for n, g in closed]
                frames[-1] += [(n, guard) for n in names]
            else:
                frames[-1] += [(n, guard) for n in declared(pending)]
            pending = ""
        else:
            pending += piece
    return []


def declared(text: str) -> list[str]:
    """The names that a declaration gives."""
    text = re.sub(r"__\w+\s*\(+[^()]*\)+|\b(____?\w+|__rcu|__private|__user)\b", " ", text.strip())
    if not text.strip():
        return []
    if match := re.match(r"\s*DECLARE_BITMAP\((\w+)", text):
        return [match[1]]
    if match := re.search(r"\(\s*\*\s*(\w+)\s*(?:\[[^]]*\]\s*)?\)\s*\(", text):
        return [match[1]]
    found = [re.search(r"(\w+)\s*(?:\[[^]]*\]\s*)*(?::\s*\d+\s*)?$", part.strip()) for part in text.split(",")]
    return [match[1] for match in found if match]
