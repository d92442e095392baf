"""Files that hold one number, or a number per key. Text captured on Linux 6.18."""

from __future__ import annotations

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs.scalar import parse_counters, parse_number, parse_timens_offsets


@pytest.mark.parametrize(
    ("file", "data", "number"),
    [
        ("coredump_filter", b"00000033\n", 0x33),
        ("personality", b"00040000\n", 0x40000),
        ("task/7/personality", b"00040000\n", 0x40000),
        ("oom_score_adj", b"-1000\n", -1000),
        ("loginuid", b"4294967295", 2**32 - 1),
        ("timerslack_ns", b"50000\n", 50000),
    ],
)
def test_number(file: str, data: bytes, number: int) -> None:
    assert parse_number(file, data) == number


@pytest.mark.parametrize("data", [b"", b"none\n", b"1 2\n"])
def test_no_number_is_an_error(data: bytes) -> None:
    with pytest.raises(KernelLacks):
        parse_number("oom_score_adj", data)


def test_counters() -> None:
    assert parse_counters("io", b"rchar: 6976\nwchar: 0\ncancelled_write_bytes: 18446744073709551615\n") == {
        "rchar": 6976,
        "wchar": 0,
        "cancelled_write_bytes": 2**64 - 1,
    }
    assert parse_counters("ksm_stat", b"ksm_rmap_items 0\nksm_process_profit -64\nksm_merge_any: no\nksm_mergeable: yes\n") == {
        "ksm_rmap_items": 0,
        "ksm_process_profit": -64,
        "ksm_merge_any": 0,
        "ksm_mergeable": 1,
    }
    with pytest.raises(KernelLacks):
        parse_counters("io", b"rchar: many\n")


def test_timens_offsets() -> None:
    assert parse_timens_offsets(b"monotonic           0         0\nboottime      -86401 999999999\n") == {
        "monotonic": 0,
        "boottime": -86_400_000_000_001,
    }
    with pytest.raises(KernelLacks):
        parse_timens_offsets(b"monotonic 0\n")
