"""What a snapshot gives: leaves by path, the objects that they are of, and what was not followed."""

from __future__ import annotations

from holdfast.model.record import Record


class Leaf(Record):
    """One field of one live object.

    Shape:   `path` says where it was found, from a label on; a kernel pointer's value is `@` and the path of the object that it points
             at, or `set`, `null`, `unreadable`; `struct`, `field` and `type` are as the ledger names them
    """

    path: str
    value: int | str | bytes | None
    struct: str
    field: str
    type: str


class State:
    """The live state of some tasks.

    Shape:   `objects` maps the path of each object to its struct; `gaps` are edges and unions that were met and not followed, as
             `struct.field`, sorted
    """

    __slots__ = ("gaps", "leaves", "objects")

    def __init__(self, leaves: dict[str, Leaf], objects: dict[str, str], gaps: tuple[str, ...]) -> None:
        self.leaves, self.objects, self.gaps = leaves, objects, gaps
