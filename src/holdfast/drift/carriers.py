"""What the engine's kinds rely on, so that a change of the kernel can name the kinds, image fields and tests that it touches."""

from __future__ import annotations

import os

from holdfast.errors import HoldfastError
from holdfast.kinds import registry
from holdfast.model.record import Record, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Known(Record):
    """The kinds that exist.

    Shape:   `records` maps a kind to its record's fields; `watches` maps (sort of watch, name) to the kinds that watch it
    """

    records: dict[str, tuple[str, ...]]
    watches: dict[tuple[str, str], tuple[str, ...]]
    absent: dict[str, str]  # struct that a kind says is in no BTF, and why
    broken: str = ""  # why the registry could not be read; the rest is then empty

    def touched(self, struct: str, carried: str) -> tuple[str, ...]:
        """The kinds that a struct's change touches: those that watch it, and the one that carries the field."""
        own = tuple(kind_of(target) for target in carried.split())
        return tuple(dict.fromkeys(own + self.watches.get(("Struct", struct), ())))


def kind_of(carried: str) -> str:
    """The kind of KIND.FIELD."""
    return carried.rpartition(".")[0]


def known() -> Known:
    """What the registry of kinds says now."""
    try:
        kinds = registry.kinds()
    except HoldfastError as error:
        return Known({}, {}, {}, str(error))
    records: dict[str, tuple[str, ...]] = {}
    absent: dict[str, str] = {}
    watches: dict[tuple[str, str], tuple[str, ...]] = {}
    for name, kind in kinds.items():
        records[name] = tuple(fields(kind.record)) if kind.record else ()
        for watch in kind.watches:
            sort = type(watch).__name__
            text = str(getattr(watch, "name", "") or getattr(watch, "prefix", ""))
            watches[sort, text] = (*watches.get((sort, text), ()), name)
            if why := getattr(watch, "why_absent", ""):
                absent[text] = why
    return Known(records, watches, absent)


def tests_of(kind: str) -> Iterator[str]:
    """The test files that are about a kind, by the mirrored name and by what they mention."""
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.normpath(os.path.join(here, "..", "..", ".."))
    mirrored = os.path.join("tests", "unit", "kinds", *kind.split(".")[:-1], f"test_{kind.rpartition('.')[2]}.py")
    if os.path.exists(os.path.join(root, mirrored)):
        yield mirrored
    for room in ("live", "format"):
        folder = os.path.join(root, "tests", room)
        for base, _, names in os.walk(folder):
            for name in sorted(names):
                path = os.path.join(base, name)
                if name.endswith(".py"):
                    with open(path, encoding="utf-8") as file:
                        if kind in file.read():
                            yield os.path.relpath(path, root)
