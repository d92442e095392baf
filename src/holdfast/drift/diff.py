"""What is different between two snapshots: pure facts, no judgement."""

from __future__ import annotations

from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.drift.snapshot import Snapshot
    from holdfast.kernel.btf.layout import Layout, Leaf


class Change(Record):
    """One difference.

    Shape:   `what` is added, removed, retyped, renumbered or moved; `domain` is struct, embedded, enum, flag or fact;
             `holder` is the name of the struct, enum or table, `part` the field, constant or key;
             `whole` says that the holder itself appeared or went; `hint` is a guess at where it went or came from
    """

    what: str
    domain: str
    holder: str
    part: str
    old: str = ""
    new: str = ""
    whole: bool = False
    hint: str = ""

    @property
    def name(self) -> str:
        """The full name: holder.part."""
        return f"{self.holder}.{self.part}"


def changes(old: Snapshot, new: Snapshot) -> list[Change]:
    """Every difference, by domain, holder and the order of the source."""
    out = list(_structs("struct", old.structs, new.structs))
    # a struct that one of the two does not embed is not new in itself: its holder's own change says so
    both = old.embedded.keys() & new.embedded.keys()
    out += _structs("embedded", {n: old.embedded[n] for n in both}, {n: new.embedded[n] for n in both})
    for name in sorted(old.enums.keys() | new.enums.keys()):
        out += values("enum", name, old.enums.get(name), new.enums.get(name))
    return out


def _structs(domain: str, old: dict[str, Layout], new: dict[str, Layout]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if was is None or now is None:
            layout = now or was
            assert layout is not None
            for leaf in layout.leaves:
                text = describe(leaf)
                yield Change("added" if now else "removed", domain, name, leaf.path, "" if now else text, text if now else "", True)
            continue
        yield from _fields(domain, name, was, now)


def _fields(domain: str, name: str, was: Layout, now: Layout) -> Iterator[Change]:
    before, after = {f.path: f for f in was.leaves}, {f.path: f for f in now.leaves}
    gone, come = [p for p in before if p not in after], [p for p in after if p not in before]
    hints = renames(before, after, gone, come)
    for path in gone:
        yield Change("removed", domain, name, path, describe(before[path]), hint=hints.get(path, ""))
    back = {new: old for old, new in hints.items()}
    for path in come:
        yield Change("added", domain, name, path, new=describe(after[path]), hint=back.get(path, ""))
    for path, leaf in after.items():
        older = before.get(path)
        if older is None:
            continue
        same_type = leaf.type == older.type or (leaf.integer and leaf.integer == older.integer)  # u16 for __u16 is no news
        # another size of an embedded struct of the same name is the news of that struct, which is compared on its own
        same_size = leaf.size == older.size or (leaf.holds and leaf.holds == older.holds)
        if not same_type or leaf.bitfield_bits != older.bitfield_bits or not same_size:
            yield Change("retyped", domain, name, path, describe(older), describe(leaf))
        elif leaf.bit_offset != older.bit_offset:
            yield Change("moved", domain, name, path, place(older), place(leaf))


def renames(before: dict[str, Leaf], after: dict[str, Leaf], gone: list[str], come: list[str]) -> dict[str, str]:
    """Old path to new path where a field most likely got another name: same type, and its last word is part of the other's."""
    out: dict[str, str] = {}
    free = list(come)
    for path in gone:
        stem = path.rpartition(".")[2]
        for other in free:
            word = other.rpartition(".")[2]
            if before[path].type == after[other].type and min(len(stem), len(word)) > 3 and (stem in word or word in stem):
                out[path] = other
                free.remove(other)
                break
    return out


def describe(leaf: Leaf) -> str:
    """A field's type and size as text: `int:3` for a bitfield, else `struct path, 16 B`."""
    return f"{leaf.type}:{leaf.bitfield_bits}" if leaf.bitfield_bits else f"{leaf.type}, {leaf.size} B"


def place(leaf: Leaf) -> str:
    """A field's place as text: the byte, and the bit where it does not start a byte."""
    return f"{leaf.bit_offset // 8}" + (f".{leaf.bit_offset % 8}" if leaf.bit_offset % 8 else "")


def values(domain: str, name: str, was: dict[str, int] | None, now: dict[str, int] | None) -> Iterator[Change]:
    """Every difference between two sets of named numbers; None for a set that is not there."""
    before, after = was or {}, now or {}
    whole = was is None or now is None
    for constant, value in before.items():
        if constant not in after:
            yield Change("removed", domain, name, constant, str(value), whole=whole)
        elif after[constant] != value:
            yield Change("renumbered", domain, name, constant, str(value), str(after[constant]))
    for constant, value in after.items():
        if constant not in before:
            yield Change("added", domain, name, constant, new=str(value), whole=whole)
