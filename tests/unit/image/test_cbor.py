"""Our CBOR against the usual package, and against bytes that no encoder makes."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.image import cbor

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.integers(-(2**1000), 2**1000)
    | st.binary(max_size=300)
    | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=30), inner, max_size=10),
    max_leaves=60,
)
EDGES = [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1, 2**64, -1, -24, -25, -(2**64), -(2**64) - 1]


@given(values)
@example(EDGES)
@example({"": EDGES, "b": {}, "aa": [], "é": [[], {}, "", b""]})
def test_encoding_is_the_usual_packages_canonical_one(value: Any) -> None:
    assert cbor.encode(value) == cbor2.dumps(value, canonical=True)


@given(values)
@example(EDGES)
def test_every_value_comes_back(value: Any) -> None:
    again = cbor.decode(cbor.encode(value))
    assert repr(again) == repr(value) or again == value
    assert cbor.encode(again) == cbor.encode(value)


@given(values, st.data())
def test_a_changed_byte_is_another_value_or_an_error(value: Any, data: st.DataObject) -> None:
    good = cbor.encode(value)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    try:
        other = cbor.decode(bad)
    except cbor.Malformed:
        return
    assert cbor.encode(other) == bad


@given(st.binary(max_size=200))
@example(b"\x9b\x00\x00\x00\x01\x00\x00\x00\x00")
def test_any_bytes_decode_to_the_value_with_that_encoding_or_not_at_all(raw: bytes) -> None:
    try:
        value = cbor.decode(raw)
    except cbor.Malformed:
        return
    assert cbor.encode(value) == raw


@given(values)
def test_every_truncation_is_an_error(value: Any) -> None:
    good = cbor.encode(value)
    for end in range(len(good)):
        with pytest.raises(cbor.Malformed):
            cbor.decode(good[:end])


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("", "truncated at byte 0"),
        ("1817", "23 is not in its shortest form at byte 0"),
        ("1900ff", "255 is not in its shortest form at byte 0"),
        ("1a0000ffff", "65535 is not in its shortest form at byte 0"),
        ("1b00000000ffffffff", "4294967295 is not in its shortest form at byte 0"),
        ("811b00000000ffffffff", "4294967295 is not in its shortest form at byte 1"),
        ("0000", "bytes after the value at byte 1"),
        ("1c", "initial byte 0x1c is not in the subset at byte 0"),
        ("5f4100ff", "initial byte 0x5f is not in the subset at byte 0"),
        ("9fff", "initial byte 0x9f is not in the subset at byte 0"),
        ("bfff", "initial byte 0xbf is not in the subset at byte 0"),
        ("f7", "initial byte 0xf7 is not in the subset at byte 0"),
        ("f820", "initial byte 0xf8 is not in the subset at byte 0"),
        ("f93c00", "initial byte 0xf9 is not in the subset at byte 0"),
        ("fb3ff0000000000000", "initial byte 0xfb is not in the subset at byte 0"),
        ("ff", "initial byte 0xff is not in the subset at byte 0"),
        ("c000", "initial byte 0xc0 is not in the subset at byte 0"),
        ("c241ff", "a big integer that is not deterministic or too long at byte 0"),
        ("c249000000000000000001", "a big integer that is not deterministic or too long at byte 0"),
        ("c2" + "5881" + "ff" * 129, "a big integer that is not deterministic or too long at byte 0"),
        ("5bffffffffffffffff", "18446744073709551615 bytes promised, 0 there at byte 0"),
        ("7affffffff61", "4294967295 bytes promised, 1 there at byte 0"),
        ("9bffffffffffffffff00", "18446744073709551615 items promised, 1 bytes there at byte 0"),
        ("bb7fffffffffffffff00", "9223372036854775807 pairs promised, 1 bytes there at byte 0"),
        ("61ff", "text that is not UTF-8 at byte 0"),
        ("63eda080", "text that is not UTF-8 at byte 0"),
        ("826161" + "63eda080", "text that is not UTF-8 at byte 3"),
        ("816361", "3 bytes promised, 1 there at byte 1"),
        ("a10000", "a map key that is not text at byte 1"),
        ("a2616200616100", "map keys out of order or twice at byte 4"),
        ("a2616100616100", "map keys out of order or twice at byte 4"),
        ("81" * 33 + "00", "nested deeper than 32 at byte 32"),
        ("a16161" * 33 + "00", "nested deeper than 32 at byte 96"),
    ],
)
def test_what_no_encoder_makes(raw: str, why: str) -> None:
    with pytest.raises(cbor.Malformed) as error:
        cbor.decode(bytes.fromhex(raw))
    assert str(error.value) == why


def test_depth_of_32_is_allowed() -> None:
    assert cbor.encode(cbor.decode(b"\x81" * 32 + b"\x00")) == b"\x81" * 32 + b"\x00"


def test_a_part_of_a_buffer_decodes() -> None:
    assert cbor.decode(b"xx\x82\x01\x02yy", 2, 5) == [1, 2]
    with pytest.raises(cbor.Malformed, match=r"^3 bytes promised, 1 there at byte 1$"):
        cbor.decode(b"x\x63aa", 1, 3)


@pytest.mark.parametrize("value", [1.5, {1, 2}, object(), bytearray(b"x"), [1, 2.0], {"a": 1j}])
def test_other_types_have_no_place(value: object) -> None:
    with pytest.raises(TypeError, match=r"has no place in an image$"):
        cbor.encode(value)


def test_text_that_is_not_unicode_has_no_place() -> None:
    with pytest.raises(ValueError, match=r"surrogates not allowed"):
        cbor.encode("\udcff")


def test_an_integer_above_128_bytes_has_no_place() -> None:
    with pytest.raises(ValueError, match=r"^an integer of 129 bytes"):
        cbor.encode(1 << 1024)


def test_repeated_tuples_are_encoded_alike() -> None:
    assert cbor.encode([cbor.Names(("a", "b")), cbor.Names(("a", "b"))]) == cbor2.dumps([["a", "b"], ["a", "b"]], canonical=True)
