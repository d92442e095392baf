"""A boot command line is split as the kernel splits it."""

from __future__ import annotations

import pytest

from holdfast.errors import UsageError
from holdfast.kernel.cmdline import parse


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"quiet\n", {"quiet": ("",)}),
        (b"console=tty0 console=ttyS0,115200", {"console": ("tty0", "ttyS0,115200")}),
        (b"trace-buf-size=1k", {"trace_buf_size": ("1k",)}),
        (b'dyndbg="file a.c +p" x=1', {"dyndbg": ("file a.c +p",), "x": ("1",)}),
        (b'"a=b c" d', {"a": ("b c",), "d": ("",)}),
        (b"a=b=c", {"a": ("b=c",)}),
        (b"vdso=0 -- init-arg vdso=1", {"vdso": ("0",)}),
        (b"", {}),
        (b"a\xff=1", {"a\\xff": ("1",)}),
    ],
)
def test_lines(line: bytes, expected: dict[str, tuple[str, ...]]) -> None:
    assert parse(line) == expected


@pytest.mark.parametrize("data", [b"a\0b", b"x" * 70000])
def test_what_is_no_command_line_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        parse(data)
    assert caught.value.code == "usage.cmdline.malformed"
