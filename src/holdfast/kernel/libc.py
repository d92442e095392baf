"""Functions of the C library for the standard library's gaps, without importing ctypes.

ctypes is 1.5 ms of Python around the compiled `_ctypes`, more than a small dump's freeze. This takes what is needed from `_ctypes`
itself. Python keeps that module to itself, but it has had these names since 2.5, and ctypes is made of them in the same way.
Source:  Python, Lib/ctypes/__init__.py
"""

from __future__ import annotations

import os
from _ctypes import FUNCFLAG_CDECL, FUNCFLAG_USE_ERRNO, CFuncPtr, _SimpleCData, addressof, dlopen, dlsym, get_errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _ctypes import Array
    from collections.abc import Callable
    from typing import Any

__all__ = ["INT", "LONG", "POINTER", "address_of", "addressof", "buffer", "function", "get_errno", "refused", "view_at"]


class LONG(_SimpleCData):  # type: ignore[type-arg]
    """A whole register: long, size_t, off_t, any integer argument."""

    _type_ = "l"


class INT(_SimpleCData):  # type: ignore[type-arg]
    """The result of a function that returns an int: the rest of its register is not defined."""

    _type_ = "i"


class POINTER(_SimpleCData):  # type: ignore[type-arg]
    """An address: a number, None, bytes (which are only read), or a buffer."""

    _type_ = "P"


class _Char(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class _Long(CFuncPtr):
    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
    _restype_ = LONG


class _Int(CFuncPtr):
    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
    _restype_ = INT


_library = dlopen(None, 0)  # type: ignore[arg-type]  # the program itself, as ctypes.CDLL(None)


def function(name: str, *given: type[Any], returns: type[Any] = LONG) -> Callable[..., int]:
    """A function of the C library; other threads run while it does, and get_errno tells of its failure.

    Raises:  OSError: the library has no such function
    """
    made = (_Int if returns is INT else _Long)(dlsym(_library, name))
    made.argtypes = given
    return made


def buffer(size: int) -> Array[Any]:
    """Room of so many bytes for a function to write to, zeroed; `raw` is what is in it."""
    room: Array[Any] = (_Char * size)()
    return room


def address_of(view: memoryview) -> int:
    """Where a buffer that can be written to lies; it must outlive the use."""
    return addressof((_Char * len(view)).from_buffer(view))


def view_at(address: int, size: int) -> memoryview:
    """The memory of ours at an address, to read and write; it must outlive the use."""
    return memoryview((_Char * size).from_address(address)).cast("B")


def refused(what: str) -> OSError:
    """The error of the function that failed last."""
    code = get_errno()
    return OSError(code, f"{what}: {os.strerror(code)}")
