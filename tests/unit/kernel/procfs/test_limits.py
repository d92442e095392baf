"""/proc/PID/limits. Text captured on Linux 6.18 but where a case says otherwise."""

from __future__ import annotations

import resource

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs.limits import INFINITY, NAMES, parse_limits

HEAD = b"Limit                     Soft Limit           Hard Limit           Units     \n"


@pytest.mark.parametrize(
    ("line", "limits"),
    [
        (b"Max cpu time              unlimited            unlimited            seconds   ", {"RLIMIT_CPU": (INFINITY, INFINITY)}),
        (b"Max nice priority         0                    40                   ", {"RLIMIT_NICE": (0, 40)}),
        # two numbers of 20 digits leave one space between them
        (b"Max file size             18446744073709551614 18446744073709551614 bytes     ", {"RLIMIT_FSIZE": (2**64 - 2, 2**64 - 2)}),
        (b"Max planets               8                    unlimited            planets   ", {"Max planets": (8, INFINITY)}),
    ],
)
def test_a_line(line: bytes, limits: dict[str, tuple[int, int]]) -> None:
    assert parse_limits(HEAD + line + b"\n") == limits


@pytest.mark.parametrize(
    "line", [b"Max cpu time", b"Max cpu time unlimited", b"Max cpu time 3 x seconds", b"3 4 seconds", b"Max cpu time -1 3"]
)
def test_an_unknown_form_is_an_error(line: bytes) -> None:
    with pytest.raises(KernelLacks):
        parse_limits(HEAD + line + b"\n")


def test_unlimited_is_what_getrlimit_calls_infinity() -> None:
    assert INFINITY == 0xFFFFFFFFFFFFFFFF


def test_this_process_has_every_limit_and_no_other() -> None:
    with open("/proc/self/limits", "rb") as file:
        limits = parse_limits(file.read())
    assert set(limits) == set(NAMES.values())
    assert limits["RLIMIT_NOFILE"] == tuple(INFINITY if n == -1 else n for n in resource.getrlimit(resource.RLIMIT_NOFILE))
