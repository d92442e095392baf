"""Records to the payload of a frame and back.

A frame holds many records of one kind as columns: a map from field name to one value for each record. A column whose every
value is the declared default is left out. Columns let whole lists be checked and converted at once, which in Python is the
difference between 3 ms and 1 ms for the 200 mappings of a small process (decisions/0011).
Source:  docs/format.md, "Records"
"""

from __future__ import annotations

from itertools import pairwise

from holdfast.errors import BadImage, InternalError
from holdfast.image import broken, cbor, schema
from holdfast.image.schema import SCALARS, FieldSpec, KindSchema, Plan
from holdfast.model.ids import ObjectId
from holdfast.model.record import MISSING, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from holdfast.image.schema import Type

MAX_ID = 256  # letters of an object id
Entry = tuple[ObjectId, Record]


class WrongValue(TypeError):
    """A value that its field's type does not allow."""


def pack(cls: type[Record], entries: Sequence[tuple[ObjectId, Record]]) -> bytes:
    """The payload that holds these records.

    Raises:  internal.image.value: a record holds a value that its annotation does not allow
    """
    plan = schema.plan(cls)
    names = [entry[0] for entry in entries]
    records = [entry[1] for entry in entries]
    field = "id"
    try:
        if set(map(type, records)) - {cls}:
            raise WrongValue(f"records of another class than {cls.__name__}")
        if any(not isinstance(name, str) for name in names) or not all(map(_is_id, names)) or len(set(names)) != len(names):
            raise WrongValue("an object id is empty, too long or there twice")
        columns: dict[str, Any] = {}
        for field, kind, get, default in zip(plan.names, plan.types, plan.getters, plan.defaults, strict=True):
            values = list(map(get, records))
            if default is MISSING or values.count(default) != len(values):
                columns[field] = _pack(kind, values, plan)
            else:
                _pack(kind, values[:1], plan)  # equal to the default, but True == 1: the type has to be right as well
        return cbor.encode({"columns": columns, "ids": list(map(str, names))})
    except (TypeError, ValueError) as error:
        raise InternalError("image.value", f"{cls.__name__}.{field} cannot be stored", why=str(error)) from error


def packed_default(plan: Plan, index: int) -> Any:
    """A field's default in stored form."""
    return _pack(plan.types[index], [plan.defaults[index]], plan)[0]


def _is_id(name: str) -> bool:
    return 0 < len(name) <= MAX_ID


def _pack(kind: Type, values: list[Any], plan: Plan) -> list[Any]:
    op = kind[0]
    if not values:  # a record that holds its own kind ends here
        return []
    scalar = SCALARS.get(op)
    if scalar is not None:
        return _pack_scalars(scalar, values)
    if op == "optional":
        inner = iter(_pack(kind[1], [v for v in values if v is not None], plan))
        return [None if v is None else next(inner) for v in values]
    if op == "flags":
        if set(map(type, values)) - {frozenset}:
            raise WrongValue("a set of names is not a frozenset")
        once = {v: cbor.Names(sorted(v)) for v in set(values)}
        if any(type(name) is not str for names in once.values() for name in names):
            raise WrongValue("a set of names holds something that is not text")
        return [once[v] for v in values]
    if op == "record":
        return _pack_records(plan.nested[kind[1]], values)
    if set(map(type, values)) - {tuple}:
        raise WrongValue(f"not a tuple, where {schema.text_of(kind)} is wanted")
    if op == "list" and kind[1] == ("str",):
        if {type(v) for row in set(values) for v in row} - {str}:
            raise WrongValue("a tuple of text holds something that is not text")
        repeated = {v: cbor.Names(v) for v in set(values)}
        return [repeated[v] for v in values]
    if op == "list":
        return _regroup(values, _pack(kind[1], [v for row in values for v in row], plan))
    if set(map(len, values)) - {len(kind) - 1}:
        raise WrongValue(f"a tuple of another length than {schema.text_of(kind)}")
    parts = [_pack(part, [row[i] for row in values], plan) for i, part in enumerate(kind[1:])]
    return [list(row) for row in zip(*parts, strict=True)]


def _pack_scalars(scalar: schema.Scalar, values: list[Any]) -> list[Any]:
    stored = scalar.stored
    kinds = set(map(type, values))
    if kinds - {stored}:
        for kind in kinds:
            if not issubclass(kind, stored) or (kind is bool and stored is int):
                raise WrongValue(f"a {kind.__name__}, where {scalar.cls.__name__} is wanted")
        values = [stored(v) for v in values] if stored is int else [str.__str__(v) if stored is str else stored(v) for v in values]
    _in_range(scalar, values)
    return values


def _in_range(scalar: schema.Scalar, values: list[Any]) -> None:
    if scalar.low is not None and scalar.high is not None and values and not scalar.low <= min(values) <= max(values) <= scalar.high:
        raise WrongValue(f"{min(values)} .. {max(values)} is outside {scalar.cls.__name__}, {scalar.low} .. {scalar.high}")
    if scalar.cls is ObjectId and not all(map(_is_id, values)):
        raise WrongValue("an object id is empty or too long")


def _pack_records(plan: Plan, values: list[Any]) -> list[Any]:
    if set(map(type, values)) - {plan.cls}:
        raise WrongValue(f"another class than {plan.cls.__name__}")
    rows: list[dict[str, Any]] = [{} for _ in values]
    for name, kind, get, default in zip(plan.names, plan.types, plan.getters, plan.defaults, strict=True):
        column = list(map(get, values))
        for row, value, stored in zip(rows, column, _pack(kind, column, plan), strict=True):
            if default is MISSING or value != default:
                row[name] = stored
    return rows


# Cut a flat list into lists as long as the given ones.
def _regroup(shape: list[Any], flat: list[Any]) -> list[list[Any]]:
    out, at = [], 0
    for row in shape:
        out.append(flat[at : at + len(row)])
        at += len(row)
    return out


class Binding:
    """How an image's form of a record meets ours: fields of both, fields that only the image has, records inside.

    Shape:   known: name, type, the value that stands for an absent one (MISSING: it may not be absent)
    """

    __slots__ = ("alien", "known", "nested", "path", "plan")

    def __init__(self, plan: Plan, path: str) -> None:
        self.plan, self.path = plan, path
        self.known: list[tuple[str, Type, Any]] = []
        self.alien: Mapping[str, FieldSpec] = {}
        self.nested: dict[str, Binding] = {}


_own: dict[tuple[type[Record], str], Binding] = {}  # of images whose schema equals ours


def bind(cls: type[Record], kind: str, theirs: KindSchema | None) -> Binding:
    """How to read a kind's records into our class; `theirs` is None when the image's schema equals ours.

    Raises:  bad_image.retyped_field: a field has another type in the image than here
    """
    if theirs is not None:
        return _bind(schema.plan(cls), kind, theirs, theirs.record, {})
    found = _own.get((cls, kind))
    if found is None:
        found = _own[cls, kind] = _bind(schema.plan(cls), kind, None, "", {})
    return found


def _bind(plan: Plan, path: str, theirs: KindSchema | None, name: str, made: dict[type[Record], Binding]) -> Binding:
    binding = made[plan.cls] = Binding(plan, path)
    specs = theirs.records[name] if theirs else None
    for inner_name, inner in plan.nested.items():
        if inner.cls in made:
            binding.nested[inner_name] = made[inner.cls]
        elif theirs is None or inner_name in theirs.records:
            binding.nested[inner_name] = _bind(inner, f"{path}.{inner_name}", theirs, inner_name, made)
        else:  # the image has no such record, so no field of it either: our own form will do for defaults
            binding.nested[inner_name] = _bind(inner, f"{path}.{inner_name}", None, "", made)
    for field, kind, default in zip(plan.names, plan.types, plan.defaults, strict=True):
        spec = specs.get(field) if specs is not None else None
        if spec is not None:
            if schema.text_of(schema.parse(spec.type)) != schema.text_of(kind):
                raise BadImage(
                    "retyped_field",
                    f"{path}.{field} has another type in this image",
                    where=f"image.schema {path}.{field}",
                    why=f"image {spec.type}, this version {schema.text_of(kind)}",
                    do="use a version of holdfast that knows the image's form",
                )
            default = spec.default
            if default is not MISSING:
                default = _unpack_checked(kind, [default], binding, field, [])[0]
        binding.known.append((field, kind, default))
    if specs is not None:
        binding.alien = {field: spec for field, spec in specs.items() if field not in plan.names}
    return binding


def unpack(payload: bytes, binding: Binding, warnings: list[str]) -> list[Entry]:
    """The records of a payload, in its order; what may be ignored and was is added to `warnings`.

    Raises:  bad_image.malformed, bad_image.field_type, bad_image.missing_field, bad_image.unknown_field
    """
    names, columns = split(payload, binding.path)
    return _records(names, columns, binding, warnings)


def unpack_rows(names: list[str], rows: list[dict[str, Any]], binding: Binding, warnings: list[str]) -> list[Entry]:
    """The records that rows in stored form make; what upgrade functions return comes this way."""
    return list(zip(map(ObjectId, names), _unpack_records(binding, rows, warnings), strict=True))


def split(payload: bytes, kind: str) -> tuple[list[str], dict[str, list[Any]]]:
    """The object ids and columns of a payload, in stored form.

    Raises:  bad_image.malformed
    """
    try:
        value = cbor.decode(payload)
    except cbor.Malformed as error:
        raise broken.damaged(kind, str(error)) from error
    if type(value) is not dict or set(value) != {"columns", "ids"}:
        raise broken.damaged(kind, "a payload holds columns and ids and nothing else")
    names, columns = value["ids"], value["columns"]
    if type(names) is not list or set(map(type, names)) - {str} or not all(map(_is_id, names)) or len(set(names)) != len(names):
        raise broken.damaged(kind, "an object id is not text, empty, too long or there twice")
    if type(columns) is not dict or any(type(column) is not list or len(column) != len(names) for column in columns.values()):
        raise broken.damaged(kind, f"a column has not {len(names)} values")
    return names, columns


def plain_rows(names: list[str], columns: dict[str, list[Any]], theirs: KindSchema) -> list[dict[str, Any]]:
    """One map for each record in stored form, absent fields filled from the image's own defaults."""
    full = dict(columns)
    for name, spec in theirs.records[theirs.record].items():
        if name not in full and spec.default is not MISSING:
            full[name] = [spec.default] * len(names)
    return [dict(zip(full, row, strict=True)) for row in zip(*full.values(), strict=True)] if full else [{} for _ in names]


def _records(names: list[str], columns: dict[str, list[Any]], binding: Binding, warnings: list[str]) -> list[Entry]:
    full = []
    for field, kind, default in binding.known:
        column = columns.pop(field, None)
        if column is not None:
            full.append(_unpack_checked(kind, column, binding, field, warnings))
        elif default is MISSING and names:
            raise _missing(binding, field)
        else:
            full.append([default] * len(names))
    for field, column in columns.items():
        _alien(binding, field, column, warnings)
    cls = binding.plan.cls
    records = map(cls, *full) if full else (cls() for _ in names)
    return list(zip(map(ObjectId, names), records, strict=True))


def _missing(binding: Binding, field: str) -> BadImage:
    return BadImage(
        "missing_field",
        f"{binding.path}.{field} is not in this image",
        where=f"state {binding.path}",
        why="the field has no default, so nothing can stand for it",
        do="dump again, or use the version of holdfast that wrote the image",
    )


# A field that this version does not know: harmless at its default or where its author said so, else a reason to refuse.
def _alien(binding: Binding, field: str, values: list[Any], warnings: list[str]) -> None:
    spec = binding.alien.get(field)
    if spec is None:
        raise broken.damaged(binding.path, f"the field {field} is not in the image's schema")
    if spec.default is not MISSING:
        usual = cbor.encode(spec.default)
        if all(cbor.encode(value) == usual for value in values):
            return
    if not spec.may_ignore:
        raise BadImage(
            "unknown_field",
            f"{binding.path}.{field} must be understood and is not",
            where=f"image.schema {binding.path}.{field}",
            why=f"a later version of holdfast added {field} ({spec.type}, since record version {spec.since}); the image uses it",
            do="restore with the version of holdfast that wrote the image, or a later one",
        )
    text = f"{binding.path}.{field} was ignored: this version does not know it, and the image says that it may be ignored"
    if text not in warnings:
        warnings.append(text)


def _unpack_checked(kind: Type, values: list[Any], binding: Binding, field: str, warnings: list[str]) -> list[Any]:
    try:
        return _unpack(kind, values, binding, warnings)
    except WrongValue as error:
        raise BadImage(
            "field_type",
            f"{binding.path}.{field} holds a value that its type does not allow",
            where=f"state {binding.path}",
            why=f"{error}; the type is {schema.text_of(kind)}",
            do="restore from another copy of the image",
        ) from error


def _unpack(kind: Type, values: list[Any], binding: Binding, warnings: list[str]) -> list[Any]:
    op = kind[0]
    if not values:
        return []
    scalar = SCALARS.get(op)
    if scalar is not None:
        if set(map(type, values)) - {scalar.stored}:
            raise WrongValue(f"{_a_wrong(values, scalar.stored)}")
        _in_range(scalar, values)
        return values if scalar.cls is scalar.stored else list(map(scalar.cls, values))
    if op == "optional":
        inner = iter(_unpack(kind[1], [v for v in values if v is not None], binding, warnings))
        return [None if v is None else next(inner) for v in values]
    if op == "record":
        if set(map(type, values)) - {dict}:
            raise WrongValue(_a_wrong(values, dict))
        return list(_unpack_records(binding.nested[kind[1]], values, warnings))
    if set(map(type, values)) - {list}:
        raise WrongValue(_a_wrong(values, list))
    if op == "flags":
        return _unpack_names(values)
    if op == "list":
        flat = _unpack(kind[1], [v for row in values for v in row], binding, warnings)
        return list(map(tuple, _regroup(values, flat)))
    if set(map(len, values)) - {len(kind) - 1}:
        raise WrongValue("a list of another length")
    parts = [_unpack(part, [row[i] for row in values], binding, warnings) for i, part in enumerate(kind[1:])]
    return list(zip(*parts, strict=True))


def _a_wrong(values: list[Any], wanted: type) -> str:
    wrong = next(type(v) for v in values if type(v) is not wanted)
    return f"a {wrong.__name__}, where {wanted.__name__} is stored"


def _unpack_names(values: list[list[Any]]) -> list[frozenset[str]]:
    once: dict[tuple[Any, ...], frozenset[str]] = {}
    out = []
    for value in values:
        key = tuple(value)
        try:
            found = once.get(key)
        except TypeError:
            raise WrongValue("a set of names holds something that is not text") from None
        if found is None:
            if set(map(type, key)) - {str} or any(a >= b for a, b in pairwise(key)):
                raise WrongValue("a set of names is not sorted text, each once")
            found = once[key] = frozenset(key)
        out.append(found)
    return out


def _unpack_records(binding: Binding, rows: list[dict[str, Any]], warnings: list[str]) -> Iterator[Record]:
    full = []
    names = set()
    for field, kind, default in binding.known:
        names.add(field)
        there = iter(_unpack_checked(kind, [row[field] for row in rows if field in row], binding, field, warnings))
        column = [next(there) if field in row else default for row in rows]
        if default is MISSING and any(value is MISSING for value in column):
            raise _missing(binding, field)
        full.append(column)
    for row in rows:
        if row.keys() - names:
            for field in sorted(row.keys() - names):
                _alien(binding, field, [row[field]], warnings)
    return map(binding.plan.cls, *full) if full else (binding.plan.cls() for _ in rows)
