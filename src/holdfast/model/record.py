"""A frozen record: the form of every value that crosses rooms and of everything an image stores.

The standard dataclass costs 5 ms of import and about 0.5 ms for each class, on a start-up budget of 10 ms
(decisions/0001). This one costs 20 us a class. To a type checker it is a frozen dataclass.
"""

from __future__ import annotations

from _operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, ClassVar, Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[type], type]:
        return lambda cls: cls


MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()


class FieldInfo:
    """What a field declares beside its type: default, unit, the version that added it, whether old readers may skip it."""

    __slots__ = ("default", "may_ignore", "since", "unit")

    def __init__(self, default: Any, unit: str, since: int, may_ignore: bool) -> None:
        self.default, self.unit, self.since, self.may_ignore = default, unit, since, may_ignore


def field(*, default: Any = MISSING, unit: str = "", since: int = 1, may_ignore: bool = False) -> Any:
    """Declare a record field's default, unit, first record version, and whether a reader may ignore it.

    Shape:   `default` is immutable; without one the caller must give the value
    """
    return FieldInfo(default, unit, since, may_ignore)


def _setattr(self: object, name: str, value: object) -> None:
    raise AttributeError(f"{type(self).__name__}.{name}: records are frozen")


def _delattr(self: object, name: str) -> None:
    raise AttributeError(f"{type(self).__name__}.{name}: records are frozen")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class RecordMeta(type):
    """Turns annotations into slots, and class values into defaults."""

    def __new__(mcs, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> RecordMeta:
        own = [n for n, text in space.get("__annotations__", {}).items() if not str(text).startswith("ClassVar")]
        infos: dict[str, FieldInfo] = {}
        for base in bases:
            infos.update(getattr(base, "_infos", {}))
        plain = FieldInfo(MISSING, "", 1, False)
        for n in own:
            value = space.pop(n, MISSING)
            if isinstance(value, FieldInfo):
                infos[n] = value
            elif value is MISSING:
                infos[n] = plain
            else:
                infos[n] = FieldInfo(value, "", 1, False)
        # in the namespace from the start: an attribute that is set later costs a class more than its slots do
        space["__slots__"] = tuple(own)
        space["_infos"] = infos
        space["_names"] = tuple(infos)
        space["_defaults"] = tuple([i.default for i in infos.values()])
        space["_set"] = ()  # made when the first of them is: a start knows 150 records and makes few
        space["_values"] = None
        return super().__new__(mcs, name, bases, space)


def _setters(cls: type[Record]) -> tuple[Callable[[object, object], None], ...]:
    cls._set = tuple([getattr(cls, n).__set__ for n in cls._infos])
    return cls._set


def _reader(cls: type[Record]) -> Callable[[Record], Any]:
    cls._values = attrgetter(*cls._names) if cls._names else _nothing
    return cls._values


def _nothing(_: Record) -> Any:
    return ()


class Record(metaclass=RecordMeta):
    """Base of every record: positional or keyword fields, equality, hash, repr; nothing can be changed."""

    _infos: ClassVar[dict[str, FieldInfo]]
    _names: ClassVar[tuple[str, ...]]
    _set: ClassVar[tuple[Callable[[object, object], None], ...]]
    _defaults: ClassVar[tuple[Any, ...]]
    _values: ClassVar[Callable[[Record], Any] | None]

    def __init__(self, *args: Any, **given: Any) -> None:
        setters = self._set or _setters(type(self))
        k = len(args)
        if k > len(setters):
            raise TypeError(f"{type(self).__name__} takes {len(setters)} fields, not {k}")
        for put, value in zip(setters, args):  # noqa: B905 - args may be shorter, by design
            put(self, value)
        if k < len(setters):
            names, defaults = self._names, self._defaults
            for i in range(k, len(setters)):
                value = given.pop(names[i], MISSING)
                if value is MISSING:
                    value = defaults[i]
                    if value is MISSING:
                        raise TypeError(f"{type(self).__name__} needs the field {names[i]}")
                setters[i](self, value)
        if given:
            raise TypeError(f"{type(self).__name__} has no field {sorted(given)[0]} (or it was given twice)")

    __setattr__ = _setattr
    __delattr__ = _delattr

    def __eq__(self, other: object) -> bool:
        cls = self.__class__
        if other.__class__ is not cls:
            return NotImplemented
        values = cls._values or _reader(cls)
        return bool(values(self) == values(other))

    def __hash__(self) -> int:
        cls = self.__class__
        return hash((cls, (cls._values or _reader(cls))(self)))

    def __repr__(self) -> str:
        inner = ", ".join(f"{n}={getattr(self, n)!r}" for n in self._names)
        return f"{type(self).__name__}({inner})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), tuple(getattr(self, n) for n in self._names))

    def items(self) -> Iterator[tuple[str, Any]]:
        """Field names and values, in declared order."""
        for n in self._names:
            yield n, getattr(self, n)

    def replace(self, **changes: Any) -> Self:
        """A copy with the named fields changed."""
        return type(self)(**{**dict(self.items()), **changes})


def fields(record: type[Record]) -> dict[str, FieldInfo]:
    """Field name to what it declares, in declared order."""
    return record._infos


def type_texts(record: type[Record]) -> dict[str, str]:
    """Field name to the text of its type, base classes first."""
    out: dict[str, str] = {}
    for cls in reversed(record.__mro__):
        out.update({n: str(t) for n, t in cls.__dict__.get("__annotations__", {}).items() if n in record._infos})
    return out
