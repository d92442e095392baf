"""The bytes of a frame, and bytes that are none."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from blake3 import blake3

from holdfast.errors import BadImage
from holdfast.image import frame

GOOD, DIGEST = frame.pack("fd.eventfd", 3, b"payload")


def test_every_byte_is_where_the_format_says() -> None:
    assert GOOD[:8] == b"\x93HOLD\r\n\x1a"
    assert struct.unpack_from("<IHHIIQ", GOOD, 8) == (42, 1, 10, 3, 0, 7)
    assert GOOD[32:42] == b"fd.eventfd"
    assert GOOD[42:49] == b"payload"
    assert GOOD[49:] == DIGEST == blake3(GOOD[:49]).digest()


def test_frames_follow_each_other_without_gaps() -> None:
    data = GOOD + frame.pack("b", 1, b"", must_understand=False)[0] + GOOD
    found = list(frame.scan(data))
    assert [(f.kind, f.version, f.must_understand, data[f.payload : f.payload_end]) for f in found] == [
        ("fd.eventfd", 3, True, b"payload"),
        ("b", 1, False, b""),
        ("fd.eventfd", 3, True, b"payload"),
    ]
    assert [a.end == b.start for a, b in pairwise(found)] == [True, True]


def test_a_longer_header_of_a_later_version_is_skipped() -> None:
    longer = GOOD[:8] + struct.pack("<I", 42 + 5) + GOOD[12:42] + b"later" + b"payload"
    (found,) = frame.scan(longer + blake3(longer).digest())
    assert (found.kind, longer[found.payload : found.payload_end]) == ("fd.eventfd", b"payload")


def test_a_scanner_finds_the_next_frame_behind_damage() -> None:
    data = b"damaged" + GOOD[3:] + GOOD
    assert frame.find(data) == len(data) - len(GOOD)
    assert frame.find(data, len(data) - len(GOOD) + 1) == -1


def test_every_changed_byte_is_seen() -> None:
    for at in range(len(GOOD)):
        bad = GOOD[:at] + bytes([GOOD[at] ^ 0x10]) + GOOD[at + 1 :]
        with pytest.raises(BadImage):
            list(frame.scan(bad))


def test_every_truncation_is_seen() -> None:
    for end in range(1, len(GOOD)):
        with pytest.raises(BadImage) as error:
            list(frame.scan(GOOD[:end]))
        assert error.value.code == "bad_image.truncated", end


def header(**change: int) -> bytes:
    """The good frame with other numbers in its header and a fitting digest."""
    fields = {"header": 42, "flags": 1, "name": 10, "version": 3, "zero": 0, "size": 7} | change
    body = GOOD[:8] + struct.pack("<IHHIIQ", *fields.values()) + GOOD[32:49]
    return body + blake3(body).digest()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"header": 41}, "malformed"),
        ({"header": 0}, "malformed"),
        ({"header": 4097}, "malformed"),
        ({"header": 2**32 - 1}, "malformed"),
        ({"name": 0}, "malformed"),
        ({"name": 11}, "malformed"),
        ({"name": 65535}, "malformed"),
        ({"version": 0}, "malformed"),
        ({"zero": 1}, "malformed"),
        ({"flags": 3}, "frame_flag"),
        ({"flags": 0x81}, "frame_flag"),
        ({"size": 8}, "truncated"),
        ({"size": 2**64 - 1}, "truncated"),
        ({"size": 2**63}, "truncated"),
    ],
)
def test_an_impossible_header_is_refused(change: dict[str, int], code: str) -> None:
    with pytest.raises(BadImage) as error:
        list(frame.scan(header(**change)))
    assert error.value.code == f"bad_image.{code}"


def test_an_unknown_flag_that_may_be_ignored_is_ignored() -> None:
    assert [f.must_understand for f in frame.scan(header(flags=0x0101))] == [True]


@pytest.mark.parametrize("name", ["", "X", "1a", ".a", "a b", "a/b", "ä", "a" * 65, "a\n"])
def test_a_kind_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"cannot name a frame$"):
        frame.pack(name, 1, b"")
    body = GOOD[:8] + struct.pack("<IHHIIQ", 32 + len(name.encode()), 1, len(name.encode()), 3, 0, 0) + name.encode()
    with pytest.raises(BadImage):
        list(frame.scan(body + blake3(body).digest()))


@pytest.mark.parametrize("version", [0, -1, 1 << 32])
def test_a_version_is_a_positive_32_bit_number(version: int) -> None:
    with pytest.raises(ValueError, match=r"cannot name a frame$"):
        frame.pack("a", version, b"")


def test_something_else_is_not_an_image() -> None:
    with pytest.raises(BadImage) as error:
        list(frame.scan(b"\x7fELF\x02\x01\x01" + bytes(100)))
    assert (error.value.code, error.value.where) == ("bad_image.magic", "state byte 0")
