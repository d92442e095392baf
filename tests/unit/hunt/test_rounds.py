"""hunt.rounds: what two runs may differ in by themselves."""

from __future__ import annotations

import pytest

from holdfast.hunt.rounds import apart, masked

PID = (29811).to_bytes(4, "little")  # the letters s and t, and two zeros


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (b"", b""),
        (PID, b"<nnn"),
        (bytes(4) + PID + PID, bytes(4) + b"<nnn<nnn"),
        (b"first\0\0\0", b"first\0\0\0"),
        (b"fist\0\0" + PID, b"fist\0\0" + PID),
        (b"\0" + PID + b"\0\0\0" + PID, b"\0" + PID + b"\0\0\0<nnn"),
    ],
)
def test_a_number_is_masked_only_where_the_kernel_would_put_it(data: bytes, left: bytes) -> None:
    assert masked(data, PID) == left


def test_the_end_of_a_word_is_no_number() -> None:
    number = int.from_bytes(b"64", "little").to_bytes(4, "little")
    assert masked(b"x86_64\0\0", number) == b"x86_64\0\0"
    assert masked(b"\1\0\0\0" + number, number) == b"\1\0\0\0<nnn"


def test_a_difference_far_into_a_long_text_is_seen() -> None:
    one, other = "0" * 500 + "1" + "0" * 500, "0" * 1001
    cut, also = apart(one, other)
    assert (len(cut), cut.count("1"), also.count("1")) == (206, 1, 0)
    assert apart("0 00", "0 01") == ("0 00", "0 01")
    assert apart("0 " + "f" * 300, "1 " + "f" * 300) == ("0 " + "f" * 198 + "...", "1 " + "f" * 198 + "...")
    assert apart("0 ff", "0 " + "f" * 300) == ("0 ff", "0 " + "f" * 198 + "...")
