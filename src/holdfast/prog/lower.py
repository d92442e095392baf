"""A program to machine words, for the loop that runs inside a stopped task.

Rows of ten 64-bit little-endian words: number, flags, six arguments, expectation, result. Flags 0..5: argument is the
address of a word to load first; 8..9: 0 go on, 1 stop on an errno, 2 stop unless equal, 3 where the result is 0 go on at the
row whose address is the expectation. A row whose number is all ones ends the table. Data follows the rows. Until a row has run its
result is NOT_RUN, which no call returns.
"""

from __future__ import annotations

from struct import Struct as Format

from holdfast.prog.call import ANY, OK, Answers, At, Block, Call, Out, Program, Struct, Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


ROW = Format("<10Q")
ROW_SIZE = ROW.size
RESULT_AT = 72
NOT_RUN = 1 << 63
MASK = (1 << 64) - 1
END = ROW.pack(MASK, *([0] * 9))


class Lowered:
    """A program placed at an address: its bytes, and where each result and buffer will be."""

    __slots__ = ("base", "calls", "image", "outs", "size")

    def __init__(self, base: int, image: bytes, calls: list[tuple[Call, int]], outs: list[tuple[Out, int]]) -> None:
        self.base, self.image, self.calls, self.outs = base, image, calls, outs
        self.size = len(image)

    def answers(self, memory: bytes) -> Answers:
        """Read results and buffers back out of the memory that the program ran in."""
        values = {}
        for call, at in self.calls:
            raw = int.from_bytes(memory[at + RESULT_AT : at + ROW_SIZE], "little", signed=True)
            values[id(call)] = raw
        return Answers(values, {id(o): memory[at : at + o.size] for o, at in self.outs})

    def row_of(self, address: int) -> Call | None:
        """The call whose row is at an address, or nothing for the end of the table."""
        low, high, wanted = 0, len(self.calls), address - self.base
        while low < high:  # rows are in order
            mid = (low + high) // 2
            low, high = (mid + 1, high) if self.calls[mid][1] < wanted else (low, mid)
        return self.calls[low][0] if low < len(self.calls) and self.calls[low][1] == wanted else None


def lower(program: Program, base: int, numbers: Mapping[str, int]) -> Lowered:
    """Place a program at `base`: rows first, then data.

    Raises:  ValueError: an argument refers to a call that does not come before it
    """
    tables: list[Program] = [program]
    for table in tables:
        tables.extend(c.child for c in table.calls if c.child is not None)
    starts: dict[int, int] = {}
    rows: dict[int, int] = {}  # of the calls that come before
    placed: list[tuple[Call, int]] = []
    at = 0
    for table in tables:
        starts[id(table)] = at
        at += ROW_SIZE * (len(table.calls) + 1)
    data_at = at
    data = bytearray()
    spots: dict[int, int] = {}
    outs: list[tuple[Out, int]] = []

    def put(blob: bytes | bytearray) -> int:
        spot = data_at + len(data)
        data.extend(blob)
        if len(data) & 7:
            data.extend(bytes(-len(data) & 7))
        return spot

    def place(arg: Out | Struct | Block | At) -> int:
        if isinstance(arg, At):
            return place(arg.of) + arg.offset
        spot = spots.get(id(arg))
        if spot is not None:
            return spot
        if isinstance(arg, Out):
            spot = put(arg.initial + bytes(arg.size - len(arg.initial)))
            outs.append((arg, spot))
        elif isinstance(arg, Block):
            spot = put(arg.data)
        else:
            blob = b"".join(p if isinstance(p, bytes) else (place(p) + base).to_bytes(8, "little") for p in arg.parts)
            spot = put(blob)
        spots[id(arg)] = spot
        return spot

    image: list[bytes | bytearray] = []
    at = 0
    for table in tables:
        for call in table.calls:
            words = [0, 0, 0, 0, 0, 0]
            flags = expect = 0
            for i, arg in enumerate(call.args):
                if isinstance(arg, int):
                    words[i] = arg & MASK
                elif isinstance(arg, Call):
                    row = rows.get(id(arg))
                    if row is None:
                        raise ValueError(f"{call!r} uses the result of {arg!r}, which does not come before it")
                    words[i] = base + row + RESULT_AT
                    flags |= 1 << i
                elif isinstance(arg, Word):
                    words[i] = base + place(arg.out) + arg.offset
                    flags |= 1 << i
                elif isinstance(arg, bytes):
                    words[i] = base + put(arg)
                else:
                    words[i] = base + place(arg)
            check = call.check
            if call.child is not None:
                flags |= 3 << 8
                expect = base + starts[id(call.child)]
            elif check == OK:
                flags |= 1 << 8
            elif check != ANY:
                flags |= 2 << 8
                expect = int(check) & MASK
            image.append(ROW.pack(numbers[call.name], flags, *words, expect, NOT_RUN))
            rows[id(call)] = at
            placed.append((call, at))
            at += ROW_SIZE
        image.append(END)
        at += ROW_SIZE
    image.append(data)
    return Lowered(base, b"".join(image), placed, outs)
