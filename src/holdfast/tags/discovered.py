"""Discovered tags: findings of the hunter as rows, kept apart from reviewed ones, appended and superseded but never edited.

A store is a text file, one JSON object a line. Each line carries the digest of the line before it and its own, so an edit, a
removed line or a reordering shows when the file is read.
"""

from __future__ import annotations

import hashlib
import json
import os

from holdfast.errors import UsageError
from holdfast.kernel.release import within
from holdfast.model.finding import Finding
from holdfast.model.record import Record, fields
from holdfast.tags.row import EFFECTS, KINDS, VERDICTS, On, Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = 1
# What the hunter says of a round, as a row's verdict and effect.
WORDS = {
    "lost": ("unsafe", "lost"),
    "refused": ("unsafe", "refused"),
    "failed": ("unsafe", "failed"),
    "kept": ("safe", "carried"),
    "flaky": ("untested", "unknown"),
    "blind": ("untested", "unknown"),
}
LIMIT_BYTES = 64 << 20


class Entry(Record):
    """One discovered tag as it stands in the store.

    Shape:   `kind` is a row's kind but space; `names` are its scope; `verdict` and `effect` are a row's words; `supersedes` is the digest
             of the entry that this one replaces, or empty; `digest` is of everything else
    """

    kind: str
    names: tuple[str, ...]
    engine: str
    kernel: str  # a range such as 6.18 or 6.12..6.18; empty for every kernel
    verdict: str
    effect: str
    why: str
    reproducer: str
    source: str  # who found it: hunt, and the signature of the finding
    when: str = ""  # a row's condition; empty: set
    do: str = ""
    version: str = ""  # a range of the engine's versions
    supersedes: str = ""
    before: str = ""
    digest: str = ""

    @property
    def signature(self) -> tuple[str, tuple[str, ...], str, str, str, str]:
        """What makes two entries speak about the same thing."""
        return self.kind, self.names, self.engine, self.kernel, self.version, self.when

    def sealed(self, before: str) -> Entry:
        """The entry with the digest of its predecessor and its own."""
        entry = self.replace(before=before, digest="")
        return entry.replace(digest=hashlib.sha256(_line(entry).encode()).hexdigest())

    def tag(self) -> Tag:
        """The entry as a row."""
        on = On(self.verdict, self.effect, self.why, self.when or "set", self.kernel, self.version)
        name = f"discovered.{self.digest[:12]}"
        return Tag(name, self.kind, self.names, self.why, self.source, f"measured: {self.source}", {self.engine: (on,)}, self.do).replace(
            evidence="discovered", reproducer=self.reproducer
        )


def _line(entry: Entry) -> str:
    return json.dumps(dict(entry.items()), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def read(path: str) -> list[Entry]:
    """Every entry of a store, oldest first; a store that is not there is empty.

    Raises:  usage.tags.damaged: a line is no entry, or was edited, removed or moved
    """
    try:
        if os.path.getsize(path) > LIMIT_BYTES:
            raise _damaged(path, 0, f"it is larger than {LIMIT_BYTES} bytes")
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, 0, str(error)) from error
    entries: list[Entry] = []
    before = ""
    for number, line in enumerate(lines, 1):
        try:
            entry = _entry(json.loads(line))
        except (ValueError, TypeError) as error:
            raise _damaged(path, number, str(error)) from error
        if entry.sealed(before) != entry:
            raise _damaged(path, number, "its digest does not fit: a line was edited, removed or moved")
        before = entry.digest
        entries.append(entry)
    return entries


def _damaged(path: str, number: int, why: str) -> UsageError:
    return UsageError(
        "tags.damaged",
        "the store of discovered tags cannot be trusted",
        where=f"{path}:{number}",
        why=why,
        do="restore the file, or start a new one",
    )


def _entry(plain: object) -> Entry:
    if not isinstance(plain, dict) or not set(plain) <= set(fields(Entry)):
        raise ValueError("not an entry")
    names = plain.pop("names", [])
    if not isinstance(names, list) or not all(isinstance(v, str) for v in (*names, *plain.values())):
        raise ValueError("a value is not text")
    return checked(Entry(names=tuple(names), **plain))


def checked(entry: Entry) -> Entry:
    """The entry itself.

    Raises:  ValueError: a word is not one that rows know, or evidence is missing
    """
    if entry.kind not in KINDS or entry.kind == "space":
        raise ValueError(f"kind {entry.kind!r} is none of kconfig, cmdline, sysctl, runtime")
    if entry.verdict not in VERDICTS or entry.effect not in EFFECTS or (entry.verdict == "safe") != (entry.effect in {"none", "carried"}):
        raise ValueError(f"verdict {entry.verdict!r} and effect {entry.effect!r} do not fit")
    if not entry.names or not all(n and not n.isspace() and " " not in n for n in entry.names):
        raise ValueError("names are missing")
    if not (entry.engine and entry.why and entry.reproducer and entry.source):
        raise ValueError("engine, why, reproducer and source are needed")
    for span in (entry.kernel, entry.version):
        try:
            within("6.12", span)
        except UsageError as error:
            raise ValueError(f"range {span!r} is not understood") from error
    return entry


def from_finding(finding: Finding) -> list[Entry]:
    """The entries that a finding asks for: one for each kind of name that its facts give.

    Shape:   facts named kconfig, cmdline, sysctl and runtime hold names with blanks between; fact `version` a range of engine versions
    Raises:  usage.tags.finding: the finding names nothing, or its words are unknown
    """
    try:
        verdict, effect = WORDS[finding.verdict.lower()]
        entries = [
            checked(
                Entry(
                    kind,
                    tuple(finding.fact(kind).split()),
                    finding.engine,
                    finding.kernel,
                    verdict,
                    effect,
                    finding.why or finding.what,
                    finding.reproducer,
                    f"{finding.code} {finding.subject}",
                    finding.fact("when"),
                    finding.do,
                    finding.fact("version"),
                )
            )
            for kind in KINDS
            if finding.fact(kind)
        ]
    except (KeyError, ValueError) as error:
        raise _unusable(str(error)) from error
    if not entries:
        raise _unusable("no fact named kconfig, cmdline, sysctl or runtime says what it is about")
    return entries


def _unusable(why: str) -> UsageError:
    return UsageError(
        "tags.finding",
        "the finding cannot become a tag",
        why=why,
        do="give engine, kernel, verdict (lost, refused, failed, kept, flaky, blind), why, reproducer and names",
    )


def load_finding(data: bytes) -> Finding:
    """A finding out of its JSON form, as Finding.plain writes it.

    Raises:  usage.tags.finding: it is none
    """
    try:
        plain = json.loads(data)
        facts = plain.pop("facts", {})
        kept = {n: v for n, v in plain.items() if n in fields(Finding)}
        if not all(isinstance(v, str) for v in (*kept.values(), *facts.values())):
            raise ValueError("every value must be text")
        kept.setdefault("severity", "medium")
        kept.setdefault("what", kept.get("why", ""))
        return Finding(**kept, facts=tuple(sorted(facts.items())))
    except (ValueError, TypeError, AttributeError) as error:
        raise _unusable(str(error)) from error


def add(path: str, new: Iterable[Entry]) -> list[Entry]:
    """Append entries; one that says what the store's newest of its signature says is left out, one that says otherwise supersedes it.

    Raises:  usage.tags.damaged: the store cannot be trusted
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    added: list[Entry] = []
    try:
        # two campaigns may add at once
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX)
        entries = read(path)
        latest = {e.signature: e for e in entries}
        before = entries[-1].digest if entries else ""
        for entry in new:
            old = latest.get(entry.signature)
            if old is not None and (old.verdict, old.effect, old.reproducer) == (entry.verdict, entry.effect, entry.reproducer):
                continue
            sealed = entry.replace(supersedes=old.digest if old is not None else "").sealed(before)
            before = sealed.digest
            latest[sealed.signature] = sealed
            added.append(sealed)
        os.write(fd, "".join(_line(e) + "\n" for e in added).encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    return added


def tags(entries: Iterable[Entry]) -> list[Tag]:
    """The rows that stand: entries that no later one supersedes."""
    listed = list(entries)
    gone = {e.supersedes for e in listed if e.supersedes}
    return [e.tag() for e in listed if e.digest not in gone]
