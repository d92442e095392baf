"""The ledger as a value: which kernel facts are watched, and what was decided about each, with its reason.

    ledger/structs/NAME.toml   one kernel struct: rows of field names that share one decision and reason; `rest` for whole objects
    ledger/rules.toml          families of fields (locks, list links) that one reason decides
    ledger/swept.toml          what each rule decided; a rule that is not `always` decides nothing that is not listed there
    ledger/enums.toml          watched enums
    ledger/flags/NAME.toml     bits that are #defines
    ledger/facts/NAME.toml     what is neither: /proc keys, VMA names, anon_inode names, rules of system calls

A row of a struct's own file comes before a rule, a rule before `rest`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tomllib

from holdfast.errors import UsageError
from holdfast.kernel import cache
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

DECISIONS = ("carried", "rebuilt", "ignored", "refused", "undecided")
_PARSED = 4  # part of the cache's key: raise it when what is kept changes


class Row(Record):
    """One decision about one or more names.

    Shape:   `carried` is KIND.FIELD, or several with spaces, where it is carried; `when` says what shows it in use where it is refused;
             `since` is the first kernel that it holds for, `until` the first that it does not; () is without end;
             of a refused row, `reads` is the predicate that the kernel-state reader asks (drift/predicates.py), `via` the struct that its
             path starts from where that is not the row's own, `do` what would end the use; `unread` is why there is no predicate
    """

    names: tuple[str, ...]
    decision: str
    why: str
    source: str
    carried: str = ""
    when: str = ""
    since: tuple[int, ...] = ()
    until: tuple[int, ...] = ()
    absent: str = ""  # why no kernel of the history has it: another configuration, another vendor
    by: str = ""  # the rule, `rest`, or empty for the struct's own row
    reads: str = ""
    via: str = ""
    do: str = ""
    unread: str = ""

    def holds(self, version: Sequence[int]) -> bool:
        """Whether it is about this kernel version; an unknown version is taken for the newest."""
        here = tuple(version) or (1 << 30,)
        return self.since <= here and not (self.until and here >= self.until)


UNDECIDED = Row((), "undecided", "nobody has looked", "")


class Topic(Record):
    """One watched thing that has named parts: a struct, an enum, a flag set, a table of facts."""

    name: str
    area: str
    file: str  # where the kernel defines it
    about: str
    rows: tuple[Row, ...]
    rest: tuple[Row, ...] = ()  # at most one: what decides every part that no row names
    origin: str = ""  # the ledger's own file
    values: tuple[tuple[str, int, tuple[int, ...], tuple[int, ...]], ...] = ()  # of a flag set: name, bit, since, until
    measured: tuple[tuple[int, ...], ...] = ()  # of a flag set: the kernels whose headers were read

    def bits(self, version: Sequence[int]) -> dict[str, int]:
        """The bits of a flag set in one kernel."""
        return {name: bit for name, bit, since, until in self.values if Row((), "", "", "", since=since, until=until).holds(version)}

    def own(self, name: str, version: Sequence[int]) -> Row | None:
        """The row that names a part, for this kernel version."""
        return next((row for row in self.rows if name in row.names and row.holds(version)), None)


class Rule(Record):
    """A family of fields that one reason decides: every pattern that is given must fit the whole text."""

    name: str
    row: Row
    types: tuple[str, ...]
    fields: tuple[str, ...]
    structs: tuple[str, ...]
    always: bool  # decides fields that nobody has seen yet as well

    def fits(self, struct: str, path: str, type_text: str) -> bool:
        """Whether a field is of this family."""
        return (
            (not self.structs or struct in self.structs)
            and (not self.types or any(re.fullmatch(p, type_text) for p in self.types))
            and (not self.fields or any(re.fullmatch(p, path.rpartition(".")[2]) for p in self.fields))
        )


class Ledger:
    """Everything that was decided."""

    def __init__(self, raw: dict[str, Any], where: str) -> None:
        self.where = where
        self.structs = {t.name: t for t in (_topic(r, "struct", "field") for r in raw["structs"])}
        self.enums = {t.name: t for t in (_topic(r, "enum", "constant") for r in raw["enums"])}
        self.flags = {t.name: t for t in (_topic(r, "set", "flag") for r in raw["flags"])}
        self.facts = {t.name: t for t in (_topic(r, "fact", "name") for r in raw["facts"])}
        self.rules = [_rule(r) for r in raw["rules"]]
        self.swept: dict[str, frozenset[str]] = {name: frozenset(fields) for name, fields in raw["swept"].items()}
        self._index: dict[str, dict[str, list[Row]]] = {}
        self._ruled: dict[tuple[str, str, str], Row | None] = {}

    def decide(self, struct: str, path: str, type_text: str, version: Sequence[int] = ()) -> Row:
        """What was decided about a field of a struct; UNDECIDED when nobody has."""
        topic = self.structs.get(struct)
        if topic is None:
            return UNDECIDED
        own = self._rows(topic).get(path, ())
        for row in own:
            if row.holds(version):
                return row
        ruled = self.ruled(struct, path, type_text)
        if ruled is not None:
            return ruled
        return topic.rest[0] if topic.rest else UNDECIDED

    def ruled(self, struct: str, path: str, type_text: str, unswept: bool = False) -> Row | None:
        """What the first fitting rule decides; a rule that must list what it sweeps counts only for that, or with `unswept`."""
        key = (struct, path, type_text)
        if not unswept and key in self._ruled:
            return self._ruled[key]
        full, found = f"{struct}.{path}", None
        for rule in self.rules:
            if rule.fits(struct, path, type_text) and (rule.always or unswept or full in self.swept.get(rule.name, ())):
                found = rule.row
                break
        if not unswept:
            self._ruled[key] = found
        return found

    def _rows(self, topic: Topic) -> dict[str, list[Row]]:
        known = self._index.get(topic.name)
        if known is None:
            known = self._index[topic.name] = {}
            for row in topic.rows:
                for name in row.names:
                    known.setdefault(name, []).append(row)
        return known


def folder() -> str:
    """Where the ledger is: HOLDFAST_LEDGER, else beside the source tree, else where the package was installed.

    Raises:  usage.ledger.missing: in none of these places
    """
    given = os.environ.get("HOLDFAST_LEDGER")
    here = os.path.dirname(os.path.abspath(__file__))
    places = [given] if given else [os.path.normpath(os.path.join(here, *[".."] * up, "ledger")) for up in (1, 3)]
    for place in places:
        if os.path.isdir(os.path.join(place, "structs")):
            return place
    raise UsageError("ledger.missing", "there is no ledger here", where=" ".join(places), do="set HOLDFAST_LEDGER to its folder")


def load(place: str = "") -> Ledger:
    """The ledger of a folder, parsed once and then kept in the cache until a file changes.

    Raises:  usage.ledger.missing: no such folder; usage.ledger.malformed: a file is not what it must be
    """
    place = place or folder()
    paths = sorted(_files(place))
    stamp = [(os.path.relpath(p, place), s.st_size, s.st_mtime_ns) for p in paths for s in [os.stat(p)]]
    key = hashlib.sha256(json.dumps([_PARSED, os.path.abspath(place), stamp]).encode()).hexdigest()[:32]
    kept = os.path.join(cache.folder("ledger"), f"{key}.json")
    try:
        with open(kept, "rb") as file:
            return Ledger(json.load(file), place)
    except (FileNotFoundError, ValueError, KeyError):
        raw = read(place)
        with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
            cache.write(kept, json.dumps(raw).encode())
        return Ledger(raw, place)


def _files(place: str) -> Iterator[str]:
    for name in ("rules.toml", "swept.toml", "enums.toml"):
        if os.path.exists(os.path.join(place, name)):
            yield os.path.join(place, name)
    for part in ("structs", "flags", "facts"):
        inner = os.path.join(place, part)
        if os.path.isdir(inner):
            yield from (os.path.join(inner, n) for n in os.listdir(inner) if n.endswith(".toml"))


def read(place: str) -> dict[str, Any]:
    """The ledger's files as plain values.

    Raises:  usage.ledger.malformed: a file is not TOML, or lacks what its kind of file must have
    """
    out: dict[str, Any] = {"structs": [], "enums": [], "flags": [], "facts": [], "rules": [], "swept": {}}
    for path in sorted(_files(place)):
        name = os.path.relpath(path, place)
        try:
            with open(path, "rb") as file:
                data = tomllib.load(file)
        except tomllib.TOMLDecodeError as error:
            raise malformed(name, str(error)) from error
        part = name.partition(os.sep)[0]
        if part in ("structs", "facts"):
            out[part].append({**data, "origin": name})
        elif part == "flags":
            if "set" in data:  # a table of another shape has another reader
                out[part].append({**data, "origin": name})
        elif name == "rules.toml":
            out["rules"] = data.get("rule", [])
        elif name == "enums.toml":
            out["enums"] = [{**row, "origin": name} for row in data.get("watch", [])]
        else:
            out["swept"] = data
    return out


def malformed(where: str, why: str) -> UsageError:
    """The error for a file of the ledger that is not what it must be."""
    return UsageError("ledger.malformed", "the ledger cannot be read", where=where, why=why, do="docs/ledger.md shows the form")


def version_of(text: str) -> tuple[int, ...]:
    """A kernel version such as 6.12 as numbers; () for an empty one."""
    return tuple(int(n) for n in text.split(".")) if text else ()


def _row(raw: dict[str, Any], by: str = "") -> Row:
    return Row(
        tuple(raw.get("names", ())),
        raw["decision"],
        raw.get("why", ""),
        raw.get("source", ""),
        raw.get("carried", ""),
        raw.get("when", ""),
        version_of(raw.get("since", "")),
        version_of(raw.get("until", "")),
        raw.get("absent", ""),
        by,
        raw.get("reads", ""),
        raw.get("via", ""),
        raw.get("do", ""),
        raw.get("unread", ""),
    )


def _topic(raw: dict[str, Any], word: str, rows: str) -> Topic:
    try:
        return Topic(
            raw[word],
            raw.get("area", ""),
            raw.get("file", ""),
            raw.get("about", ""),
            tuple(_row(r) for r in raw.get(rows, ()) if "decision" in r),
            (_row(raw["rest"], "rest"),) if "rest" in raw else (),
            raw["origin"],
            tuple(
                (name, r["bit"] if "bit" in r else r["value"], version_of(r.get("since", "")), version_of(r.get("until", "")))
                for r in raw.get(rows, ())
                if "bit" in r or "value" in r
                for name in r.get("names", ())
            ),
            tuple(version_of(v) for v in raw.get("measured", ())),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise malformed(raw.get("origin", word), f"{type(error).__name__}: {error}") from error


def _rule(raw: dict[str, Any]) -> Rule:
    try:
        name = raw["name"]
        for pattern in (*raw.get("types", ()), *raw.get("fields", ())):
            re.compile(pattern)
        row = _row(raw, f"rule {name}")
        return Rule(
            name, row, tuple(raw.get("types", ())), tuple(raw.get("fields", ())), tuple(raw.get("structs", ())), raw.get("always", False)
        )
    except (KeyError, TypeError, ValueError, re.error) as error:
        raise malformed("rules.toml", f"rule {raw.get('name', '?')}: {type(error).__name__}: {error}") from error
