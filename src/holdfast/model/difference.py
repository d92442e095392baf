"""One difference between what was dumped and what was restored."""

from __future__ import annotations

from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.model.ids import ObjectId


class Difference(Record):
    """Where, before, after, and whether it matters: one that does destroys the restored tree."""

    kind: str
    object: ObjectId
    field: str
    before: Any
    after: Any
    matters: bool = True

    def __str__(self) -> str:
        return f"{self.kind} {self.object} {self.field}: {_short(self.before)} before, {_short(self.after)} after"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"
