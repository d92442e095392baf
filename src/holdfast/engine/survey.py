"""Image to overview: who was saved, which kinds, how much; of an image of any version, by its own schema alone."""

from __future__ import annotations

import os

from holdfast.errors import UsageError
from holdfast.image import read
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from holdfast.image.read import Image
    from holdfast.model.ids import ObjectId


class ShownProcess(Record):
    """One process of an image; depth 0 is the first."""

    pid: int
    depth: int
    name: str
    threads: int
    areas: int
    descriptors: int
    pages_bytes: int
    zombie: bool = False


class ShownKind(Record):
    """How much of one kind an image holds."""

    kind: str
    version: int
    records: int
    bytes: int
    must_understand: bool = True


class Shown(Record):
    """What an image holds.

    Shape:   processes in the order of the tree, parents first; kinds sorted by name
    """

    path: bytes
    digest: bytes
    tool: str
    kernel: str
    machine: str
    created_ns: int
    command: tuple[bytes, ...]
    left_running: bool
    stopped_ns: int
    features: tuple[str, ...]
    parent: bytes | None
    processes: tuple[ShownProcess, ...]
    kinds: tuple[ShownKind, ...]
    state_bytes: int
    pages_bytes: int


def show(path: bytes, trust: bool) -> Shown:
    """What an image holds.

    Raises:  bad_image.*: it is damaged, or not an image
    """
    with read.open(path, trust=trust) as image:
        facts = image.inventory
        rows = {kind: image.raw(kind) for kind in image.kinds()}
        kinds = []
        for kind in sorted(rows):
            mine = [f for f in image.frames if f.kind == kind]
            size = sum(f.payload_end - f.payload for f in mine)
            kinds.append(ShownKind(kind, mine[0].version, len(rows[kind]), size, any(f.must_understand for f in mine)))
        return Shown(
            os.path.abspath(path),
            image.digest,
            facts.tool,
            facts.kernel,
            facts.machine,
            facts.created_ns,
            tuple(facts.command),
            facts.left_running,
            facts.stopped_ns,
            tuple(sorted(facts.features)),
            facts.parent,
            tuple(_tree(image, rows)),
            tuple(kinds),
            image.frames[-1].end,
            sum(image.pages_files().values()),
        )


def records(path: bytes, kind: str, trust: bool) -> list[tuple[ObjectId, dict[str, Any]]]:
    """Every record of one kind as a plain map.

    Raises:  bad_image.*; usage.record: the image holds no such kind
    """
    with read.open(path, trust=trust) as image:
        if kind not in image.kinds():
            held = ", ".join(sorted(image.kinds()))
            raise UsageError("record", f"the image holds no record of {kind}", why=f"it holds {held}", do="name one of these")
        return image.raw(kind)


# By the names that these kinds keep for ever; what an image of the future says in another way is left out, not guessed.
def _tree(image: Image, rows: dict[str, list[tuple[ObjectId, dict[str, Any]]]]) -> Iterator[ShownProcess]:
    processes = dict(rows.get("task.process", ()))
    names = {str(i).partition(":")[2]: row.get("name") for i, row in rows.get("task.comm", ())}
    tables = {i: row.get("table") or () for i, row in rows.get("task.descriptors", ())}
    areas: dict[str, int] = {}
    for kind, found in rows.items():
        if kind.startswith("mm."):
            for i, _ in found:
                room, _, rest = i.partition(":")
                if room == "vma":
                    owner = rest.partition(":")[0]
                    areas[owner] = areas.get(owner, 0) + 1
    below: dict[Any, list[ObjectId]] = {}
    for i, row in processes.items():
        parent = row.get("parent")
        below.setdefault(parent if parent in processes else None, []).append(i)
    todo = [(i, 0) for i in below.get(None, ())]
    while todo:
        i, depth = todo.pop(0)
        todo[:0] = [(child, depth + 1) for child in below.pop(i, ())]
        number = i.partition(":")[2]
        name = names.get(number) or b""
        yield ShownProcess(
            int(number) if number.isdigit() else 0,
            depth,
            name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name),
            len(processes[i].get("threads") or ()),
            areas.get(number, 0),
            len(tables.get(i, ())),
            sum(run.pages for run in image.runs(i)) * image.inventory.page_size,
            bool(processes[i].get("zombie")),
        )
