"""What one kernel says about everything that the ledger watches: layouts of structs, values of enums; kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os

from holdfast.kernel import cache
from holdfast.kernel.btf.decode import ENUM, ENUM64, Btf
from holdfast.kernel.btf.layout import Layout, Leaf, layout
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from holdfast.drift.ledger import Ledger
    from holdfast.kernel.specimen import Specimen

_FORM = 4  # part of the cache's key: raise it when the layout rules change


class Snapshot(Record):
    """The watched part of one kernel's types.

    Shape:   `embedded` holds every struct that a watched one embeds by value, at any depth, and that is not watched itself;
             `enums` maps a watched enum to its constants
    """

    name: str
    release: str
    version: tuple[int, ...]
    config: str
    structs: dict[str, Layout]
    embedded: dict[str, Layout]
    enums: dict[str, dict[str, int]]

    @property
    def fields(self) -> int:
        """How many leaf fields the watched structs have."""
        return sum(len(s.leaves) for s in self.structs.values())


def take(kernel: Specimen, ledger: Ledger) -> Snapshot:
    """The snapshot of a kernel; from the cache when the same BTF was seen with the same watches."""
    structs, enums = sorted(ledger.structs), {n: sorted(m for row in t.rows for m in row.names) for n, t in ledger.enums.items()}
    digest = hashlib.sha256(kernel.blob)
    digest.update(json.dumps([_FORM, structs, enums], sort_keys=True).encode())
    kept = os.path.join(cache.folder("snapshots"), f"{digest.hexdigest()[:32]}.json")
    try:
        with open(kept, "rb") as file:
            plain = json.load(file)
    except (FileNotFoundError, ValueError):
        plain = extract(kernel.btf(), structs, enums)
        cache.write(kept, json.dumps(plain).encode())
    return Snapshot(
        kernel.name, kernel.release, kernel.version, kernel.config, _layouts(plain["structs"]), _layouts(plain["embedded"]), plain["enums"]
    )


def extract(btf: Btf, structs: Iterable[str], enums: dict[str, list[str]]) -> dict[str, Any]:
    """The same as plain values: structs, what they embed, and enums.

    Shape:   an enum whose ledger name starts with `=` is the one that holds the constant after it, whether or not it has a name
    """
    watched = {name: found for name in structs if (found := layout(btf, name))}
    embedded: dict[str, Layout] = {}
    todo = {leaf.holds for found in watched.values() for leaf in found.leaves if leaf.holds}
    while todo:
        name = todo.pop()
        if name in watched or name in embedded or not (found := layout(btf, name)):
            continue
        embedded[name] = found
        todo.update(leaf.holds for leaf in found.leaves if leaf.holds)
    return {"structs": _plain(watched), "embedded": _plain(embedded), "enums": _enums(btf, enums)}


def _enums(btf: Btf, wanted: dict[str, list[str]]) -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    by_constant = {name[1:]: name for name in wanted if name.startswith("=")}
    for name in wanted:
        if not name.startswith("=") and (found := btf.find(name, ENUM, ENUM64)):
            out[name] = btf.enumerators(found)
    if by_constant:
        for type_id in btf.own(ENUM, ENUM64):
            constants = btf.enumerators(type_id)
            for constant in by_constant.keys() & constants.keys():
                out[by_constant[constant]] = constants
    return out


def _plain(layouts: dict[str, Layout]) -> dict[str, list[Any]]:
    return {name: [found.size, [[value for _, value in leaf.items()] for leaf in found.leaves]] for name, found in sorted(layouts.items())}


def _layouts(plain: dict[str, list[Any]]) -> dict[str, Layout]:
    return {name: Layout(name, size, tuple(Leaf(*row) for row in rows)) for name, (size, rows) in plain.items()}
