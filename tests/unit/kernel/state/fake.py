"""Kernel memory that a test writes, layouts that it says, and names of functions that it gives."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from holdfast.kernel.state.layouts import Layouts
from holdfast.kernel.state.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.kernel.state.symbols import Symbols
    from holdfast.kernel.state.walk import After

KERNEL = 0xFFFF888000000000  # where objects of the tests are


class FakeMemory:
    """Bytes by address; whatever was not written is a fault."""

    def __init__(self, **objects: int) -> None:
        self._bytes: dict[int, int] = {}
        self.task = objects.get("task", 0)
        self.reads = 0

    def put(self, address: int, data: bytes) -> None:
        """Some bytes at an address."""
        self._bytes.update(enumerate(data, address))

    def word(self, address: int, value: int, size: int = 8) -> None:
        """A number at an address."""
        self.put(address, value.to_bytes(size, "little", signed=value < 0))

    def read(self, address: int, size: int) -> bytes:
        """As a Memory."""
        self.reads += 1
        try:
            return bytes([self._bytes[address + i] for i in range(size)])
        except KeyError:
            raise OSError(errno.EFAULT, f"{size} bytes at {address:#x}") from None

    def current(self) -> int:
        """As a Memory."""
        return self.task

    def close(self) -> None:
        """As a Memory."""


class FakeSymbols:
    """Names by address."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names

    def name(self, address: int) -> str:
        """As Symbols."""
        return self._names.get(address, "")

    def address(self, name: str) -> int:
        """As Symbols."""
        return next((address for address, known in self._names.items() if known == name), 0)


def row(
    path: str, offset: int, kind: str, size: int = 8, own: str = "", target: str = "", when: str = "", bits: tuple[int, int] = (0, 0)
) -> str:
    """One line of a plan, as the ledger names it by the struct in front of `own`."""
    struct, _, field = own.partition(".")
    return "\t".join((path, str(offset), str(bits[0]), str(bits[1]), str(size), kind, target, own, struct, field, "type", when))


def layouts(structs: Mapping[str, tuple[int, list[str]]], places: Mapping[str, tuple[int, int]] | None = None) -> Layouts:
    """Layouts from lines of plans by struct, and from places."""
    head = ["holdfast kernel state 3", *(f"{name} {at} {size} 0 0" for name, (at, size) in (places or {}).items())]
    sections = ["\n".join([f"{name} {size} ", *lines]) for name, (size, lines) in structs.items()]
    return Layouts("\n\n".join(["\n".join(head), *sections]))


def walk(memory: FakeMemory, found: Layouts, names: Mapping[int, str] | None = None, after: Mapping[str, After] | None = None) -> Walk:
    """A walk through such memory."""
    symbols: Symbols = FakeSymbols(names or {})  # type: ignore[assignment]
    return Walk(memory, found, symbols, dict(after or {}), {})
