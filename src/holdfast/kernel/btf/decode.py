"""A BTF blob as types: every kind, split BTF of modules, and a clear error for a damaged blob.

The whole blob is walked once to find where each type starts (about 0.1 s for 130,000 types); members, names and
enumerators are decoded when they are asked for. Every index that comes from the blob is checked before it is used.

Source:  Documentation/bpf/btf.rst, include/uapi/linux/btf.h
"""

from __future__ import annotations

import struct

from holdfast.errors import UsageError
from holdfast.model.record import Record

MAGIC = 0xEB9F
VOID, INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE = range(10)
CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(10, 20)
KIND_NAMES: tuple[str, ...] = ("VOID", "INT", "PTR", "ARRAY", "STRUCT", "UNION", "ENUM", "FWD", "TYPEDEF", "VOLATILE")
KIND_NAMES += ("CONST", "RESTRICT", "FUNC", "FUNC_PROTO", "VAR", "DATASEC", "FLOAT", "DECL_TAG", "TYPE_TAG", "ENUM64")
MODIFIERS = frozenset((TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG))
SIZED = frozenset((INT, STRUCT, UNION, ENUM, ENUM64, FLOAT, DATASEC))
NAMED = frozenset((INT, STRUCT, UNION, ENUM, FWD, TYPEDEF, FLOAT, ENUM64))
POINTER_BYTES = 8  # x86-64 and every other CPU that Holdfast will know

# words after the three-word header: (always, for each of vlen)
_EXTRA = {
    INT: (1, 0),
    ARRAY: (3, 0),
    STRUCT: (0, 3),
    UNION: (0, 3),
    ENUM: (0, 2),
    FUNC_PROTO: (0, 2),
    VAR: (1, 0),
    DATASEC: (0, 3),
    DECL_TAG: (1, 0),
    ENUM64: (0, 3),
}
_FIXED = tuple(3 + _EXTRA.get(k, (0, 0))[0] for k in range(32))
_EACH = tuple(_EXTRA.get(k, (0, 0))[1] for k in range(32))
_DEEPEST = 64  # modifier chains and nested arrays; real kernels stay below 10


class Member(Record):
    """One member of a struct or union; an anonymous one has an empty name."""

    name: str
    type: int
    bit_offset: int
    bitfield_bits: int


def malformed(why: str, where: str = "BTF") -> UsageError:
    """The error for a blob that is not well-formed BTF."""
    return UsageError(
        "btf.malformed", "this is not well-formed BTF", where=where, why=why, do="extract the BTF again, or name another kernel"
    )


class Btf:
    """The types of one kernel, or of one module on top of its kernel.

    Shape:   type ids are 0 (void) .. count-1; a module's own ids start at `first`
    Raises:  usage.btf.malformed: the blob contradicts itself
    """

    count: int
    string_end: int

    def __init__(self, blob: bytes, base: Btf | None = None, where: str = "BTF") -> None:
        self.where, self.base = where, base
        self.first = base.count if base else 1
        self.first_string = base.string_end if base else 0
        if len(blob) < 24:
            raise malformed(f"{len(blob)} bytes is shorter than the header", where)
        magic, version, _, header, type_at, type_len, string_at, string_len = struct.unpack_from("<HBBIIIII", blob)
        if magic != MAGIC:
            raise malformed(f"magic is {magic:#06x}, not {MAGIC:#06x}" + (": big-endian" if magic == 0x9FEB else ""), where)
        if version != 1:
            raise malformed(f"version {version} is unknown", where)
        if header < 24 or header > len(blob):
            raise malformed(f"header length {header} is impossible", where)
        types_start, strings_start = header + type_at, header + string_at
        if types_start + type_len > len(blob) or strings_start + string_len > len(blob):
            raise malformed("a section reaches past the end", where)
        if type_len % 4 or types_start % 4:
            raise malformed(f"the type section is not made of 32-bit words ({type_len} bytes at {types_start})", where)
        if not string_len or blob[strings_start + string_len - 1]:
            raise malformed("the string section does not end in a zero byte", where)
        self._strings = bytes(blob[strings_start : strings_start + string_len])
        self.string_end = self.first_string + string_len
        self._words = memoryview(bytes(blob[types_start : types_start + type_len])).cast("I")
        self._starts = self._scan()
        self.count = self.first + len(self._starts)
        self._by_name: dict[str, list[int]] | None = None
        self._sizes: dict[int, int] = {}
        self._texts: dict[int, str] = {}

    def _scan(self) -> list[int]:
        # one pass: where each type starts; an unknown kind cannot be skipped, so it ends the walk
        words = self._words
        starts: list[int] = []
        add, fixed, each, end, i = starts.append, _FIXED, _EACH, len(self._words), 0
        while i + 2 < end:
            info = words[i + 1]
            kind = info >> 24 & 31
            if not 0 < kind <= ENUM64:
                raise malformed(f"type {self.first + len(starts)} has unknown kind {kind}", self.where)
            add(i)
            i += fixed[kind] + (info & 0xFFFF) * each[kind]
        if i != end:
            raise malformed("the last type reaches past the type section", self.where)
        return starts

    def _at(self, type_id: int) -> tuple[memoryview, int]:
        # the words that hold a type, and where it starts in them
        if type_id >= self.first and type_id < self.count:
            return self._words, self._starts[type_id - self.first]
        if self.base is not None and 0 < type_id < self.first:
            return self.base._at(type_id)
        raise malformed(f"type id {type_id} is outside 1..{self.count - 1}", self.where)

    def string(self, offset: int) -> str:
        """The text at an offset of the string section."""
        if offset < self.first_string and self.base is not None:
            return self.base.string(offset)
        at = offset - self.first_string
        if not 0 <= at < len(self._strings):
            raise malformed(f"string offset {offset} is outside the string section", self.where)
        return self._strings[at : self._strings.index(b"\0", at)].decode("utf-8", "replace")

    def kind(self, type_id: int) -> int:
        """The kind of a type: one of the constants above; VOID for id 0."""
        if type_id == 0:
            return VOID
        words, i = self._at(type_id)
        return words[i + 1] >> 24 & 31

    def flag(self, type_id: int) -> bool:
        """The kind_flag: bitfields in a struct, signed values in an enum, union in a forward declaration, attribute in a tag."""
        words, i = self._at(type_id)
        return bool(words[i + 1] >> 31)

    def name(self, type_id: int) -> str:
        """The name of a type; empty when it is anonymous, `void` for id 0."""
        if type_id == 0:
            return "void"
        words, i = self._at(type_id)
        return self.string(words[i])

    def refers(self, type_id: int) -> int:
        """The type that a pointer, modifier, function, variable or tag refers to."""
        words, i = self._at(type_id)
        kind = words[i + 1] >> 24 & 31
        if kind in SIZED or kind in (ARRAY, FWD):
            raise malformed(f"type {type_id} of kind {KIND_NAMES[kind]} refers to no type", self.where)
        return words[i + 2]

    def members(self, type_id: int) -> tuple[Member, ...]:
        """The members of a struct or union, in the order of the source."""
        words, i = self._at(type_id)
        info = words[i + 1]
        if info >> 24 & 31 not in (STRUCT, UNION):
            raise malformed(f"type {type_id} is a {KIND_NAMES[info >> 24 & 31]}, not a struct or union", self.where)
        out = []
        for j in range(i + 3, i + 3 + 3 * (info & 0xFFFF), 3):
            place = words[j + 2]
            bits = place >> 24 if info >> 31 else 0
            out.append(Member(self.string(words[j]), words[j + 1], place & 0xFFFFFF if info >> 31 else place, bits))
        return tuple(out)

    def enumerators(self, type_id: int) -> dict[str, int]:
        """The constants of an enum of 32 or 64 bits, by name."""
        words, i = self._at(type_id)
        info = words[i + 1]
        kind, signed, out = info >> 24 & 31, info >> 31, {}
        if kind == ENUM:
            for j in range(i + 3, i + 3 + 2 * (info & 0xFFFF), 2):
                value = words[j + 1]
                out[self.string(words[j])] = value - (1 << 32) if signed and value >> 31 else value
        elif kind == ENUM64:
            for j in range(i + 3, i + 3 + 3 * (info & 0xFFFF), 3):
                value = words[j + 1] | words[j + 2] << 32
                out[self.string(words[j])] = value - (1 << 64) if signed and value >> 63 else value
        else:
            raise malformed(f"type {type_id} is a {KIND_NAMES[kind]}, not an enum", self.where)
        return out

    def array(self, type_id: int) -> tuple[int, int, int]:
        """The element type, index type and number of elements of an array."""
        words, i = self._at(type_id)
        if words[i + 1] >> 24 & 31 != ARRAY:
            raise malformed(f"type {type_id} is not an array", self.where)
        return words[i + 3], words[i + 4], words[i + 5]

    def int_encoding(self, type_id: int) -> tuple[int, int, int]:
        """The encoding (1 signed, 2 char, 4 bool), bit offset and bits of an integer type."""
        words, i = self._at(type_id)
        if words[i + 1] >> 24 & 31 != INT:
            raise malformed(f"type {type_id} is not an integer", self.where)
        value = words[i + 3]
        return value >> 24 & 15, value >> 16 & 255, value & 255

    def parameters(self, type_id: int) -> tuple[tuple[str, int], ...]:
        """The names and types of a function prototype's parameters; the last one is ("", 0) for `...`."""
        words, i = self._at(type_id)
        if words[i + 1] >> 24 & 31 != FUNC_PROTO:
            raise malformed(f"type {type_id} is not a function prototype", self.where)
        return tuple((self.string(words[j]), words[j + 1]) for j in range(i + 3, i + 3 + 2 * (words[i + 1] & 0xFFFF), 2))

    def variables(self, type_id: int) -> tuple[tuple[int, int, int], ...]:
        """The type, offset and size in bytes of each variable of a data section."""
        words, i = self._at(type_id)
        if words[i + 1] >> 24 & 31 != DATASEC:
            raise malformed(f"type {type_id} is not a data section", self.where)
        return tuple((words[j], words[j + 1], words[j + 2]) for j in range(i + 3, i + 3 + 3 * (words[i + 1] & 0xFFFF), 3))

    def tag_component(self, type_id: int) -> int:
        """Which member or parameter a declaration tag is on; -1 for the whole type."""
        words, i = self._at(type_id)
        if words[i + 1] >> 24 & 31 != DECL_TAG:
            raise malformed(f"type {type_id} is not a declaration tag", self.where)
        value = words[i + 3]
        return value - (1 << 32) if value >> 31 else value

    def strip(self, type_id: int) -> int:
        """The type below every typedef, const, volatile, restrict and type tag."""
        for _ in range(_DEEPEST):
            if self.kind(type_id) not in MODIFIERS:
                return type_id
            type_id = self.refers(type_id)
        raise malformed(f"type {type_id} is a chain of modifiers without end", self.where)

    def size(self, type_id: int) -> int:
        """The size of a type in bytes; 0 for void, functions and forward declarations."""
        known = self._sizes.get(type_id)
        if known is None:
            known = self._sizes[type_id] = self._size(type_id, 0)
        return known

    def _size(self, type_id: int, depth: int) -> int:
        if depth > _DEEPEST:
            raise malformed(f"type {type_id} is an array of itself", self.where)
        bottom = self.strip(type_id)
        kind = self.kind(bottom)
        if kind in SIZED:
            words, i = self._at(bottom)
            return words[i + 2]
        if kind == PTR:
            return POINTER_BYTES
        if kind == ARRAY:
            element, _, length = self.array(bottom)
            return self._size(element, depth + 1) * length
        return 0

    def ids(self, name: str, *kinds: int) -> list[int]:
        """Every type with this name and one of these kinds, this blob's own first, then its base's."""
        if self._by_name is None:
            self._by_name = self._index()
        out = [t for t in self._by_name.get(name, ()) if self.kind(t) in kinds]
        return out + (self.base.ids(name, *kinds) if self.base else [])

    def _index(self) -> dict[str, list[int]]:
        # name to types, for kinds that are looked up by name; each string is decoded once
        index: dict[str, list[int]] = {}
        by_offset: dict[int, list[int]] = {}
        words = self._words
        for n, i in enumerate(self._starts, self.first):
            offset = words[i]
            if offset and words[i + 1] >> 24 & 31 in NAMED:
                listed = by_offset.get(offset)
                if listed is None:
                    listed = by_offset[offset] = index.setdefault(self.string(offset), [])
                listed.append(n)
        return index

    def own(self, *kinds: int) -> list[int]:
        """This blob's own types of these kinds, not its base's."""
        words = self._words
        return [n for n, i in enumerate(self._starts, self.first) if words[i + 1] >> 24 & 31 in kinds]

    def find(self, name: str, *kinds: int) -> int:
        """The type with this name, the largest of several; 0 when there is none."""
        found = self.ids(name, *(kinds or (STRUCT, UNION)))
        return max(found, key=self.size) if found else 0

    def text(self, type_id: int) -> str:
        """The type as C-like text without qualifiers, equal in two kernels when the type is."""
        known = self._texts.get(type_id)
        if known is None:
            known = self._texts[type_id] = self._text(type_id, 0)
        return known

    def _text(self, type_id: int, depth: int) -> str:
        if depth > _DEEPEST:
            raise malformed(f"type {type_id} is defined by itself", self.where)
        kind = self.kind(type_id)
        if kind == PTR:
            inner = self.refers(type_id)
            while self.kind(inner) in (CONST, VOLATILE, RESTRICT, TYPE_TAG):
                inner = self.refers(inner)
                depth += 1
                if depth > _DEEPEST:
                    raise malformed(f"type {type_id} is a chain of modifiers without end", self.where)
            return self._text(inner, depth + 1) + ("" if self.kind(inner) == FUNC_PROTO else "*")
        if kind == ARRAY:
            element, _, length = self.array(type_id)
            return f"{self._text(element, depth + 1)}[{length}]"
        if kind in (STRUCT, UNION):
            word = "struct" if kind == STRUCT else "union"
            if own := self.name(type_id):
                return f"{word} {own}"
            # an anonymous one has no layout of its own, so its members are part of the text
            body = "; ".join(f"{m.name} {self._text(m.type, depth + 8)}" for m in self.members(type_id))
            return f"{word} {{{body}}}"
        if kind in (ENUM, ENUM64):
            return f"enum {self.name(type_id) or '{...}'}"
        if kind == FWD:
            return f"{'union' if self.flag(type_id) else 'struct'} {self.name(type_id)}"
        if kind in (CONST, VOLATILE, RESTRICT, TYPE_TAG):
            return self._text(self.refers(type_id), depth + 1)
        if kind == FUNC_PROTO:
            parameters = ", ".join(self._text(t, depth + 1) if t or n else "..." for n, t in self.parameters(type_id))
            return f"{self._text(self.refers(type_id), depth + 1)} (*)({parameters or 'void'})"
        return self.name(type_id)
