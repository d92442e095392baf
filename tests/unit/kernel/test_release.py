"""Releases compare by number, and ranges include their ends."""

from __future__ import annotations

import pytest

from holdfast.errors import UsageError
from holdfast.kernel.release import numbers, within


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("6.1.0-56-amd64", (6, 1, 0)),
        ("6.12.117+deb12-cloud-amd64", (6, 12, 117)),
        ("7.2", (7, 2, 0)),
        ("7.3-rc2", (7, 3, 0)),
        ("5.10.0", (5, 10, 0)),
    ],
)
def test_numbers(release: str, expected: tuple[int, int, int]) -> None:
    assert numbers(release) == expected


@pytest.mark.parametrize(
    ("release", "span", "expected"),
    [
        ("6.12", "", True),
        ("6.12", "6.7..", True),
        ("6.6.9", "6.7..", False),
        ("6.6.9", "..6.6", True),
        ("6.7", "..6.6", False),
        ("6.12.117", "6.1..6.12", True),
        ("6.12.117", "6.12.117..", True),
        ("6.12.116", "6.12.117..", False),
        ("6.12.1", "6.12", True),
        ("6.13", "6.12", False),
        ("10.0", "6.12..", True),
    ],
)
def test_within(release: str, span: str, expected: bool) -> None:
    assert within(release, span) is expected


@pytest.mark.parametrize("text", ["", "six", "v6.1", ".."])
def test_no_release(text: str) -> None:
    with pytest.raises(UsageError):
        numbers(text)
