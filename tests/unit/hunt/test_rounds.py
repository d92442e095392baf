"""hunt.rounds: what two runs may differ in by themselves."""

from __future__ import annotations

import pytest

from holdfast.hunt.rounds import masked

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
