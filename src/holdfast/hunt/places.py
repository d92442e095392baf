"""Decisions of ledger/places.toml: fields that are decided otherwise where they are reached by one certain way."""

from __future__ import annotations

import os
import re
import tomllib

from holdfast.drift.ledger import malformed
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.hunt.observe import Sight

DECISIONS = ("rebuilt", "ignored", "identity")
_FD = re.compile(r"^([^.]+)\.files\.(fd\[\d+\])")


_AREA = re.compile(r"^([^.]+)\.mm\.vma\[0x([0-9a-f]+)\]")


class Place(Record):
    """One decision.

    Shape:   patterns are regular expressions for the whole text; `names` empty is every name; `link` (of a descriptor, or the name of an
             area) empty is every link;
             `among`: both values must be one of these, `(not there)` being one; empty is any; `mask`: only these bits count, 0 is
             all; `recipe`: only recipes of these names, empty is every recipe; `when`: only what the ledger refuses in this case, empty
             is anything; `beside`: another place, with what the path's groups caught, and a pattern for what it must
             be in both looks
    """

    path: str
    names: tuple[str, ...]
    link: str
    decision: str
    why: str
    source: str
    among: tuple[str, ...] = ()
    mask: int = 0
    recipe: str = ""
    when: str = ""
    beside: tuple[str, str] | None = None

    def holds(self, path: str, sight: Sight, look: Mapping[str, Sight]) -> bool:
        """Whether it is about this sight of a look."""
        if (self.names and sight.signature not in self.names) or not re.fullmatch(self.path, path):
            return False
        if self.beside is not None:
            found = re.fullmatch(self.path, path)
            other = look.get(found.expand(self.beside[0])) if found is not None else None
            if other is None or not re.fullmatch(self.beside[1], other.value):
                return False
        if not self.link:
            return True
        fd, area = _FD.match(path), _AREA.match(path)
        link = look.get(f"{fd[1]}.{fd[2]}.link") if fd else look.get(f"{area[1]}.area[{int(area[2], 16):08x}].name") if area else None
        return link is not None and re.fullmatch(self.link, link.value) is not None


def load(ledger: str) -> tuple[Place, ...]:
    """The rows of a ledger's folder; none where it has no such file.

    Raises:  usage.ledger.malformed: a row lacks something or decides nothing
    """
    file = os.path.join(ledger, "places.toml")
    try:
        with open(file, "rb") as f:
            raw = tomllib.load(f)
    except FileNotFoundError:
        return ()
    out = []
    for row in raw.get("place", ()):
        try:
            made = Place(
                row["path"],
                tuple(row.get("names", ())),
                row.get("link", ""),
                row["decision"],
                row["why"],
                row["source"],
                tuple(row.get("among", ())),
                row.get("mask", 0),
                row.get("recipe", ""),
                row.get("when", ""),
                (row["beside"][0], row["beside"][1]) if "beside" in row else None,
            )
            for pattern in (made.path, made.link, made.recipe, made.when, *(made.beside or ())[1:]):
                re.compile(pattern)
        except (KeyError, IndexError, re.error) as cause:
            raise malformed(file, f"{cause} in {row}") from cause
        if made.decision not in DECISIONS or not made.why or not made.source:
            raise malformed(file, f"a row needs one of {', '.join(DECISIONS)}, a why and a source: {row}")
        out.append(made)
    return tuple(out)
