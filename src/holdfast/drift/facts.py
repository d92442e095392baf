"""The facts that drift.probes records of each kernel, found for a snapshot and compared with another kernel's."""

from __future__ import annotations

import json
import os
import re

from holdfast.drift.diff import Change
from holdfast.errors import UsageError
from holdfast.kernel import cache
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.drift.snapshot import Snapshot

FOLDER = "probes"
FORM = 1
# answers that mean no: the kernel does not know what was asked
NO = frozenset(("missing", "EINVAL", "ENOSYS", "ENOTTY", "ENOPROTOOPT"))


class Facts(Record):
    """What one kernel answered; `tables` maps a table to names and answers."""

    release: str
    tables: dict[str, dict[str, str]]


def parse(data: bytes, where: str) -> Facts:
    """The facts that drift.probes printed.

    Raises:  usage.facts: this is not its form
    """
    try:
        raw = json.loads(data)
        if raw["form"] != FORM:
            raise ValueError(f"form {raw['form']}")
        tables = {str(t): {str(k): str(v) for k, v in rows.items()} for t, rows in raw["tables"].items()}
        return Facts(str(raw["release"]), tables)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            "facts", "these are not facts of a kernel", where=where, why=str(error), do="python3 -m holdfast.drift.probes prints them"
        ) from error


def save(place: str, found: Facts) -> str:
    """Keep the facts of a kernel beside a ledger; the path of the file."""
    name = re.sub(r"[^\w.+-]", "_", found.release)
    folder = os.path.join(place, FOLDER)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{name}.json")
    document = {"form": FORM, "release": found.release, "tables": found.tables}
    cache.write(path, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())
    return path


def all_of(place: str) -> list[Facts]:
    """The facts of every kernel that were recorded beside a ledger."""
    folder = os.path.join(place, FOLDER)
    out = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if name.endswith(".json"):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                out.append(parse(file.read(), path))
    return out


def of(snapshot: Snapshot, place: str) -> Facts | None:
    """The facts of a snapshot's kernel: asked of the running one, else recorded of this release or of another of its series."""
    if snapshot.name == "live":
        from holdfast.drift import probes  # asks the running kernel, and imports what no comparison of files needs

        return Facts(snapshot.release, probes.probe())
    known = all_of(place)
    exact = [f for f in known if f.release == snapshot.release]
    series = [f for f in known if snapshot.version and version_of(f.release) == tuple(snapshot.version)]
    fitting = exact or series
    return fitting[-1] if fitting else None


def version_of(release: str) -> tuple[int, ...]:
    """The series of a release: (6, 12)."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else ()


def changes(old: Facts, new: Facts) -> Iterator[Change]:
    """Every difference between two kernels' facts; an answer that means no counts as absent.

    Shape:   a table that one of them was not asked is left out; what could not be made is unknown, and left out as well
    """
    for table in sorted(old.tables.keys() & new.tables.keys()):
        before, after = old.tables[table], new.tables[table]
        for name in sorted(before.keys() | after.keys()):
            was, now = before.get(name, "missing"), after.get(name, "missing")
            if was == now or was.startswith("not made") or now.startswith("not made"):
                continue
            if now in NO and was in NO:
                continue
            if was in NO:
                yield Change("added", "fact", table, name, new=now)
            elif now in NO:
                yield Change("removed", "fact", table, name, old=was)
            else:
                yield Change("renumbered", "fact", table, name, was, now)
