"""What an image says about its own records: every field's type, unit, first version, whether it may be ignored, its default.

Source:  docs/format.md, "Types" and "Schema"
"""

from __future__ import annotations

import sys

from holdfast.errors import BadImage, InternalError
from holdfast.image import broken, cbor
from holdfast.model import ids
from holdfast.model.record import MISSING, Record, fields, type_texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    # ("int",) .. ("flags",) | ("optional", T) | ("list", T) | ("tuple", T, U ...) | ("record", name)
    Type = tuple[Any, ...]


class Scalar(Record):
    """A type without parts: the class of its values, the CBOR type that stores them, and the range of a number."""

    cls: type
    stored: type
    low: int | None = None
    high: int | None = None


INT_MAX = (1 << 31) - 1  # the kernel's descriptors and pids are ints
SCALARS: dict[str, Scalar] = {
    "int": Scalar(int, int),
    "bool": Scalar(bool, bool),
    "bytes": Scalar(bytes, bytes),
    "str": Scalar(str, str),
    "ObjectId": Scalar(ids.ObjectId, str),
    "Fd": Scalar(ids.Fd, int, 0, INT_MAX),
    "NsPid": Scalar(ids.NsPid, int, 0, INT_MAX),
    "RemoteAddr": Scalar(ids.RemoteAddr, int, 0, (1 << 64) - 1),
}
MAX_TYPE = 512  # letters of a type's text
MAX_FIELDS = 4096  # of one record
_parsed: dict[str, Type] = {}


class FieldSpec(Record):
    """One field as an image's schema declares it; `default` is in stored form, MISSING if there is none."""

    name: str
    type: str
    unit: str
    since: int
    may_ignore: bool
    default: Any = MISSING


class KindSchema(Record):
    """The schema of one kind: its record, the record's version, and the fields of it and of every record inside it."""

    record: str
    version: int
    records: Mapping[str, Mapping[str, FieldSpec]]


def parse(text: str) -> Type:
    """The type that an annotation's text names.

    Raises:  ValueError: the text is outside the grammar of docs/format.md
    """
    found = _parsed.get(text)
    if found is None:
        if len(text) > MAX_TYPE:
            raise ValueError("a type's text is too long")
        found = _parsed[text] = _parse(text.strip())
    return found


def text_of(kind: Type) -> str:
    """The canonical text of a type."""
    op = kind[0]
    if op == "optional":
        return f"{text_of(kind[1])} | None"
    if op == "list":
        return f"tuple[{text_of(kind[1])}, ...]"
    if op == "tuple":
        return f"tuple[{', '.join(map(text_of, kind[1:]))}]"
    if op == "flags":
        return "frozenset[str]"
    return str(kind[1] if op == "record" else op)


def _parse(text: str) -> Type:
    if text in SCALARS:
        return (text,)
    parts = _split(text, "|")
    if len(parts) == 2 and parts.count("None") == 1:
        inner = parse(parts[0] if parts[1] == "None" else parts[1])
        if inner[0] == "optional":
            raise ValueError(f"{text!r} says None twice")
        return ("optional", inner)
    if text == "frozenset[str]":
        return ("flags",)
    if text.startswith("tuple[") and text.endswith("]") and len(parts) == 1:
        args = _split(text[6:-1], ",")
        if len(args) == 2 and args[1] == "...":
            return ("list", parse(args[0]))
        return ("tuple", *map(parse, args))
    if text.isidentifier() and text[0].isupper() and text.isascii() and text != "None":
        return ("record", text)
    raise ValueError(f"{text!r} is not a type that an image can store")


# Cut at a separator that no bracket encloses.
def _split(text: str, mark: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        if letter == "[":
            depth += 1
        elif letter == "]":
            depth -= 1
        elif letter == mark and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    parts.append(text[start:].strip())
    if depth or "" in parts:
        raise ValueError(f"{text!r} is not a type that an image can store")
    return parts


class Plan:
    """How one record class is stored: its fields in declared order, their types, getters and defaults, the classes inside."""

    __slots__ = ("cls", "defaults", "encodings", "getters", "names", "nested", "types")

    def __init__(self, cls: type[Record]) -> None:
        self.cls = cls
        self.names = tuple(fields(cls))
        self.defaults = tuple(info.default for info in fields(cls).values())
        self.getters = tuple(getattr(cls, name).__get__ for name in self.names)
        texts = type_texts(cls)
        try:
            self.types = tuple(parse(texts[name]) for name in self.names)
        except ValueError as error:
            raise InternalError("image.type", f"{cls.__module__}.{cls.__qualname__} cannot be stored: {error}") from error
        self.nested: dict[str, Plan] = {}
        self.encodings: dict[int, bytes] = {}


_plans: dict[type[Record], Plan] = {}
# module, class and version to what `encoded` gives: worked out before, from the code that runs (cli/bundle.py)
ready: dict[tuple[str, str, int], bytes] = {}


def plan(cls: type[Record]) -> Plan:
    """How a record class is stored; made once.

    Raises:  internal.image.type: a field's type is outside the grammar
    """
    found = _plans.get(cls)
    if found is None:
        found = _plans[cls] = Plan(cls)  # entered before its parts, so a record may hold its own kind
        for name, kind in zip(found.names, found.types, strict=True):
            for inner in _records_in(kind):
                if inner not in found.nested:
                    found.nested[inner] = plan(_resolve(cls, name, inner))
    return found


def _records_in(kind: Type) -> list[str]:
    op = kind[0]
    if op == "record":
        return [kind[1]]
    return [] if len(kind) == 1 else [name for part in kind[1:] for name in _records_in(part)]


# A record's name means what it means in the module that wrote the annotation.
def _resolve(cls: type[Record], field: str, name: str) -> type[Record]:
    for owner in cls.__mro__:
        if field in owner.__dict__.get("__annotations__", ()):
            found = sys.modules[owner.__module__].__dict__.get(name)
            if isinstance(found, type) and issubclass(found, Record):
                return found
    raise InternalError("image.type", f"{cls.__module__}.{cls.__qualname__}.{field}: {name} is no record of that module")


def encoded(cls: type[Record], version: int, default_of: Any) -> bytes:
    """The bytes that stand in an image's schema for a kind with this record class and version.

    Shape:   `default_of(plan, index)` gives a field's default in stored form
    """
    root = plan(cls)
    found = root.encodings.get(version) or ready.get((cls.__module__, cls.__qualname__, version))
    if found is None:
        records = {p.cls.__name__: _rows(p, default_of) for p in _closure(root)}
        found = root.encodings[version] = cbor.encode({"record": cls.__name__, "records": records, "version": version})
    return found


def _closure(root: Plan) -> list[Plan]:
    seen = [root]
    names = {root.cls.__name__: root.cls}
    for p in seen:
        for inner in p.nested.values():
            if names.setdefault(inner.cls.__name__, inner.cls) is not inner.cls:
                raise InternalError("image.type", f"{root.cls.__qualname__}: two records are both named {inner.cls.__name__}")
            if inner not in seen:
                seen.append(inner)
    return seen


def _rows(p: Plan, default_of: Any) -> list[Any]:
    rows = []
    for i, (name, info) in enumerate(fields(p.cls).items()):
        row = [name, text_of(p.types[i]), info.unit, info.since, info.may_ignore]
        if info.default is not MISSING:
            row.append(default_of(p, i))
        rows.append(row)
    return rows


def decode(kind: str, raw: bytes) -> KindSchema:
    """What an image's schema says of one kind.

    Raises:  bad_image.schema: the schema is malformed
    """
    try:
        value = cbor.decode(raw)
        if type(value) is not dict:
            raise ValueError("not a map")
        record, version, records = value.get("record"), value.get("version"), value.get("records")
        if type(record) is not str or type(version) is not int or type(records) is not dict or record not in records:
            raise ValueError("record, records or version are wrong")
        known = {name: _specs(name, rows) for name, rows in records.items()}
        for name, specs in known.items():
            for spec in specs.values():
                for inner in _records_in(parse(spec.type)):
                    if inner not in known:
                        raise ValueError(f"{name}.{spec.name} names the record {inner}, which is not described")
        return KindSchema(record, version, known)
    except ValueError as error:
        raise BadImage(
            "schema", f"the schema of {kind} is malformed", where=f"image.schema {kind}", why=str(error), do=broken.AGAIN
        ) from error


def _specs(record: str, rows: Any) -> dict[str, FieldSpec]:
    if type(rows) is not list or len(rows) > MAX_FIELDS:
        raise ValueError(f"{record} has no list of fields")
    out: dict[str, FieldSpec] = {}
    for row in rows:
        if type(row) is not list or len(row) < 5 or [type(v) for v in row[:5]] != [str, str, str, int, bool]:
            raise ValueError(f"a field of {record} is malformed")
        if row[0] in out or not (row[0].isidentifier() and row[0].isascii()):
            raise ValueError(f"the field {record}.{row[0]} is there twice or has no possible name")
        parse(row[1])
        out[row[0]] = FieldSpec(row[0], row[1], row[2], row[3], row[4], row[5] if len(row) > 5 else MISSING)
    return out
