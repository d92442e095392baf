"""Records of no kernel object, with every type that an image can store; images made of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from holdfast.image import read, write
from holdfast.image.inventory import Inventory
from holdfast.image.pages import ZERO, Run
from holdfast.model.ids import Fd, NsPid, ObjectId, RemoteAddr
from holdfast.model.record import Record, field

if TYPE_CHECKING:
    from pathlib import Path


class Policy(Record):
    """A record inside a record."""

    mode: str
    nodes: tuple[int, ...] = ()


class Area(Record):
    """Every type of the grammar."""

    start: RemoteAddr
    size: int = field(unit="bytes")
    path: bytes | None
    flags: frozenset[str]
    shared: bool
    device: tuple[int, int]
    owner: ObjectId
    slots: tuple[Fd, ...] = ()
    pid: NsPid | None = None
    policy: Policy | None = None
    past: tuple[Policy, ...] = ()
    words: tuple[str, ...] = ()
    pairs: tuple[tuple[int, bytes | None], ...] = ()
    label: str = ""
    offset: int = field(default=0, unit="bytes", since=1)
    hint: str = field(default="", may_ignore=True)


class Counter(Record):
    """A small record."""

    count: int
    name: str = "none"


class Note(Record):
    """What a reader may skip."""

    text: str


AREAS = [
    (
        ObjectId("area:1:0"),
        Area(
            RemoteAddr(0x7F0000000000),
            8192,
            b"/usr/lib/\xff.so",
            frozenset({"read", "may_exec"}),
            False,
            (8, 1),
            ObjectId("process:1"),
            slots=(Fd(0), Fd(9)),
            pid=NsPid(7),
            policy=Policy("bind", (0, 3)),
            past=(Policy("default"), Policy("local", (1,))),
            words=("b", "a"),
            pairs=((1, b"x"), (-(2**63), None)),
            label="ü",
            offset=2**64 - 4096,
            hint="for people",
        ),
    ),
    (
        ObjectId("area:1:1"),
        Area(RemoteAddr(2**64 - 4096), -1, None, frozenset(), True, (-1, 2**200), ObjectId("process:2"), policy=Policy("interleave")),
    ),
]
COUNTERS = [(ObjectId(f"counter:{n}"), Counter(n * 2**40)) for n in range(3)]
NOTES = [(ObjectId("note:1"), Note("nothing that matters"))]
FACTS = Inventory(
    "holdfast 0.1.0",
    "6.1.0-0-amd64",
    "x86_64",
    1_700_000_000_000_000_000,
    ObjectId("process:1"),
    command=(b"sleep", b"1000"),
    kernel_build="#1 SMP",
)
REGISTRY: dict[str, Any] = {"test.area": (Area, 1, {}), "test.counter": (Counter, 1, {}), "test.note": (Note, 1, {})}
PAGES = bytes(range(256)) * 16 + b"\xaa" * 4096


def make(path: Path, facts: Inventory = FACTS) -> write.Sealed:
    """A whole image: three kinds, one of them ignorable, pages, an index."""
    with write.Writer(path) as writer:
        writer.add("test.area", 1, Area, AREAS)
        writer.add("test.counter", 1, Counter, COUNTERS[:2])
        writer.add("test.counter", 1, Counter, COUNTERS[2:])
        writer.add("test.note", 1, Note, NOTES, must_understand=False)
        file = writer.pages(1)
        assert os.pwrite(file.fd, PAGES, 0) == len(PAGES)
        writer.index(
            [
                Run(ObjectId("process:1"), RemoteAddr(0x7F0000000000), 2, 1, 0),
                Run(ObjectId("process:1"), RemoteAddr(0x7F0000002000), 1, encoding=ZERO),
                Run(ObjectId("process:2"), RemoteAddr(0x1000), 1, 1, 4096),
            ]
        )
        return writer.seal(facts)


def load(path: Path, registry: dict[str, Any] | None = None) -> read.Image:
    """The image, decoded with the registry of these records unless another is given."""
    return read.open(path, REGISTRY if registry is None else registry)
