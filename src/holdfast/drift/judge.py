"""Every difference between two kernels, joined with the ledger: what breaks, what would be lost in silence, what was decided.

breaks     a field, bit or name that an image relies on is gone or has another number
silent     something new that nobody has decided
check      something that is carried changed its type: does the record still hold it?
undecided  something that nobody had decided changed or went
covered    something new, decided by a rule or a whole-object row before it existed
decided    something new, decided by a row of its own
gone       something went that was not carried
changed    something that is not carried changed
moved      only its place in the struct changed
"""

from __future__ import annotations

from collections import Counter

from holdfast.drift import carriers
from holdfast.drift.diff import Change, changes
from holdfast.drift.ledger import UNDECIDED, Row
from holdfast.model.finding import Finding
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.drift.carriers import Known
    from holdfast.drift.guards import Guards
    from holdfast.drift.ledger import Ledger, Topic
    from holdfast.drift.maintainers import Maintainers
    from holdfast.drift.snapshot import Snapshot

VERDICTS = ("silent", "breaks", "undecided", "check", "covered", "decided", "changed", "gone", "moved")
SEVERITY = {"breaks": "critical", "silent": "high", "check": "medium", "undecided": "low"}
MASSACRE = 8  # from this many changes in one struct on, they are shown as one


class Judged(Record):
    """One difference and what it means.

    Shape:   `guard` is the Kconfig symbol that the field depends on, where that is known; `config` says that the two kernels differ in it
    """

    change: Change
    row: Row
    verdict: str
    area: str
    file: str
    kinds: tuple[str, ...]
    guard: str = ""
    config: bool = False
    rule: str = ""  # a rule that fits and that would decide it, once swept


class Massacre(Record):
    """Many changes that are one: of one type that was replaced everywhere, of one struct, or of the structs of one file."""

    title: str
    area: str
    file: str
    parts: tuple[Judged, ...]

    @property
    def verdict(self) -> str:
        """The worst verdict among its parts."""
        return min((p.verdict for p in self.parts), key=VERDICTS.index)


class Judgement(Record):
    """The comparison of two kernels.

    Shape:   `singles` and the parts of `massacres` are all differences but moves, each once, the worst verdict first
    """

    old: str
    new: str
    fields_old: int
    fields_new: int
    singles: tuple[Judged, ...]
    massacres: tuple[Massacre, ...]
    moved: tuple[Judged, ...]
    warnings: tuple[str, ...]

    def all(self) -> tuple[Judged, ...]:
        """Every difference but moves, the worst verdict first."""
        return tuple(sorted((*self.singles, *(p for m in self.massacres for p in m.parts)), key=_order))

    def counts(self) -> dict[str, int]:
        """How many differences have each verdict."""
        found = Counter(j.verdict for j in self.all())
        found["moved"] = len(self.moved)
        return {v: found.get(v, 0) for v in VERDICTS}


def judge(
    old: Snapshot,
    new: Snapshot,
    ledger: Ledger,
    known: Known,
    guards: Guards | None = None,
    warnings: Iterable[str] = (),
    more: Sequence[Change] = (),
) -> Judgement:
    """Compare two snapshots and join the ledger; `more` are changes found otherwise (flags, facts)."""
    judged = succession([_one(change, old, new, ledger, known, guards) for change in (*changes(old, new), *more)])
    moved = tuple(j for j in judged if j.verdict == "moved")
    rest = [j for j in judged if j.verdict != "moved"]
    massacres, singles = gather(rest)
    return Judgement(old.name, new.name, old.fields, new.fields, tuple(singles), tuple(massacres), moved, tuple(warnings))


def _order(j: Judged) -> tuple[int, str, str, str]:
    return VERDICTS.index(j.verdict), j.area, j.change.holder, j.change.part


def _one(change: Change, old: Snapshot, new: Snapshot, ledger: Ledger, known: Known, guards: Guards | None) -> Judged:
    row, topic = decision(change, old, new, ledger)
    guard = guards.of(change.holder, change.part) if guards and change.domain == "struct" else ""
    config = bool(guard and guards and guards.differs(guard))
    rule = ""
    if row is UNDECIDED and change.domain == "struct":
        text = (change.new or change.old).rpartition(", ")[0] or change.new or change.old
        fitting = ledger.ruled(change.holder, change.part, text, unswept=True)
        rule = fitting.by if fitting else ""
    kinds = known.touched(change.holder, row.carried) if change.domain == "struct" else ()
    return Judged(
        change,
        row,
        verdict(change, row, old.version, new.version),
        topic.area if topic else "",
        topic.file if topic else "",
        kinds,
        guard,
        config,
        rule,
    )


def decision(change: Change, old: Snapshot, new: Snapshot, ledger: Ledger) -> tuple[Row, Topic | None]:
    """What the ledger decided about the thing that changed; about what went, for the old kernel, else for the new one."""
    version = old.version if change.what == "removed" else new.version
    if change.domain == "struct":
        kernel = old if change.what == "removed" else new
        leaf = next(x for x in kernel.structs[change.holder].leaves if x.path == change.part)
        return ledger.decide(change.holder, change.part, leaf.type, version), ledger.structs.get(change.holder)
    if change.domain == "embedded":
        return _embedded(change.holder, new, ledger)
    tables = {"enum": ledger.enums, "flag": ledger.flags, "fact": ledger.facts}
    topic = tables[change.domain].get(change.holder)
    if topic is None:
        return UNDECIDED, None
    return topic.own(change.part, version) or (topic.rest[0] if topic.rest else UNDECIDED), topic


def _embedded(name: str, kernel: Snapshot, ledger: Ledger) -> tuple[Row, Topic | None]:
    # A struct that has no ledger file of its own is as its holders are. One holder that is carried makes a change inside
    # undecided: somebody has to look whether the record still holds all of it.
    rows: list[tuple[Row, Topic | None]] = []
    seen, todo = set(), [name]
    while todo:
        inner = todo.pop()
        for struct in kernel.structs.values():
            topic = ledger.structs.get(struct.name)
            rows += [(ledger.decide(struct.name, f.path, f.type, kernel.version), topic) for f in struct.leaves if f.holds == inner]
        for outer in kernel.embedded.values():
            if outer.name not in seen and any(leaf.holds == inner for leaf in outer.leaves):
                seen.add(outer.name)
                todo.append(outer.name)
    if not rows:
        return UNDECIDED, None
    for row, topic in rows:
        if row.decision in ("carried", "undecided"):
            return UNDECIDED, topic
    return Row((), rows[0][0].decision, f"as its holder: {rows[0][0].why}", rows[0][0].source, by="its holder"), rows[0][1]


def verdict(change: Change, row: Row, old: Sequence[int] = (), new: Sequence[int] = ()) -> str:
    """What a difference means, given the decision about it.

    A row that ends, or begins, between the two kernels says that somebody has seen the change.
    """
    if change.what == "moved":
        return "moved"
    if row.decision == "undecided":
        # a row that says undecided was looked at by somebody who could not tell: it is still not green
        return "silent" if change.what == "added" else "undecided"
    if change.what == "added":
        return "covered" if row.by else "decided"
    if row.decision != "carried":
        return "changed" if change.what in ("retyped", "renumbered") else "gone"
    if not row.holds(new) or (old and row.since > tuple(old)):
        return "decided"
    return "check" if change.what == "retyped" or (change.what == "removed" and change.hint) else "breaks"


def succession(judged: list[Judged]) -> list[Judged]:
    """The same, where a field that went has a successor that is decided: something new that the same record field carries."""
    heirs: dict[str, list[str]] = {}
    for j in judged:
        if j.change.what == "added":
            for target in j.row.carried.split():
                heirs.setdefault(target, []).append(j.change.name)
    out = []
    for j in judged:
        targets = j.row.carried.split() if j.change.what == "removed" else []
        new = list(dict.fromkeys(name for target in targets for name in heirs.get(target, ())))
        followed = bool(targets) and all(target in heirs for target in targets)
        out.append(j.replace(verdict="decided", change=j.change.replace(hint=" or ".join(new))) if followed else j)
    return out


def gather(judged: Iterable[Judged]) -> tuple[list[Massacre], list[Judged]]:
    """Changes that belong together as massacres, and the others: a type replaced everywhere, one struct, the structs of one file."""
    left = sorted(judged, key=_order)
    out: list[Massacre] = []
    for title, key in (
        ("{}: the type changed in many structs", _replaced),
        ("{}: many fields changed", _holder),
        ("{}: many fields of its structs changed", _file),
    ):
        groups: dict[str, list[Judged]] = {}
        for j in left:
            if name := key(j):
                groups.setdefault(name, []).append(j)
        for name, parts in sorted(groups.items()):
            if len(parts) >= MASSACRE:
                areas, files = {p.area for p in parts}, {p.file for p in parts}
                area = areas.pop() if len(areas) == 1 else "several areas"
                out.append(Massacre(title.format(name), area, files.pop() if len(files) == 1 else "", tuple(parts)))
                gone = {id(p) for p in parts}
                left = [j for j in left if id(j) not in gone]
    return sorted(out, key=lambda m: (VERDICTS.index(m.verdict), m.title)), left


def _replaced(j: Judged) -> str:
    return f"{j.change.old} -> {j.change.new}" if j.change.what == "retyped" else ""


def _holder(j: Judged) -> str:
    return f"{'struct' if j.change.domain == 'embedded' else j.change.domain} {j.change.holder}"


def _file(j: Judged) -> str:
    return j.file if j.change.domain == "struct" else ""


def findings(
    judgement: Judgement, maintainers: Maintainers | None = None, tests: Callable[[str], Iterable[str]] = carriers.tests_of
) -> list[Finding]:
    """Every difference but moves as a finding, the worst first."""
    cached: dict[str, tuple[str, ...]] = {}

    def tests_for(kind: str) -> tuple[str, ...]:
        if kind not in cached:
            cached[kind] = tuple(tests(kind))
        return cached[kind]

    part_of = {id(p): m.title for m in judgement.massacres for p in m.parts}
    return [
        _finding(j, judgement, maintainers, part_of.get(id(j), ""), [t for k in j.kinds for t in tests_for(k)]) for j in judgement.all()
    ]


def _finding(j: Judged, judgement: Judgement, maintainers: Maintainers | None, massacre: str, tests: list[str]) -> Finding:
    change, row = j.change, j.row
    facts = {
        "area": j.area,
        "carried": row.carried,
        "config": f"CONFIG_{j.guard}{' differs between the two' if j.config else ''}" if j.guard else "",
        "decision": row.decision,
        "decided_by": row.by or ("its own row" if row.names else ""),
        "domain": change.domain,
        "hint": change.hint,
        "kinds": " ".join(j.kinds),
        "maintainers": "; ".join(maintainers.of(j.file)) if maintainers and j.file else "",
        "massacre": massacre,
        "new": change.new,
        "old": change.old,
        "tests": " ".join(dict.fromkeys(tests)),
        "when": row.when,
        "would_be_swept_by": j.rule,
    }
    return Finding(
        f"drift.{change.domain}.{change.what}",
        change.name,
        j.verdict,
        SEVERITY.get(j.verdict, "none"),
        sentence(j),
        where=j.file,
        why=row.why if row is not UNDECIDED else "no row of the ledger is about it",
        source=row.source,
        do=advice(j),
        reproducer=f"holdfast drift {judgement.old} {judgement.new} --only {change.name}",
        kernel=f"{judgement.old} -> {judgement.new}",
        evidence="measured",
        facts=tuple((k, v) for k, v in sorted(facts.items()) if v),
    )


def sentence(j: Judged) -> str:
    """One sentence that says what changed and what it means."""
    c = j.change
    what = {
        "added": f"{c.name} is new ({c.new})",
        "removed": f"{c.name} is gone ({c.old})",
        "retyped": f"{c.name} was {c.old} and is {c.new}",
        "renumbered": f"{c.name} was {c.old} and is {c.new}",
        "moved": f"{c.name} moved from byte {c.old} to {c.new}",
    }[c.what]
    if c.whole:
        what += f", with its whole {c.domain}"
    if c.hint:
        what += f"; perhaps {'now' if c.what == 'removed' else 'before'} {c.hint}"
    tail = {
        "breaks": f"and {j.row.carried or 'an image'} relies on it",
        "silent": "and nobody has decided what a checkpoint does with it",
        "check": f"and {j.row.carried} must still hold it",
        "undecided": "and nobody had decided about it",
    }.get(j.verdict, f"and is {j.row.decision}")
    return f"{what}, {tail}"


def advice(j: Judged) -> str:
    """What a reader can do about it."""
    if j.verdict == "silent" and j.rule:
        return f"if {j.rule} is right about it: holdfast ledger sweep; else holdfast ledger decide {j.change.name}"
    if j.verdict in ("silent", "undecided") and j.change.domain == "struct":
        return f"holdfast ledger decide {j.change.name} --decision ... --why ... --source ..."
    if j.verdict in ("silent", "undecided"):
        return f"add {j.change.part} to the ledger's table of {j.change.holder}, with a decision"
    if j.verdict in ("breaks", "check"):
        return (
            f"look at {' '.join(j.kinds) or 'the kind that carries it'}, then end the old row with `until` and add one for the new kernel"
        )
    return ""
