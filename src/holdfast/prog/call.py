"""A program: a list of system calls that a stopped task runs, without a Python round trip between them.

A call's argument is a number, bytes (the task gets their address), a buffer to fill (`Out`), a structure with
pointers in it (`Struct`), the result of an earlier call (the `Call` itself), or a word that an earlier call wrote
into a buffer (`Word`). Programs are joined by adding their calls; identity, not position, names results and buffers.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeVar

    T = TypeVar("T")

ANY = "any"
OK = "ok"


class Out:
    """A buffer of zeros in the task's memory, read back after the program has run."""

    __slots__ = ("initial", "size")

    def __init__(self, size: int, initial: bytes = b"") -> None:
        if len(initial) > size or size < 0:
            raise ValueError(f"a buffer of {size} bytes cannot start with {len(initial)}")
        self.size, self.initial = size, initial


class Struct:
    """Bytes with addresses in them: each part is bytes, or something whose address fills eight bytes."""

    __slots__ = ("parts",)

    def __init__(self, *parts: bytes | Out | Struct | At | Block) -> None:
        self.parts = parts


class Block:
    """Bytes placed once, so that several arguments can share their address."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class At:
    """The address of a byte inside a buffer or structure."""

    __slots__ = ("of", "offset")

    def __init__(self, of: Out | Struct | Block, offset: int) -> None:
        self.of, self.offset = of, offset


class Word:
    """The 64-bit word at an offset of a buffer, read when the call is made (a 32-bit argument takes its low half)."""

    __slots__ = ("offset", "out")

    def __init__(self, out: Out, offset: int = 0) -> None:
        self.out, self.offset = out, offset


class Call:
    """One system call: its name, its arguments, and what its result must be for the program to go on."""

    __slots__ = ("args", "check", "child", "name")

    def __init__(self, name: str, args: tuple[Arg, ...], check: str | int, child: Program | None = None) -> None:
        self.name, self.args, self.check, self.child = name, args, check, child

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(_show(a) for a in self.args)})"


if TYPE_CHECKING:
    Arg = int | bytes | Out | Struct | Block | At | Word | Call


def _show(arg: Arg) -> str:
    if isinstance(arg, int):
        return hex(arg) if arg > 4096 else str(int(arg))
    if isinstance(arg, bytes):
        return repr(arg[:40])
    if isinstance(arg, Call):
        return f"<{arg.name}>"
    return f"<{type(arg).__name__.lower()}>"


class Program:
    """Calls in order; the first whose result is not what it must be stops the program.

    Shape:   `check` is OK (no errno), ANY (go on), or the exact result wanted
    """

    __slots__ = ("calls",)

    def __init__(self, calls: Iterable[Call] = ()) -> None:
        self.calls = list(calls)

    def call(self, name: str, *args: Arg, check: str | int = OK) -> Call:
        """Add a call; the returned value stands for its result in later arguments."""
        if len(args) > 6:
            raise ValueError(f"{name}: a system call takes at most 6 arguments, not {len(args)}")
        made = Call(name, args, check)
        self.calls.append(made)
        return made

    def fork(self, name: str, *args: Arg, child: Program) -> Call:
        """Add a call that returns twice: where it returns 0, `child` goes on instead."""
        made = Call(name, args, OK, child)
        self.calls.append(made)
        return made

    def extend(self, other: Program) -> None:
        """Append another program's calls."""
        self.calls.extend(other.calls)

    def __len__(self) -> int:
        return len(self.calls)


AT_ONCE = 500


def in_turn(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Items of which a process may have thousands, as many at a time as have a call each in a program that fits beside others."""
    for i in range(0, len(items), AT_ONCE):
        yield items[i : i + AT_ONCE]


class Answers:
    """What the calls of a program returned, and what they wrote."""

    __slots__ = ("_outs", "_values")

    def __init__(self, values: dict[int, int], outs: dict[int, bytes]) -> None:
        self._values, self._outs = values, outs

    def value(self, call: Call) -> int:
        """The raw result: a number, or minus an errno."""
        return self._values[id(call)]

    def data(self, out: Out) -> bytes:
        """The bytes of a buffer after the run."""
        return self._outs[id(out)]
