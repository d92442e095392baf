"""Image against live tree: what differs.

After a restore the tree is looked at by the code that looked at the original, and every record is compared by its kind.
"""

from __future__ import annotations

from holdfast.engine.admit import admit, told
from holdfast.engine.inside import Inside, describe
from holdfast.errors import Refused
from holdfast.kinds.contract import compare_fields
from holdfast.model.difference import Difference
from holdfast.model.ids import ObjectId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from holdfast.kinds.contract import Kind
    from holdfast.kinds.evidence import TreeEvidence
    from holdfast.tracee.gadget import Gadget
    from holdfast.tracee.inject import Area
    from holdfast.tracee.seize import Held


def verify(
    held: Held,
    tree: TreeEvidence,
    records: Mapping[str, Mapping[str, Any]],
    kinds: Mapping[str, Kind],
    ignored: frozenset[str] = frozenset(),
    there: Mapping[int, tuple[Gadget, Area]] | None = None,
) -> list[Difference]:
    """Every difference between the image's records and the tree.

    Shape:   `there`: by pid, an area that a process has still, and a syscall instruction of its own; the areas are gone afterwards
    Needs:   the tree is stopped by us; the caller closes it
    """
    given = _leave_out(tree, records)
    admitted = admit(tree)
    inside = Inside(held, tree.processes, there=there)
    inside.open()
    try:
        now = describe(inside, [(ev, kind.verbs["dump"]) for kind, ev in admitted.carriers])
    finally:
        inside.close()
    found: dict[str, dict[ObjectId, Any]] = {}
    refusals = list(admitted.admission.refusals)
    for (kind, ev), record in zip(admitted.carriers, now, strict=True):
        if isinstance(record, Refused):
            refusals += told(kind.name, record)
        elif record is not None:
            found.setdefault(kind.name, {})[ev.id] = record
    out = [Difference(r.kind, tree.id, "refused", "", str(r)) for r in refusals]
    for name, kind in kinds.items():
        before: Mapping[Any, Any] = records.get(name, {})
        after: Mapping[Any, Any] = found.get(name, {})
        if name in ignored:
            continue
        if kind.subject == "vma" and kind.claims:
            before, after = _merged(before), _merged(after)
        for id in (before.keys() | after.keys()) - (given if kind.subject == "file" else frozenset()):
            a, b = before.get(id), after.get(id)
            if a is None or b is None:
                # no record says the same as one with every default, where there is such a thing
                nothing = _empty(kind)
                if nothing is None:
                    out.append(Difference(name, id, "", a, b))
                    continue
                a, b = nothing if a is None else a, nothing if b is None else b
            if a == b:
                continue
            compare = kind.verbs.get("compare")
            out.extend(compare(a, b, id) if compare is not None else compare_fields(name, id, a, b))
    return out


def _leave_out(tree: TreeEvidence, records: Mapping[str, Mapping[str, Any]]) -> frozenset[ObjectId]:
    # what the restorer gave of its own, as its caller wished, may be anything and is nobody's to compare
    given: frozenset[ObjectId] = frozenset(map(ObjectId, records.get("fd.inherited", ())))
    if given:
        for file in tree.files:
            if file.id in given:
                file.close()  # the tree, which closes the others, forgets it
        tree.files = [f for f in tree.files if f.id not in given]
        for inode in tree.inodes:
            inode.files = [f for f in inode.files if f.id not in given]
        tree.inodes = [i for i in tree.inodes if i.files or i.vmas]
    return given


def _empty(kind: Kind) -> Any:
    try:
        return kind.record()
    except TypeError:  # a field has no default
        return None


def _merged(areas: Mapping[Any, Any]) -> dict[Any, Any]:
    """Neighbouring areas that differ in nothing as one: how the kernel splits equal neighbours is its own affair."""
    out: dict[Any, Any] = {}
    last: Any = None
    last_id: Any = None
    for id, rec in sorted(areas.items(), key=lambda kv: (str(kv[0]).split(":")[1], kv[1].start)):
        process = str(id).split(":")[1]
        if last is not None and last.end == rec.start and str(last_id).split(":")[1] == process and _joinable(last, rec):
            last = last.replace(end=rec.end)
            out[last_id] = last
            continue
        last, last_id = rec, id
        out[id] = rec
    return out


def _joinable(a: Any, b: Any) -> bool:
    for name, value in a.items():
        if name in ("start", "end"):
            continue
        if name == "offset":
            if b.offset != value + (a.end - a.start):
                return False
        elif getattr(b, name) != value:
            return False
    return True
