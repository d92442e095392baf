"""How a struct is read: its leaf fields with place, kind and ledger name, worked out from BTF once and kept as text.

One row is one leaf field of an object: structs embedded by value are flattened, arrays of up to 64 elements too. Of a union, only
the member that the table of unions calls live becomes rows; a union without a rule becomes a gap.

A row names the field as the ledger does: the innermost struct that the ledger watches, and the path in it; what lies in an embedded
struct that the ledger does not watch is named by the member that embeds it.
"""

from __future__ import annotations

import struct

from holdfast.kernel.state.edges import BITWISE, DEAD, ONLY, OPAQUE
from holdfast.kernel.state.unions import FREEING, LIVE, WHEN
from holdfast.kernel.state.watched import WATCHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.kernel.btf.decode import Btf, Member

MOST_ELEMENTS = 64
_DEEPEST = 24

# kinds of rows
UNSIGNED, SIGNED, BITFIELD, POINTER, FUNCTION, TEXT, BYTES, BITS, LIST, HLIST, TREE, NUMBERS = "usbpfcxvlhrn"
_CONTAINERS = {
    "list_head": LIST,
    "hlist_head": HLIST,
    "hlist_nulls_head": HLIST,
    "rb_root": TREE,
    "rb_root_cached": TREE,
    "sk_buff_head": LIST,
}


class Row:
    """One leaf field: where it is in the object, how it is read, and what the ledger calls it.

    Shape:   `path` is from the object; `own` is the innermost named struct and the path in it, which the tables of edges go by;
             `when` are alternatives (path from the object, operator, number), one of which must hold
    """

    __slots__ = ("bits", "field", "kind", "offset", "own", "path", "shift", "size", "struct", "target", "type", "when")

    def __init__(self, line: str) -> None:
        self.path, offset, shift, bits, size, self.kind, self.target, self.own, self.struct, self.field, self.type, when = line.split("\t")
        self.offset, self.shift, self.bits, self.size = int(offset), int(shift), int(bits), int(size)
        self.when: list[tuple[str, str, int]] = []
        for one in when.split("|") if when else ():
            name, operator, number = one.split(" ")
            self.when.append((name, operator, int(number)))


class Plan:
    """One struct as rows; numbers and pointers are taken out of an object's bytes in one step."""

    def __init__(self, name: str, size: int, lines: list[str]) -> None:
        self.name, self.size = name, size
        rows = [Row(line) for line in lines]
        self.by_path = {row.path: row for row in rows}
        # rows that one unpack gives, in order of their place without overlap; live members of unions may overlap, and go one by one
        self.plain: list[Row] = []
        self.others: list[Row] = []
        form, at = ["<"], 0
        for row in sorted(rows, key=lambda r: r.offset):
            code = _CODES.get((row.kind, row.size))
            if code is None or row.offset < at or row.when:
                self.others.append(row)
                continue
            form.append(f"{row.offset - at}x{code}" if row.offset > at else code)
            at = row.offset + row.size
            self.plain.append(row)
        self._unpack = struct.Struct("".join(form)).unpack_from

    def numbers(self, data: bytes) -> tuple[int, ...]:
        """The value of each of `plain`."""
        return self._unpack(data)

    def number(self, data: bytes, path: str) -> int:
        """One field's value as an unsigned number.

        Raises:  KeyError: this kernel's struct has no such field
        """
        return raw(self.by_path[path], data)


_CODES = {
    (UNSIGNED, 1): "B", (UNSIGNED, 2): "H", (UNSIGNED, 4): "I", (UNSIGNED, 8): "Q",
    (SIGNED, 1): "b", (SIGNED, 2): "h", (SIGNED, 4): "i", (SIGNED, 8): "q",
    (POINTER, 8): "Q", (FUNCTION, 8): "Q",
}  # fmt: skip


def raw(row: Row, data: bytes) -> int:
    """What a row's bytes are as a number, whatever its kind."""
    value = int.from_bytes(data[row.offset : row.offset + row.size], "little", signed=row.kind == SIGNED)
    return value >> row.shift & (1 << row.bits) - 1 if row.bits else value


class Compiler:
    """Structs of one kernel as lines of text; `gaps` are the unions of the last one that no rule decides."""

    def __init__(self, btf: Btf) -> None:
        # a decoder is needed only where nothing is in the cache
        from holdfast.kernel.btf import decode

        self._btf, self._d = btf, decode
        self.gaps: set[str] = set()

    def lines(self, name: str) -> tuple[int, list[str]] | None:
        """A struct's size and its rows; None where this kernel has no such struct."""
        self.gaps.clear()
        found = self._btf.find(name, self._d.STRUCT)
        if not found:
            return None
        only = ONLY.get(name)
        rows = list(self._inside(found, "", 0, name, "", name, None, "", 0))
        if only is not None:
            rows = [row for row in rows if _under(row.split("\t")[0], only)]
        return self._btf.size(found), rows

    def place(self, spelled: str) -> tuple[int, int, int, int] | None:
        """Offset, size, and a bitfield's shift and bits, of `struct.path.to.field`, by the first spelling between `|` that is known."""
        for one in spelled.split("|"):
            name, _, path = one.partition(".")
            found = self._btf.find(name, self._d.STRUCT)
            if found and not path:
                return 0, self._btf.size(found), 0, 0
            if found and (place := self._seek(found, path, 0)):
                return place
        return None

    def _seek(self, type_id: int, path: str, bits: int) -> tuple[int, int, int, int] | None:
        head, _, rest = path.partition(".")
        for member in self._members(type_id, bits):
            if member.name != head:
                continue
            bottom, at = self._btf.strip(member.type), member.bit_offset
            if rest:
                return self._seek(bottom, rest, at) if self._btf.kind(bottom) in (self._d.STRUCT, self._d.UNION) else None
            if member.bitfield_bits:
                return at // 8, (at % 8 + member.bitfield_bits + 7) // 8, at % 8, member.bitfield_bits
            return at // 8, self._btf.size(bottom), 0, 0
        return None

    def _members(self, type_id: int, bits: int = 0) -> Iterator[Member]:
        # the named members, through anonymous structs and unions
        for member in self._btf.members(type_id):
            bottom = self._btf.strip(member.type)
            if not member.name and self._btf.kind(bottom) in (self._d.STRUCT, self._d.UNION):
                yield from self._members(bottom, bits + member.bit_offset)
            else:
                yield member.replace(bit_offset=bits + member.bit_offset)

    def _inside(
        self, type_id: int, path: str, base: int, owner: str, own: str, ledger: str, fixed: tuple[str, str] | None, when: str, depth: int
    ) -> Iterator[str]:
        # the rows of one struct or union; `owner` and `own` are the innermost named struct and the path in it, `ledger` and `fixed`
        # the innermost watched one and the field that stands for all that lies in it, `base` is in bits
        btf, d = self._btf, self._d
        if depth > _DEEPEST:
            return
        if btf.kind(type_id) == d.UNION:
            yield from self._union(type_id, path, base, owner, own, ledger, fixed, when, depth)
            return
        for member in btf.members(type_id):
            yield from self._member(member, path, base, owner, own, ledger, fixed, when, depth)

    def _member(
        self, member: Member, path: str, base: int, owner: str, own: str, ledger: str, fixed: tuple[str, str] | None, when: str, depth: int
    ) -> Iterator[str]:
        btf, d = self._btf, self._d
        bottom, at = btf.strip(member.type), base + member.bit_offset
        kind, here = btf.kind(bottom), own + member.name
        if member.name and (f"{owner}.{here}" in DEAD or not btf.size(bottom)):
            return
        if kind in (d.STRUCT, d.UNION) and (not member.name or not btf.name(bottom)):
            step = f"{member.name}." if member.name else ""
            yield from self._inside(bottom, path + step, at, owner, own + step, ledger, fixed, when, depth + 1)
            return
        row = path + member.name
        stands = fixed or (here, btf.text(member.type))
        if kind in (d.STRUCT, d.UNION):
            yield from self._embedded(bottom, row, at, owner, here, ledger, stands, fixed, when, depth)
        elif kind == d.ARRAY:
            yield from self._array(bottom, row, at, owner, here, ledger, stands, fixed, when, depth)
        else:
            yield self._line(row, at, member.bitfield_bits, bottom, owner, here, ledger, stands, when)

    def _embedded(
        self, bottom: int, row: str, at: int, owner: str, here: str, ledger: str, stands: tuple[str, str], fixed: tuple[str, str] | None,
        when: str, depth: int,
    ) -> Iterator[str]:  # fmt: skip
        name = self._btf.name(bottom)
        if name in _CONTAINERS:
            yield _text(row, at // 8, 0, 0, 8, _CONTAINERS[name], name, f"{owner}.{here}", ledger, stands, when)
        elif name in OPAQUE:
            return
        elif name in WATCHED:
            yield from self._limited(self._inside(bottom, row + ".", at, name, "", name, None, when, depth + 1), name, row)
        else:
            held = self._inside(bottom, row + ".", at, name, "", ledger, fixed or stands, when, depth + 1)
            yield from self._limited(held, name, row)

    @staticmethod
    def _limited(rows: Iterable[str], name: str, row: str) -> Iterator[str]:
        only = ONLY.get(name)
        for line in rows:
            if only is None or _under(line.split("\t", 1)[0][len(row) + 1 :], only):
                yield line

    def _array(
        self, bottom: int, row: str, at: int, owner: str, here: str, ledger: str, stands: tuple[str, str], fixed: tuple[str, str] | None,
        when: str, depth: int,
    ) -> Iterator[str]:  # fmt: skip
        btf, d = self._btf, self._d
        element, _, count = btf.array(bottom)
        inner, size = btf.strip(element), btf.size(element)
        kind = btf.kind(inner)
        if kind == d.INT and size == 1:
            known = TEXT if "char" in btf.text(element) else BYTES
            yield _text(row, at // 8, 0, 0, count, known, "", f"{owner}.{here}", ledger, stands, when)
        elif kind in (d.INT, d.ENUM, d.ENUM64):
            if count == 1:
                yield self._line(row, at, 0, inner, owner, here, ledger, stands, when)
            else:
                yield _text(row, at // 8, 0, 0, count * size, NUMBERS, str(size), f"{owner}.{here}", ledger, stands, when)
        elif count > MOST_ELEMENTS:
            self.gaps.add(f"{owner}.{here}")
        else:
            for n in range(count):
                each, place = f"{row}[{n}]", at + n * size * 8
                if kind in (d.STRUCT, d.UNION) and not btf.name(inner):
                    yield from self._inside(inner, each + ".", place, owner, f"{here}.", ledger, fixed or stands, when, depth + 1)
                elif kind in (d.STRUCT, d.UNION):
                    yield from self._embedded(inner, each, place, owner, here, ledger, stands, fixed, when, depth)
                elif kind == d.ARRAY:
                    yield from self._array(inner, each, place, owner, here, ledger, stands, fixed, when, depth + 1)
                else:
                    yield self._line(each, place, 0, inner, owner, here, ledger, stands, when)

    def _union(
        self, type_id: int, path: str, base: int, owner: str, own: str, ledger: str, fixed: tuple[str, str] | None, when: str, depth: int
    ) -> Iterator[str]:
        btf = self._btf
        arms = [(member, self._names(member, own)) for member in btf.members(type_id)]
        live = [(m, "") for m, names in arms if any(f"{owner}.{n}" in LIVE for n in names)]
        live += [(m, next(WHEN[f"{owner}.{n}"] for n in names if f"{owner}.{n}" in WHEN)) for m, names in arms if self._when(owner, names)]
        if not live:
            state = [m for m, _ in arms if btf.name(btf.strip(m.type)) not in FREEING | OPAQUE]
            if len(state) != 1:
                dead = any(f"{owner}.{n}" in DEAD for _, names in arms for n in names)
                if state and owner not in ONLY and not dead:
                    self.gaps.add(f"{owner}.{arms[0][1][0] if arms[0][1] else own}")
                return
            live = [(state[0], "")]
        prefix = path[: len(path) - len(own)]  # the conditions are written as seen from the struct that has the union
        for member, condition in live:
            full = "|".join(f"{prefix}{one}" for one in condition.split(" | ")) if condition else when
            yield from self._member(member, path, base, owner, own, ledger, fixed, full, depth + 1)

    @staticmethod
    def _when(owner: str, names: list[str]) -> bool:
        return any(f"{owner}.{n}" in WHEN for n in names)

    def _names(self, member: Member, own: str) -> list[str]:
        if member.name:
            return [own + member.name]
        return [own + m.name for m in self._members(self._btf.strip(member.type))]

    def _line(
        self, row: str, at: int, bits: int, bottom: int, owner: str, here: str, ledger: str, stands: tuple[str, str], when: str
    ) -> str:
        btf, d = self._btf, self._d
        size, kind, target = btf.size(bottom), btf.kind(bottom), ""
        known = UNSIGNED
        if kind == d.PTR:
            pointed = btf.strip(btf.refers(bottom))
            known = FUNCTION if btf.kind(pointed) == d.FUNC_PROTO else POINTER
            target = btf.name(pointed) if btf.kind(pointed) in (d.STRUCT, d.UNION, d.FWD) else ""
        elif bits:
            byte = at // 8
            return _text(row, byte, at - byte * 8, bits, (at % 8 + bits + 7) // 8, BITFIELD, "", f"{owner}.{here}", ledger, stands, when)
        elif (kind == d.INT and btf.int_encoding(bottom)[0] & 1) or (kind == d.ENUM and btf.flag(bottom)):
            known = SIGNED
        if f"{owner}.{here}" in BITWISE:
            known = BITS
        return _text(row, at // 8, 0, 0, size, known, target, f"{owner}.{here}", ledger, stands, when)


def _text(
    row: str, offset: int, shift: int, bits: int, size: int, kind: str, target: str, own: str, ledger: str, stands: tuple[str, str],
    when: str,
) -> str:  # fmt: skip
    return "\t".join((row, str(offset), str(shift), str(bits), str(size), kind, target, own, ledger, stands[0], stands[1], when))


def _under(path: str, only: frozenset[str]) -> bool:
    # whether a path is one of these, or lies in one
    return path in only or any(path.startswith((f"{one}.", f"{one}[")) for one in only)
