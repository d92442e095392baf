"""What was found in a tree, which kind claims it, and what stands against a dump."""

from __future__ import annotations

from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.model.ids import ObjectId


class Refusal(Record):
    """One reason why a tree cannot be dumped or restored: code, what, where, why (with its source), what to do."""

    code: str
    what: str
    where: str = ""
    why: str = ""
    do: str = ""
    kind: str = ""

    def __str__(self) -> str:
        lines = [f"refused.{self.code}: {self.what}"]
        lines += [f"  {n:<5}  {v}" for n, v in (("where", self.where), ("why", self.why), ("do", self.do)) if v]
        return "\n".join(lines)


class Loss(Record):
    """Something that this dump carries only in part, and says so: which object, what changes, why."""

    kind: str
    object: ObjectId
    what: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.object}: {self.what}" + (f" ({self.why})" if self.why else "")


class Unchecked(Record):
    """A question that this user or kernel gave no answer to; it is never counted as good.

    Shape:   `state`: the ledger's name (struct.field) of the live kernel state that answers it, where one does
    """

    kind: str
    what: str
    why: str = ""
    state: str = ""


class Found(Record):
    """One object of the tree and the kind that claims it; `facets` are the kinds that carry more of it."""

    object: ObjectId
    kind: str
    what: str = ""
    facets: tuple[str, ...] = field(default=())


class Census(Record):
    """Every object found; exactly one kind claims each."""

    objects: tuple[Found, ...]

    def count(self, kind: str) -> int:
        """How many objects a kind claims."""
        return sum(1 for o in self.objects if o.kind == kind)


class Admission(Record):
    """The census judged: all refusals at once, all losses, and what could not be checked.

    Shape:   `unread`: why live kernel structs were not read, where they were not
    """

    census: Census
    refusals: tuple[Refusal, ...] = ()
    losses: tuple[Loss, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    unread: Unchecked | None = None
    strict: bool = False  # nothing that could not be checked is good enough

    @property
    def verdict(self) -> str:
        """REFUSED, UNKNOWN, LOSSY or OK: the first word of every answer."""
        if self.refusals:
            return "REFUSED"
        if self.unchecked or (self.unread is not None and self.strict):
            return "UNKNOWN"
        return "LOSSY" if self.losses else "OK"
