"""Programs as text: print and parse undo each other, and what cannot be read says where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.prog.text import Const, Line, Parts, Pointer, Ref, Room, Taken, parse_line, show

LINES = (
    "getpid()",
    "fd = socket(AF_UNIX=1, SOCK_STREAM=1, 0)",
    "setsockopt($fd, SOL_SOCKET=1, SO_KEEPALIVE=9, b'\\x01\\x00', 2)",
    "child: r = read($both@0:4, both:[16 b'ab\\x00'], $m+4096, $m-1) blocks",
    "ioctl($fd, {b'\\x01', $fd:4, &[8], &{b'x', &b'y'}, &n:[4], $q@0:4}, 0x12345678)",
)

names = st.from_regex(r"[a-z]\w{0,6}", fullmatch=True)
numbers = st.integers(-(1 << 63), (1 << 64) - 1)
rooms = st.builds(
    lambda size, data, name: Room(size + len(data), data, name), st.integers(0, 64), st.binary(max_size=8), st.just("") | names
)
references = st.builds(Ref, names, st.integers(-9999, 9999), st.sampled_from((1, 2, 4, 8))) | st.builds(
    Taken, names, st.integers(0, 64), st.sampled_from((1, 2, 4, 8))
)
parts = st.recursive(
    st.builds(lambda p: Parts(tuple(p)), st.lists(st.binary(max_size=6) | references, max_size=3)),
    lambda inner: st.builds(
        lambda p: Parts(tuple(p)),
        st.lists(st.binary(max_size=6) | references | st.builds(Pointer, st.binary(max_size=6) | rooms | inner), max_size=3),
    ),
    max_leaves=4,
)
values = numbers | st.builds(Const, names, numbers) | references | st.binary(max_size=12) | rooms | parts
lines = st.builds(
    lambda call, args, result, actor, blocks: Line(call, tuple(args), result, actor, blocks),
    names,
    st.lists(values, max_size=6),
    st.just("") | names,
    st.just("") | names,
    st.booleans(),
)


@pytest.mark.parametrize("text", LINES)
def test_a_line_is_printed_as_it_was_written(text: str) -> None:
    assert str(parse_line(text)) == text


@given(lines)
def test_every_line_comes_back_from_its_text(line: Line) -> None:
    assert parse_line(str(line)) == line


@pytest.mark.parametrize(
    "text",
    [
        "",
        "read",
        "read(",
        "read(1",
        "read(1,)",
        "read(1) more",
        "read(b'x)",
        "read([2 b'abc'])",
        "read(NAME)",
        "read({1})",
        "1 = read()",
        "read(1) blocks x",
    ],
)
def test_what_cannot_be_read_says_where(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_line(text, "file:3")
    assert caught.value.code == "usage.recipe"
    assert caught.value.where == "file:3"


def test_a_large_number_is_shown_in_hexadecimal() -> None:
    assert (show(65535), show(65536), show(-1)) == ("65535", "0x10000", "-1")
