"""The grammar of types, and schemas there and back."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.errors import BadImage, InternalError
from holdfast.image import cbor, codec, schema
from holdfast.model.ids import ObjectId, Pid
from holdfast.model.record import MISSING, Record, field
from tests.format.synthetic import Area, Policy


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("int", ("int",)),
        ("str | None", ("optional", ("str",))),
        ("None|bytes", ("optional", ("bytes",))),
        ("tuple[int, ...]", ("list", ("int",))),
        ("tuple[int,str|None]", ("tuple", ("int",), ("optional", ("str",)))),
        ("tuple[tuple[Fd, RemoteAddr], ...] | None", ("optional", ("list", ("tuple", ("Fd",), ("RemoteAddr",))))),
        ("frozenset[str]", ("flags",)),
        ("tuple[Policy, ...]", ("list", ("record", "Policy"))),
    ],
)
def test_types_of_the_grammar(text: str, wanted: tuple[Any, ...]) -> None:
    assert schema.parse(text) == wanted
    assert schema.parse(schema.text_of(wanted)) == wanted


@pytest.mark.parametrize(
    "text",
    ["", "float", "dict[str, int]", "list[int]", "tuple[]", "tuple[int", "int | str", "int | None | None", "None", "(int)", "Pid | Tid"]
    + ["frozenset[int]", "tuple[...]", "int]", "Größe", "tuple[int, ...] extra", "A" * 600],
)
def test_types_outside_the_grammar(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a type that an image can store|a type's text is too long"):
        schema.parse(text)


class Unstorable(Record):
    """A field that no image can hold."""

    ratio: float


class HostPid(Record):
    """A pid of the dumper's namespace means nothing in an image; a bare name is taken for a record, which it is not."""

    pid: Pid


@pytest.mark.parametrize(("cls", "why"), [(Unstorable, "'float' is not a type"), (HostPid, "Pid is no record")])
def test_a_class_that_cannot_be_stored_is_our_mistake(cls: type[Record], why: str) -> None:
    with pytest.raises(InternalError, match=why) as error:
        schema.plan(cls)
    assert error.value.code == "internal.image.type"
    schema._plans.pop(cls, None)


def test_the_schema_says_everything_of_every_field() -> None:
    found = schema.decode("test.area", schema.encoded(Area, 3, codec.packed_default))
    assert (found.record, found.version, sorted(found.records)) == ("Area", 3, ["Area", "Policy"])
    assert list(found.records["Area"]) == list(schema.plan(Area).names)
    assert found.records["Area"]["size"] == schema.FieldSpec("size", "int", "bytes", 1, False, MISSING)
    assert found.records["Area"]["hint"] == schema.FieldSpec("hint", "str", "", 1, True, "")
    assert found.records["Area"]["past"] == schema.FieldSpec("past", "tuple[Policy, ...]", "", 1, False, [])
    assert found.records["Policy"]["mode"].default is MISSING


class Tree(Record):
    """A record that holds its own kind."""

    name: str
    children: tuple[Tree, ...] = ()


def test_a_record_may_hold_its_own_kind() -> None:
    entries = [(ObjectId("x:1"), Tree("a", (Tree("b", (Tree("c"),)), Tree("d"))))]
    binding = codec.bind(Tree, "test.tree", None)
    assert codec.unpack(codec.pack(Tree, entries), binding, []) == entries
    assert list(schema.decode("test.tree", schema.encoded(Tree, 1, codec.packed_default)).records) == ["Tree"]


GOOD: dict[str, Any] = {"record": "R", "version": 1, "records": {"R": [["a", "int", "", 1, False]]}}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"record": 1}, "record, records or version are wrong"),
        ({"record": "S"}, "record, records or version are wrong"),
        ({"records": []}, "record, records or version are wrong"),
        ({"version": True}, "record, records or version are wrong"),
        ({"records": {"R": {}}}, "R has no list of fields"),
        ({"records": {"R": [["a"]]}}, "a field of R is malformed"),
        ({"records": {"R": [["a", "int", "", 1, 0]]}}, "a field of R is malformed"),
        ({"records": {"R": [["a b", "int", "", 1, False]]}}, "the field R.a b is there twice or has no possible name"),
        ({"records": {"R": [["a", "int", "", 1, False]] * 2}}, "the field R.a is there twice or has no possible name"),
        ({"records": {"R": [["a", "float", "", 1, False]]}}, "'float' is not a type that an image can store"),
        ({"records": {"R": [["a", "S | None", "", 1, False]]}}, "R.a names the record S, which is not described"),
        ({"records": {"R": [[f"f{n}", "int", "", 1, False] for n in range(4097)]}}, "R has no list of fields"),
    ],
)
def test_a_malformed_schema_is_refused(change: dict[str, Any], why: str) -> None:
    assert schema.decode("k", cbor.encode(GOOD)).version == 1
    with pytest.raises(BadImage) as error:
        schema.decode("k", cbor.encode(GOOD | change))
    assert (error.value.code, error.value.why) == ("bad_image.schema", why)


def test_a_longer_row_and_a_further_key_are_left_to_later_versions() -> None:
    later = GOOD | {"since": "2.0", "records": {"R": [["a", "int", "", 1, False, 7, "later"]]}}
    assert schema.decode("k", cbor.encode(later)).records["R"]["a"].default == 7


class Base(Record):
    """A base class with a field of this module's type."""

    policy: Policy


class Derived(Base):
    """Fields of the base come first."""

    count: int = field(default=1)


def test_fields_of_a_base_class_are_stored() -> None:
    entries = [(ObjectId("x:1"), Derived(Policy("bind"), 4))]
    assert codec.unpack(codec.pack(Derived, entries), codec.bind(Derived, "k", None), []) == entries
