"""holdfast ledger: what was decided about the kernel's fields, and why."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import click

from holdfast.cli import output
from holdfast.drift import carriers, check, coverage, edit, facts, guards, history, ledger, probes
from holdfast.errors import UsageError
from holdfast.kernel import cache

_PLACE = click.option("--ledger", "place", default="", metavar="FOLDER", help="Another ledger.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


@click.group(name="ledger")
def command() -> None:
    """Read and write the ledger: a decision, with a reason and a source, for every watched kernel field."""


@command.command()
@click.argument("name")
@_JSON
@_PLACE
def show(name: str, as_json: bool, place: str) -> None:
    """Show a struct, or one field of it, with its decisions and its history: `task_struct`, `task_struct.rseq`."""
    found = ledger.load(place)
    seen = history.load(found)
    struct, _, path = name.partition(".")
    topic = found.structs.get(struct)
    if topic is None:
        near = [n for n in found.structs if struct in n or n in struct][:5]
        raise UsageError(
            "ledger.name", f"the ledger does not watch struct {struct}", where=name, do=f"perhaps {' '.join(near)}" if near else ""
        )
    names = [full for full in seen.fields if full == name or full.startswith(name.rstrip(".") + ".")]
    rows = [_field(found, seen, full) for full in names]
    if path and not rows:
        raise UsageError("ledger.name", f"no kernel of the history has {name}", where=topic.origin, do=f"holdfast ledger show {struct}")
    known = carriers.known()
    head = {
        "struct": topic.name,
        "area": topic.area,
        "file": topic.file,
        "about": topic.about,
        "kinds": list(known.touched(topic.name, "")),
    }
    if as_json:
        output.write(output.document("ledger show", "OK", {**head, "fields": rows}))
        return
    output.write(f"{topic.name}: {topic.about} ({topic.area}, {topic.file})")
    if head["kinds"]:
        output.write(f"  watched by {' '.join(head['kinds'])}")
    for row in rows:
        output.write("\n".join(["", f"{row['name']}"]))
        for part in row["history"]:
            output.write(f"  {part['kernels']:<12} {part['type']}")
        for one in row["decisions"]:
            span = f" ({one['range']})" if one["range"] else ""
            output.write(
                f"  {one['decision']}{span}{': ' + one['carried'] if one['carried'] else ''}{' by ' + one['by'] if one['by'] else ''}"
            )
            for key in ("when", "reads", "unread", "why", "source"):
                if one[key]:
                    output.write(f"    {key:<7}{one[key]}")


def _field(found: ledger.Ledger, seen: history.History, full: str) -> dict[str, Any]:
    struct, _, path = full.partition(".")
    decisions: list[ledger.Row] = []
    for span in seen.fields[full]:
        for i in span.kernels:
            row = found.decide(struct, path, span.type, history.version(seen.kernels[i]))
            if row not in decisions:
                decisions.append(row)
    return {
        "name": full,
        "history": [{"type": span.type, "kernels": seen.runs(span)} for span in seen.fields[full]],
        "decisions": [
            {
                "decision": r.decision,
                "carried": r.carried,
                "when": r.when,
                "reads": r.reads,
                "unread": r.unread,
                "why": r.why,
                "source": r.source,
                "by": r.by,
                "range": f"{'.'.join(map(str, r.since))}-{'.'.join(map(str, r.until))}" if r.since or r.until else "",
            }
            for r in decisions
        ],
    }


@command.command()
@_JSON
@_PLACE
def undecided(as_json: bool, place: str) -> None:
    """List every field that nobody has decided, and every row that says undecided."""
    found = ledger.load(place)
    seen = history.load(found)
    rows = []
    for full, spans in seen.fields.items():
        struct, _, path = full.partition(".")
        for span in spans:
            row = found.decide(struct, path, span.type, history.version(seen.kernels[span.kernels[-1]]))
            if row.decision == "undecided":
                rule = found.ruled(struct, path, span.type, unswept=True)
                fits = rule.by if rule else ""
                rows.append({"name": full, "type": span.type, "kernels": seen.runs(span), "why": row.why, "would_be_swept_by": fits})
    absent = [
        {"name": f"{t.name}.{n}", "type": "", "kernels": row.absent, "why": row.why, "would_be_swept_by": ""}
        for t in found.structs.values()
        for row in t.rows
        if row.decision == "undecided"
        for n in row.names
        if f"{t.name}.{n}" not in seen.fields
    ]
    rows += absent
    if as_json:
        output.write(output.document("ledger undecided", "OK", {"undecided": rows}))
        return
    for one in rows:
        fits = f"; fits {one['would_be_swept_by']}" if one["would_be_swept_by"] else ""
        output.write(f"{one['name']}  {one['type']}  [{one['kernels']}]  {one['why']}{fits}")
    output.write(f"{len(rows)} undecided of {sum(len(s) for s in seen.fields.values())}")


@command.command()
@click.argument("fields", nargs=-1, required=True)
@click.option("--decision", type=click.Choice(ledger.DECISIONS), required=True)
@click.option("--why", prompt="Why (one sentence that a maintainer would accept)", help="The reason.")
@click.option("--source", prompt="Source (man page, kernel file, commit)", help="Where it can be read up.")
@click.option("--carried", default="", metavar="KIND.FIELD", help="Which record field holds it.")
@click.option("--when", default="", help="What shows that it is in use, where it is refused.")
@click.option("--reads", default="", metavar="TEST", help="The same as a test of live structs, where it is refused: PATH != null.")
@click.option("--do", default="", help="What would end the use, with --reads.")
@click.option("--unread", default="", help="Why there is no such test: `shown: ...`, `with ROW`, `needs ...`.")
@click.option("--since", default="", metavar="VERSION", help="From this kernel on; the older row ends there.")
@click.option("--until", default="", metavar="VERSION", help="The first kernel that it does not hold for.")
@_PLACE
def decide(
    fields: tuple[str, ...],
    decision: str,
    why: str,
    source: str,
    carried: str,
    when: str,
    reads: str,
    do: str,
    unread: str,
    since: str,
    until: str,
    place: str,
) -> None:
    """Record a decision about one or more fields of a struct: `holdfast ledger decide task_struct.a task_struct.b`."""
    found = ledger.load(place)
    by_struct: dict[str, list[str]] = {}
    for full in fields:
        struct, dot, path = full.partition(".")
        if not dot:
            raise UsageError("ledger.name", f"{full} names no field", where=full, do="write STRUCT.FIELD")
        by_struct.setdefault(struct, []).append(path)
    for struct, names in by_struct.items():
        row = ledger.Row(tuple(names), decision, why, source, carried, when, ledger.version_of(since), ledger.version_of(until))
        row = row.replace(reads=reads, do=do, unread=unread)
        path = edit.decide(found, struct, row)
        output.write(f"OK {struct}: {', '.join(names)} {'is' if len(names) == 1 else 'are'} {decision} ({os.path.relpath(path)})")


@command.command(name="check")
@click.option("--only", multiple=True, type=click.Choice(list(check.SORTS)), help="Only these sorts of problem.")
@_JSON
@_PLACE
@click.pass_context
def check_command(ctx: click.Context, only: tuple[str, ...], as_json: bool, place: str) -> None:
    """Look for rows without a reason, names that no kernel has, and kinds or record fields that do not exist."""
    found = ledger.load(place)
    wrong = [p for p in check.problems(found, history.load(found), carriers.known()) if not only or p.sort in only]
    counts = {sort: sum(p.sort == sort for p in wrong) for sort in check.SORTS}
    if as_json:
        plain = [{"sort": p.sort, "where": p.where, "what": p.what} for p in wrong]
        output.write(output.document("ledger check", "FOUND" if wrong else "OK", {"counts": counts, "problems": plain}))
    else:
        for sort, meaning in check.SORTS.items():
            if counts[sort]:
                output.write("\n".join([f"{sort}: {meaning}", *(f"  {p.where}: {p.what}" for p in wrong if p.sort == sort)]))
        if not wrong:
            output.write(f"OK {len(found.structs)} structs, {len(found.rules)} rules, no problem")
    if wrong:
        if not as_json:
            output.write(f"FOUND {len(wrong)} problems: docs/ledger.md says how to mend each sort")
        ctx.exit(60)


@command.command(name="coverage")
@_JSON
@_PLACE
def coverage_command(as_json: bool, place: str) -> None:
    """Count the decisions per area and per kernel."""
    found = ledger.load(place)
    seen = history.load(found)
    tables = {"area": coverage.per_area(found, seen), "kernel": coverage.per_kernel(found, seen)}
    if as_json:
        plain = {name: [dict(line.items()) for line in lines] for name, lines in tables.items()}
        output.write(output.document("ledger coverage", "OK", plain))
        return
    for name, lines in tables.items():
        title = f"{name} ({seen.kernels[-1]})" if name == "area" and seen.kernels else name
        output.write(f"{title:<16}{'fields':>8}" + "".join(f"{d:>11}" for d in ledger.DECISIONS) + f"{'by rule':>10}")
        for line in lines:
            output.write(
                f"{line.name:<16}{line.total:>8}" + "".join(f"{line.counts[d]:>11}" for d in ledger.DECISIONS) + f"{line.by_rule:>10}"
            )
        output.write("")


@command.command()
@click.argument("fields", nargs=-1)
@_PLACE
def sweep(fields: tuple[str, ...], place: str) -> None:
    """Let the rules sweep what fits them: the named fields, or everything in the history. Writes swept.toml."""
    found = ledger.load(place)
    swept = edit.sweep(found, history.load(found), fields)
    new = {name: sorted(set(listed) - found.swept.get(name, frozenset())) for name, listed in swept.items()}
    cache.write(os.path.join(found.where, "swept.toml"), edit.swept_text(swept).encode())
    for name, listed in new.items():
        if listed:
            output.write("\n".join([f"{name}:", *(f"  + {full}" for full in listed)]))
    output.write(f"OK {sum(map(len, swept.values()))} fields swept, {sum(map(len, new.values()))} of them new")


@command.command()
@click.argument("file", required=False, type=click.File("rb"))
@_PLACE
def probe(file: BinaryIO | None, place: str) -> None:
    """Record what BTF does not hold: facts of the running kernel, or those that a guest printed.

    In a guest with python3: `python3 -m holdfast.drift.probes > FILE`, or just that one file of the source tree.
    """
    found = ledger.load(place)
    answers = facts.parse(file.read(), file.name) if file else facts.Facts(os.uname().release, probes.probe())
    path = facts.save(found.where, answers)
    output.write(f"OK {sum(map(len, answers.tables.values()))} facts of {answers.release} ({os.path.relpath(path)})")


@command.command(name="guards")
@click.argument("trees", nargs=-1, required=True)
@_PLACE
def guards_command(trees: tuple[str, ...], place: str) -> None:
    """Read from kernel sources which Kconfig symbol each watched field depends on. Writes guards.tsv."""
    found = ledger.load(place)
    rows: dict[str, str] = {}
    for tree in trees:
        rows.update({full: guard for full, (guard, _) in guards.scan(tree, found.structs).items()})
    if not rows:
        raise UsageError("ledger.tree", "no watched struct is defined there", where=" ".join(trees), do="name a kernel source tree")
    cache.write(os.path.join(found.where, guards.NAME), guards.text(rows).encode())
    output.write(f"OK {len(rows)} fields depend on an option")
