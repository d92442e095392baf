"""What is wrong with the ledger itself: rows without a reason, names that no kernel has, kinds and fields that do not exist."""

from __future__ import annotations

from holdfast.drift import facts
from holdfast.drift.history import version
from holdfast.drift.ledger import DECISIONS
from holdfast.kernel import flagtables
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.drift.carriers import Known
    from holdfast.drift.history import History
    from holdfast.drift.ledger import Ledger, Row, Topic

SORTS = {
    "schema": "a row that lacks what every row must have",
    "stale": "a name that no kernel of the history has",
    "undecided": "a field of the history that nobody has decided",
    "unswept": "a field that a rule fits and that nobody has let it sweep",
    "watch": "a kind watches what the ledger does not know",
    "pending": "a row is carried by a kind that does not exist",
    "carried": "a row is carried by a record field that does not exist",
}


class Problem(Record):
    """One thing that is wrong: which sort, where, and what."""

    sort: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.sort}: {self.where}: {self.what}"


def problems(ledger: Ledger, history: History, known: Known) -> list[Problem]:
    """Everything that is wrong, in the order of SORTS."""
    found = [*schema(ledger), *against_history(ledger, history), *against_kinds(ledger, known)]
    order = list(SORTS)
    return sorted(found, key=lambda p: (order.index(p.sort), p.where, p.what))


def schema(ledger: Ledger) -> Iterator[Problem]:
    """Rows that lack what every row must have."""
    for topic in _topics(ledger):
        for part, text in (("area", topic.area), ("file", topic.file), ("about", topic.about)):
            if not text:
                yield Problem("schema", topic.origin, f"{topic.name} has no {part}")
        seen: dict[str, list[Row]] = {}
        for row in (*topic.rows, *topic.rest):
            where = f"{topic.name}.{row.names[0]}" if row.names else f"{topic.name} rest"
            yield from (Problem("schema", topic.origin, f"{where} {what}") for what in faults(row))
            if not row.names and not row.by:
                yield Problem("schema", topic.origin, f"a row of {topic.name} names nothing")
            for name in row.names:
                for other in seen.get(name, ()):
                    if overlap(row, other):
                        yield Problem("schema", topic.origin, f"{topic.name}.{name} is decided twice for the same kernels")
                seen.setdefault(name, []).append(row)
        for row in topic.rest:
            if row.decision in ("carried", "undecided"):
                yield Problem("schema", topic.origin, f"{topic.name}: rest cannot be {row.decision}")
    for topic in ledger.structs.values():
        for row in (*topic.rows, *topic.rest):
            if (row.decision == "refused") != (bool(row.reads) != bool(row.unread)):
                where = f"{topic.name}.{row.names[0]}" if row.names else f"{topic.name} rest"
                yield Problem(
                    "schema", topic.origin, f"{where} is refused and has not one of reads and unread, or has one and is not refused"
                )
    names: set[str] = set()
    for rule in ledger.rules:
        yield from (Problem("schema", "rules.toml", f"rule {rule.name} {what}") for what in faults(rule.row))
        if rule.name in names:
            yield Problem("schema", "rules.toml", f"two rules are called {rule.name}")
        if not (rule.types or rule.fields or rule.structs):
            yield Problem("schema", "rules.toml", f"rule {rule.name} fits everything")
        names.add(rule.name)
    for name in ledger.swept.keys() - names:
        yield Problem("schema", "swept.toml", f"there is no rule {name}")


def faults(row: Row) -> Iterator[str]:
    """What a row lacks."""
    if row.decision not in DECISIONS:
        yield f"has the decision {row.decision!r}, which is none of {', '.join(DECISIONS)}"
    if not row.why:
        yield "has no reason (why)"
    if not row.source and row.decision != "undecided":
        yield "has no source"
    if (row.decision == "carried") != bool(row.carried):
        yield "is carried and does not say by which KIND.FIELD, or says it and is not carried"
    if (row.decision == "refused") != bool(row.when):
        yield "is refused and does not say what shows it in use (when), or says it and is not refused"
    if row.since and row.until and row.since >= row.until:
        yield "ends before it begins"


def overlap(one: Row, other: Row) -> bool:
    """Whether two rows hold for the same kernel."""
    return not ((one.until and other.since >= one.until) or (other.until and one.since >= other.until))


def against_history(ledger: Ledger, history: History) -> Iterator[Problem]:
    """Names that no kernel has, and fields that nobody has decided."""
    if not history.kernels:
        return
    structs = {name.partition(".")[0] for name in history.fields}
    for topic in ledger.structs.values():
        if topic.name not in structs:
            continue  # a struct of another configuration
        for row in topic.rows:
            for name in row.names:
                if f"{topic.name}.{name}" not in history.fields and not row.absent:
                    yield Problem("stale", topic.origin, f"{topic.name}.{name}")
    for full, spans in history.fields.items():
        struct, _, path = full.partition(".")
        for span in spans:
            row = ledger.decide(struct, path, span.type, version(history.kernels[span.kernels[-1]]))
            if row.decision != "undecided":
                continue
            rule = ledger.ruled(struct, path, span.type, unswept=True)
            if rule is not None and not row.names:
                yield Problem("unswept", full, f"{rule.by} fits {span.type}: holdfast ledger sweep")
            elif not row.names:
                yield Problem("undecided", full, f"{span.type}, in {history.runs(span)}")
    for rule_name, swept in ledger.swept.items():
        for full in swept:
            if full not in history.fields:
                yield Problem("stale", "swept.toml", f"{rule_name}: {full}")


def against_kinds(ledger: Ledger, known: Known) -> Iterator[Problem]:
    """Kinds that watch what the ledger does not know, and rows carried by what does not exist."""
    if known.broken:
        yield Problem("pending", "kinds", known.broken)
        return
    permanent = flagtables.BITS.keys() | flagtables.FIELDS.keys() | flagtables.LETTERS.keys()
    places: dict[str, Iterable[str]] = {
        "Struct": ledger.structs.keys() | known.absent.keys(),
        "FlagSet": ledger.flags.keys() | permanent,
        "StatusKey": _fact_names(ledger, "status-keys"),
        "FdinfoKey": _fact_names(ledger, "fdinfo-keys"),
    }
    links = {text for answers in facts.all_of(ledger.where) for text in answers.tables.get("link-names", {}).values()}
    for (sort, name), kinds in sorted(known.watches.items()):
        resolved = any(text.startswith(name) for text in links) if sort == "Link" else name in places[sort]
        if not resolved:
            yield Problem("watch", ", ".join(kinds), f"{sort} {name}")
    for topic in _topics(ledger):
        for row in topic.rows:
            for target in row.carried.split():
                kind, _, part = target.rpartition(".")
                what = f"{topic.name}.{', '.join(row.names[:3])}{' ...' if len(row.names) > 3 else ''}: {target}"
                if kind not in known.records:
                    yield Problem("pending", topic.origin, what)
                elif part not in known.records[kind]:
                    yield Problem("carried", topic.origin, what)


def _fact_names(ledger: Ledger, table: str) -> set[str]:
    topic = ledger.facts.get(table)
    return {name for row in topic.rows for name in row.names} if topic else set()


def _topics(ledger: Ledger) -> Iterator[Topic]:
    for table in (ledger.structs, ledger.enums, ledger.flags, ledger.facts):
        yield from table.values()
