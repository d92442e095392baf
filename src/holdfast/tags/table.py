"""All rows in a form that answers at once: which rows speak about this option, file, parameter, sysctl or runtime key."""

from __future__ import annotations

import importlib
import os

from holdfast.tags import facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.tags.row import Tag


def known(wanted: Iterable[str] = ()) -> dict[str, tuple[Tag, ...]]:
    """The reviewed rows by area, one area for each file in facts/; only the wanted areas where any are named."""
    folder = os.path.dirname(str(facts.__file__))
    areas = sorted(wanted) or sorted(name[:-3] for name in os.listdir(folder) if name.endswith(".py") and name != "__init__.py")
    return {area: importlib.import_module(f"holdfast.tags.facts.{area}").TAGS for area in areas}


class Table:
    """Rows by kind and name.

    Shape:   `names` maps kind to name to rows; `spaces` maps a path to rows; rows keep the order of their files
    """

    def __init__(self, rows: Iterable[Tag]) -> None:
        self.rows: list[Tag] = []
        self.names: dict[str, dict[str, list[Tag]]] = {"kconfig": {}, "cmdline": {}, "sysctl": {}, "runtime": {}}
        self.spaces: dict[str, list[Tag]] = {}
        for row in rows:
            self.rows.append(row)
            into = self.spaces if row.kind == "space" else self.names[row.kind]
            for name in row.scope:
                into.setdefault(name, []).append(row)

    def under(self, paths: str) -> list[Tag]:
        """The rows of the closest space above each of some Kconfig files (joined by |), without doubles."""
        found: list[Tag] = []
        for path in paths.split("|"):
            here = path
            while here:
                rows = self.spaces.get(here)
                if rows is not None:
                    found += [r for r in rows if r not in found]
                    break
                here = here.rpartition("/")[0]
        return found

    def of_option(self, name: str, paths: str) -> list[Tag]:
        """The rows of one option: its own reviewed ones, or else its space's; what was discovered about it comes on top."""
        own = self.names["kconfig"].get(name, [])
        if any(r.evidence == "known" for r in own):
            return own
        return self.under(paths) + own if own else self.under(paths)


def load(discovered: Iterable[Tag] = (), areas: Iterable[str] = ()) -> Table:
    """The table of all reviewed rows (or of some areas), and of what was discovered."""
    rows = [row for area in known(areas).values() for row in area]
    return Table([*rows, *discovered])
