"""Records to payloads and back; values that do not fit; payloads that no writer makes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import BadImage, InternalError
from holdfast.image import cbor, codec
from holdfast.model.ids import Fd, NsPid, ObjectId, RemoteAddr
from holdfast.model.record import Record
from tests.format.synthetic import AREAS, COUNTERS, Area, Counter, Policy

AREA = codec.bind(Area, "test.area", None)
COUNTER = codec.bind(Counter, "test.counter", None)

fds = st.integers(0, 2**31 - 1).map(Fd)
texts = st.text(max_size=20)
policies = st.builds(Policy, texts, st.lists(st.integers(), max_size=3).map(tuple))
areas = st.builds(
    Area,
    st.integers(0, 2**64 - 1).map(RemoteAddr),
    st.integers(-(2**70), 2**70),
    st.none() | st.binary(max_size=20),
    st.frozensets(texts, max_size=4),
    st.booleans(),
    st.tuples(st.integers(), st.integers()),
    st.text(min_size=1, max_size=20).map(ObjectId),
    slots=st.lists(fds, max_size=3).map(tuple),
    pid=st.none() | st.integers(0, 2**31 - 1).map(NsPid),
    policy=st.none() | policies,
    past=st.lists(policies, max_size=3).map(tuple),
    words=st.lists(texts, max_size=3).map(tuple),
    pairs=st.lists(st.tuples(st.integers(), st.none() | st.binary(max_size=5)), max_size=3).map(tuple),
    label=texts,
    offset=st.integers(0, 2**64 - 1),
    hint=texts,
)


def exact(value: Any) -> Any:
    """A value with the class of every part, for 1 == True and Fd(1) == 1."""
    if isinstance(value, Record):
        return (type(value), [exact(v) for _, v in value.items()])
    if isinstance(value, tuple):
        return (tuple, [exact(v) for v in value])
    return (type(value), value)


@given(st.lists(areas, max_size=8))
def test_records_come_back_with_their_classes(records: list[Area]) -> None:
    entries = [(ObjectId(f"area:{n}"), record) for n, record in enumerate(records)]
    payload = codec.pack(Area, entries)
    again = codec.unpack(payload, AREA, [])
    assert [(i, exact(r)) for i, r in again] == [(i, exact(r)) for i, r in entries]
    assert codec.pack(Area, [(ObjectId(i), r) for i, r in again]) == payload


def test_a_column_of_defaults_is_left_out() -> None:
    columns = cbor.decode(codec.pack(Counter, COUNTERS))["columns"]
    assert columns == {"count": [0, 2**40, 2**41]}


def test_nested_defaults_are_left_out() -> None:
    columns = cbor.decode(codec.pack(Area, AREAS))["columns"]
    assert columns["policy"] == [{"mode": "bind", "nodes": [0, 3]}, {"mode": "interleave"}]


class Anything(Record):
    """Types for wrong values."""

    number: int = 0
    fd: Fd = Fd(0)
    address: RemoteAddr = RemoteAddr(0)
    text: str = ""
    raw: bytes = b""
    yes: bool = False
    names: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    pair: tuple[int, str] = (0, "")
    policy: Policy | None = None
    owner: ObjectId | None = None


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("number", True, "a bool, where int is wanted"),
        ("number", 1.5, "a float, where int is wanted"),
        ("number", None, "a NoneType, where int is wanted"),
        ("number", 1 << 1025, "an integer of 129 bytes; an image holds at most 128"),
        ("fd", Fd(-1), "-1 .. -1 is outside Fd, 0 .. 2147483647"),
        ("address", RemoteAddr(1 << 64), "18446744073709551616 .. 18446744073709551616 is outside RemoteAddr, 0 .. 18446744073709551615"),
        ("text", b"x", "a bytes, where str is wanted"),
        ("text", "\udc80", "'utf-8' codec can't encode character '\\udc80' in position 0: surrogates not allowed"),
        ("raw", "x", "a str, where bytes is wanted"),
        ("raw", bytearray(b"x"), "a bytearray, where bytes is wanted"),
        ("yes", 1, "a int, where bool is wanted"),
        ("names", ("a",), "a set of names is not a frozenset"),
        ("names", frozenset({1}), "a set of names holds something that is not text"),
        ("words", ["a"], "not a tuple, where tuple[str, ...] is wanted"),
        ("words", (1,), "a tuple of text holds something that is not text"),
        ("numbers", (1, "x"), "a str, where int is wanted"),
        ("pair", (1,), "a tuple of another length than tuple[int, str]"),
        ("policy", Counter(1), "another class than Policy"),
        ("owner", "", "an object id is empty or too long"),
    ],
)
def test_a_value_that_does_not_fit_its_annotation_is_our_mistake(field: str, value: Any, why: str) -> None:
    with pytest.raises(InternalError) as error:
        codec.pack(Anything, [(ObjectId("x:1"), Anything(**{field: value}))])
    assert (error.value.code, error.value.why) == ("internal.image.value", why)
    assert f"Anything.{field}" in error.value.what or "cannot encode" in error.value.why or "integer of 129" in why or "surrogates" in why


@pytest.mark.parametrize("ids", [["a", "a"], [""], ["x" * 257], [7]])
def test_object_ids_are_text_of_1_to_256_letters_each_once(ids: list[Any]) -> None:
    with pytest.raises(InternalError, match=r"Counter.id cannot be stored"):
        codec.pack(Counter, [(i, Counter(1)) for i in ids])


def payload(ids: Any, **columns: Any) -> bytes:
    return cbor.encode({"columns": columns, "ids": ids})


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "truncated at byte 0"),
        (cbor.encode([]), "a payload holds columns and ids and nothing else"),
        (cbor.encode({"ids": []}), "a payload holds columns and ids and nothing else"),
        (cbor.encode({"columns": {}, "ids": [], "more": 1}), "a payload holds columns and ids and nothing else"),
        (payload({}), "an object id is not text, empty, too long or there twice"),
        (payload([1], count=[1]), "an object id is not text, empty, too long or there twice"),
        (payload(["a", "a"], count=[1, 2]), "an object id is not text, empty, too long or there twice"),
        (payload([""], count=[1]), "an object id is not text, empty, too long or there twice"),
        (payload(["a"], count=[1, 2]), "a column has not 1 values"),
        (payload(["a"], count=1), "a column has not 1 values"),
        (payload(["a"], count=[1], other=[1]), "the field other is not in the image's schema"),
    ],
)
def test_a_payload_that_no_writer_makes(raw: bytes, why: str) -> None:
    with pytest.raises(BadImage) as error:
        codec.unpack(raw, COUNTER, [])
    assert (error.value.code, error.value.why) == ("bad_image.malformed", why)


def test_a_field_that_has_no_default_must_be_there() -> None:
    with pytest.raises(BadImage, match=r"test.counter.count is not in this image") as error:
        codec.unpack(payload(["a"]), COUNTER, [])
    assert error.value.code == "bad_image.missing_field"
    assert codec.unpack(payload([]), COUNTER, []) == []


GOOD: dict[str, Any] = {
    "start": 1,
    "size": 1,
    "path": None,
    "flags": [],
    "shared": False,
    "device": [1, 1],
    "owner": "process:1",
}


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("start", -1, "-1 .. -1 is outside RemoteAddr, 0 .. 18446744073709551615"),
        ("start", "x", "a str, where int is stored"),
        ("size", True, "a bool, where int is stored"),
        ("path", 1, "a int, where bytes is stored"),
        ("flags", None, "a NoneType, where list is stored"),
        ("flags", ["b", "a"], "a set of names is not sorted text, each once"),
        ("flags", ["a", "a"], "a set of names is not sorted text, each once"),
        ("flags", [1], "a set of names is not sorted text, each once"),
        ("flags", [[]], "a set of names holds something that is not text"),
        ("shared", 1, "a int, where bool is stored"),
        ("device", [1], "a list of another length"),
        ("device", [1, None], "a NoneType, where int is stored"),
        ("owner", "", "an object id is empty or too long"),
        ("slots", [-1], "-1 .. -1 is outside Fd, 0 .. 2147483647"),
        ("slots", {}, "a dict, where list is stored"),
        ("pid", 1 << 31, "2147483648 .. 2147483648 is outside NsPid, 0 .. 2147483647"),
        ("policy", [], "a list, where dict is stored"),
        ("pairs", [[1, 2]], "a int, where bytes is stored"),
    ],
)
def test_a_stored_value_of_another_type_is_refused(field: str, value: Any, why: str) -> None:
    columns = {name: [v] for name, v in (GOOD | {field: value}).items()}
    with pytest.raises(BadImage) as error:
        codec.unpack(payload(["a"], **columns), AREA, [])
    assert error.value.code == "bad_image.field_type"
    assert error.value.what == f"test.area.{field} holds a value that its type does not allow"
    assert error.value.why.startswith(why + "; the type is ")


def test_a_record_inside_a_record_is_checked_alike() -> None:
    columns = {name: [v] for name, v in (GOOD | {"policy": {"mode": 1}}).items()}
    with pytest.raises(BadImage, match=r"test.area.Policy.mode holds a value"):
        codec.unpack(payload(["a"], **columns), AREA, [])
    columns["policy"] = [{"nodes": []}]
    with pytest.raises(BadImage, match=r"test.area.Policy.mode is not in this image"):
        codec.unpack(payload(["a"], **columns), AREA, [])
