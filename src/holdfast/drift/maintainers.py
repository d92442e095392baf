"""Who maintains a file of the kernel, from the MAINTAINERS file of a kernel tree.

Source:  MAINTAINERS: "F: files and directories wildcard patterns", "X: excluded", "M: mail patches to", "L: mailing list"
"""

from __future__ import annotations

import os
import re

from holdfast.errors import UsageError
from holdfast.model.record import Record

_EVERYTHING = 2  # the length of `*/`: whoever maintains all the rest is named only where nobody else is
_ANY = {"*": "[^/]*", "?": "[^/]"}


class Section(Record):
    """One entry of the file."""

    name: str
    people: tuple[str, ...]
    lists: tuple[str, ...]
    files: tuple[str, ...]
    excluded: tuple[str, ...]


class Maintainers:
    """Every entry of a MAINTAINERS file."""

    def __init__(self, sections: list[Section]) -> None:
        self.sections = sections
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, path: str) -> tuple[str, ...]:
        """The people of the entries whose patterns fit a file, the most exact pattern first; their lists where nobody is named."""
        known = self._known.get(path)
        if known is None:
            fitting = sorted(((s, n) for s in self.sections if (n := exactness(s, path))), key=lambda pair: -pair[1])
            near = [section for section, n in fitting if n > _EVERYTHING] or [section for section, _ in fitting]
            known = tuple(dict.fromkeys(who for section in near[:2] for who in section.people or section.lists))
            self._known[path] = known
        return known


def parse(text: str) -> Maintainers:
    """The entries of a MAINTAINERS file."""
    out: list[Section] = []
    for block in re.split(r"\n\s*\n", text):
        found: dict[str, list[str]] = {}
        lines = block.strip().splitlines()
        for line in lines:
            if match := re.match(r"([MLFXR]):\s*(.+)", line):
                found.setdefault(match[1], []).append(match[2].strip())
        if found.get("F") and not re.match(r"[A-Z]:\t", lines[0]):
            parts = [tuple(found.get(letter, ())) for letter in "MLFX"]
            out.append(Section(lines[0].strip(), *parts))
    return Maintainers(out)


def load(tree: str) -> Maintainers:
    """The entries of a kernel tree, or of a MAINTAINERS file itself.

    Raises:  usage.maintainers: there is none
    """
    path = os.path.join(tree, "MAINTAINERS") if os.path.isdir(tree) else tree
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return parse(file.read())
    except OSError as error:
        raise UsageError("maintainers", "there is no MAINTAINERS file", where=path, why=os.strerror(error.errno or 0)) from error


def exactness(section: Section, path: str) -> int:
    """How exactly an entry's patterns fit a path: the length of the longest one that does, 0 when none does."""
    if any(fits(pattern, path) for pattern in section.excluded):
        return 0
    return max((len(pattern.rstrip("*")) for pattern in section.files if fits(pattern, path)), default=0)


def fits(pattern: str, path: str) -> bool:
    """Whether a pattern of an F: line fits: a folder with all below it, or a wildcard that does not cross folders."""
    if pattern.endswith("/"):
        return path.startswith(pattern) if "*" not in pattern else re.match(_regex(pattern), path) is not None
    return re.fullmatch(_regex(pattern), path) is not None


def _regex(pattern: str) -> str:
    return "".join(_ANY.get(c) or re.escape(c) for c in pattern)
