"""The C library without ctypes: arguments, results, errors."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from holdfast.kernel.libc import INT, LONG, POINTER, address_of, addressof, buffer, function, refused, view_at
from tests.repo import tree


def test_an_argument_keeps_all_64_bits() -> None:
    labs = function("labs", LONG)
    assert labs(-(1 << 62) - 1) == (1 << 62) + 1


def test_the_result_of_a_function_that_returns_an_int_is_that_int() -> None:
    close = function("close", LONG, returns=INT)
    assert close(-1) == -1


def test_a_failure_is_told_with_its_number() -> None:
    close = function("close", LONG, returns=INT)
    assert close(-1) == -1
    told = refused("closing what is not open")
    assert (told.errno, told.strerror) == (errno.EBADF, f"closing what is not open: {os.strerror(errno.EBADF)}")


def test_a_buffer_is_zeroed_and_takes_what_a_function_writes() -> None:
    room = buffer(8)
    assert room.raw == bytes(8)
    memset = function("memset", POINTER, LONG, LONG, returns=INT)
    memset(room, 7, 3)
    memset(addressof(room) + 4, 9, 1)
    assert room.raw == b"\7\7\7\0\11\0\0\0"


def test_bytes_are_given_by_their_address() -> None:
    strnlen = function("strnlen", POINTER, LONG)
    assert strnlen(b"abc\0def", 100) == 3


def test_a_name_that_the_library_does_not_have_is_an_error() -> None:
    with pytest.raises(OSError, match="holdfast_has_no_such_function"):
        function("holdfast_has_no_such_function")


def test_the_hands_come_without_ctypes() -> None:
    program = f"import sys; sys.path[:0] = [{str(tree.SRC.parent)!r}]; import holdfast.tracee.inject; print('ctypes' in sys.modules)"
    done = subprocess.run([sys.executable, "-IS", "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_the_address_of_a_view_is_that_of_its_first_byte() -> None:
    room = bytearray(b"abcdef")
    memset = function("memset", POINTER, LONG, LONG, returns=INT)
    memset(address_of(memoryview(room)[2:5]), ord("x"), 3)
    assert room == b"abxxxf"


def test_a_view_at_an_address_reads_and_writes_there() -> None:
    room = bytearray(b"abcdef")
    view = view_at(address_of(memoryview(room)) + 1, 4)
    assert bytes(view) == b"bcde"
    view[1:3] = b"YZ"
    assert room == b"abYZef"
