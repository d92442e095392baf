"""System calls as text: what a reproducer is written in; print and parse are each other's inverse.

    fd = socket(AF_UNIX=1, SOCK_STREAM=1, 0)
    setsockopt($fd, SOL_SOCKET=1, SO_KEEPALIVE=9, b'\\x01\\0\\0\\0', 4)
    pipe2(both:[8], 0)
    child: read($both@0:4, [16], 16) blocks

An argument is a number, a named number (`AF_UNIX=1`), bytes (the task gets their address), the result of an earlier
line (`$fd`, `$map+4096`), a word that an earlier line wrote into a named buffer (`$both@4:4`, offset and size in bytes), a buffer that
is read back (`[16]`, `[16 b'abc']`, `both:[8]`), or a structure whose address is passed: `{b'\\x01\\0\\0\\0', $fd:4, &[8]}`, where
bytes and words of a size stand inline, and `&` is the address of what follows. A line may begin with who does it
(the name of the line whose result is its pid) and end in `blocks`.
"""

from __future__ import annotations

import ast
import re

from holdfast.errors import UsageError
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Const(Record):
    """A number and the name that headers give it."""

    name: str
    value: int


class Ref(Record):
    """The result of an earlier line, plus a number.

    Unit:    size in bytes: how wide it stands inside a structure
    """

    name: str
    add: int = 0
    size: int = 8


class Taken(Record):
    """A little-endian word out of a named buffer of an earlier line.

    Unit:    offset and size in bytes
    """

    name: str
    offset: int
    size: int


class Room(Record):
    """A buffer that the call may fill and that is read back; `name` lets later lines take words out of it.

    Unit:    size in bytes
    """

    size: int
    initial: bytes = b""
    name: str = ""


class Pointer(Record):
    """Inside a structure: the address of something, in eight bytes."""

    to: bytes | Room | Parts


class Parts(Record):
    """A structure, passed by its address: bytes, words of a size, and addresses, one behind the other."""

    parts: tuple[bytes | Ref | Taken | Pointer, ...]


if TYPE_CHECKING:
    Value = int | Const | Ref | Taken | bytes | Room | Parts


class Line(Record):
    """One system call as written: who does it, what, and the name of its result.

    Shape:   `actor` is empty for the first process; `peek`(address, size) and `poke`(address, bytes) look at and change memory from
             outside and are no system calls; `blocks` lines go on while later lines run
    """

    call: str
    args: tuple[Value, ...] = ()
    result: str = ""
    actor: str = ""
    blocks: bool = False

    @property
    def values(self) -> Iterator[Value | Pointer]:
        """Every value among the arguments, each followed by those that it is made of."""
        return _within(self.args)

    def __str__(self) -> str:
        head = (f"{self.actor}: " if self.actor else "") + (f"{self.result} = " if self.result else "")
        return f"{head}{self.call}({', '.join(show(a) for a in self.args)})" + (" blocks" if self.blocks else "")


def _within(values: Iterable[Value | Pointer]) -> Iterator[Value | Pointer]:
    for value in values:
        yield value
        if isinstance(value, Parts):
            yield from _within(value.parts)
        elif isinstance(value, Pointer):
            yield from _within((value.to,))


def show(value: Value | Pointer) -> str:
    """One argument as text."""
    if isinstance(value, Const):
        return f"{value.name}={_number(value.value)}"
    if isinstance(value, Ref):
        plus = f"+{value.add}" if value.add > 0 else str(value.add or "")
        return f"${value.name}{plus}" + (f":{value.size}" if value.size != 8 else "")
    if isinstance(value, Taken):
        return f"${value.name}@{value.offset}:{value.size}"
    if isinstance(value, Room):
        return (f"{value.name}:" if value.name else "") + (f"[{value.size} {value.initial!r}]" if value.initial else f"[{value.size}]")
    if isinstance(value, Parts):
        return "{" + ", ".join(show(p) for p in value.parts) + "}"
    if isinstance(value, Pointer):
        return "&" + show(value.to)
    return repr(value) if isinstance(value, bytes) else _number(value)


def _number(value: int) -> str:
    return hex(value) if value > 0xFFFF else str(value)


_TOKEN = re.compile(
    r"""\s*(?:(?P<bytes>b'(?:[^'\\]|\\.)*'|b"(?:[^"\\]|\\.)*")|(?P<num>-?0[xX][0-9a-fA-F]+|-?\d+)|(?P<ref>\$\w+)|(?P<word>[A-Za-z_]\w*)"""
    r"""|(?P<op>[=:,@+\[\]{}()&-]))"""
)


class _Reader:
    def __init__(self, text: str, where: str) -> None:
        self.text, self.where = text, where
        self.tokens = list(self._tokens(text.strip()))
        self.at = 0

    def _tokens(self, text: str) -> Iterator[tuple[str, str]]:
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise self.wrong(f"{text[at : at + 20]!r} is nothing that a line can hold")
            at = found.end()
            kind = found.lastgroup or ""
            yield kind, found[kind]

    def wrong(self, why: str) -> UsageError:
        return UsageError("recipe", f"this line cannot be read: {self.text.strip()[:200]}", where=self.where, why=why)

    def peek(self, ahead: int = 0) -> tuple[str, str]:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ("end", "")

    def take(self, kind: str = "", text: str = "") -> str:
        have = self.peek()
        if (kind and have[0] != kind) or (text and have[1] != text):
            raise self.wrong(f"expected {text or kind}, found {have[1] or 'the end'}")
        self.at += 1
        return have[1]

    def skip(self, text: str) -> bool:
        if self.peek() == ("op", text):
            self.at += 1
            return True
        return False

    def number(self) -> int:
        return int(self.take("num"), 0)

    def data(self) -> bytes:
        value = ast.literal_eval(self.take("bytes"))
        assert isinstance(value, bytes)
        return value

    def room(self, name: str) -> Room:
        self.take("op", "[")
        size = self.number()
        initial = self.data() if self.peek()[0] == "bytes" else b""
        self.take("op", "]")
        if size < 0 or len(initial) > size:
            raise self.wrong(f"a buffer of {size} bytes cannot start with {len(initial)}")
        return Room(size, initial, name)

    def reference(self) -> Ref | Taken:
        name = self.take("ref")[1:]
        if self.skip("@"):
            offset = self.number()
            self.take("op", ":")
            return Taken(name, offset, self.number())
        add = 0
        if self.skip("+") or (self.peek()[0] == "num" and self.peek()[1].startswith("-")):
            add = self.number()
        return Ref(name, add, self.number() if self.skip(":") else 8)

    def parts(self) -> Parts:
        self.take("op", "{")
        found: list[bytes | Ref | Taken | Pointer] = []
        while not self.skip("}"):
            if found:
                self.take("op", ",")
            if self.skip("&"):
                kind, text = self.peek()
                found.append(Pointer(self.data() if kind == "bytes" else self.parts() if text == "{" else self.named_room()))
            elif self.peek()[0] == "bytes":
                found.append(self.data())
            else:
                found.append(self.reference())
        return Parts(tuple(found))

    def named_room(self) -> Room:
        name = self.take("word") if self.peek()[0] == "word" else ""
        if name:
            self.take("op", ":")
        return self.room(name)

    def value(self) -> Value:
        kind, text = self.peek()
        if kind == "num":
            return self.number()
        if kind == "bytes":
            return self.data()
        if kind == "ref":
            return self.reference()
        if kind == "word":
            if self.peek(1)[1] == ":":
                return self.named_room()
            name = self.take("word")
            self.take("op", "=")
            return Const(name, self.number())
        if text == "[":
            return self.room("")
        if text == "{":
            return self.parts()
        raise self.wrong(f"expected an argument, found {text or 'the end'}")


def parse_line(text: str, where: str = "") -> Line:
    """One line of text as a value.

    Raises:  usage.recipe: it cannot be read; the message says where and why
    """
    r = _Reader(text, where)
    actor = result = ""
    if r.peek(1)[1] == ":":
        actor = r.take("word")
        r.take("op", ":")
    if r.peek(1)[1] == "=":
        result = r.take("word")
        r.take("op", "=")
    call = r.take("word")
    r.take("op", "(")
    args: list[Value] = []
    while not r.skip(")"):
        if args:
            r.take("op", ",")
        args.append(r.value())
    blocks = r.peek() == ("word", "blocks")
    if blocks:
        r.take()
    if r.peek()[0] != "end":
        raise r.wrong(f"{r.peek()[1]} is left over")
    return Line(call, tuple(args), result, actor, blocks)
