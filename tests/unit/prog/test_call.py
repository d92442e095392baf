"""Calls and programs as values: what they refuse, how they show themselves."""

from __future__ import annotations

import pytest

from holdfast.prog.call import Out, Program


def test_a_call_shows_its_arguments_as_a_person_wants_them() -> None:
    program = Program()
    first = program.call("open", b"/etc\0", 0x8000, 5)
    assert repr(program.call("read", first, Out(4), 4)) == "read(<open>, <out>, 4)"
    assert repr(first) == "open(b'/etc\\x00', 0x8000, 5)"


def test_seven_arguments_are_too_many() -> None:
    with pytest.raises(ValueError, match=r"^read: a system call takes at most 6 arguments, not 7$"):
        Program().call("read", 1, 2, 3, 4, 5, 6, 7)


def test_a_buffer_cannot_start_with_more_than_it_holds() -> None:
    with pytest.raises(ValueError, match=r"^a buffer of 2 bytes cannot start with 3$"):
        Out(2, b"abc")
