"""Where campaigns keep what they found: an SQLite file that survives kill -9, one row for each round.

A round is in the file as soon as add() has returned, and never twice: a campaign has one row for each kernel, engine, version and recipe.
Earlier campaigns' rows stay; `newest` is the last word on each. The file is written ahead (WAL): a reader never waits for a campaign.
Source:  sqlite.org/wal.html, sqlite.org/pragma.html (synchronous: with NORMAL a killed process loses nothing)
"""

from __future__ import annotations

import json
import os
import sqlite3
import time

from holdfast.errors import UsageError
from holdfast.hunt.verdict import VERDICTS, Proof, Round
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Self

SCHEMA = 1
APPLICATION = 0x48666874  # Hfht: what file(1) and we know the file by
TABLES = """
CREATE TABLE campaigns (
    id INTEGER PRIMARY KEY, began_ns INTEGER NOT NULL, ended_ns INTEGER, options TEXT NOT NULL
) STRICT;
CREATE TABLE rounds (
    id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL REFERENCES campaigns (id),
    kernel TEXT NOT NULL, engine TEXT NOT NULL, version TEXT NOT NULL, key TEXT NOT NULL,
    recipe TEXT NOT NULL, interface TEXT NOT NULL, verdict TEXT NOT NULL, proofs TEXT NOT NULL, seen TEXT NOT NULL, said TEXT NOT NULL,
    text TEXT NOT NULL, facts TEXT NOT NULL, took_ns INTEGER NOT NULL, dump_ns INTEGER NOT NULL, restore_ns INTEGER NOT NULL,
    tries INTEGER NOT NULL, added_ns INTEGER NOT NULL,
    UNIQUE (kernel, engine, version, key, campaign)
) STRICT;
CREATE INDEX rounds_of_campaign ON rounds (campaign, verdict);
CREATE VIEW newest AS SELECT * FROM rounds WHERE id IN (SELECT max(id) FROM rounds GROUP BY kernel, engine, version, key);
"""
COLUMNS = (
    "kernel", "engine", "version", "key", "recipe", "interface", "verdict", "proofs", "seen", "said", "text", "facts",
    "took_ns", "dump_ns", "restore_ns", "tries",
)  # fmt: skip
PLAIN = tuple(c for c in COLUMNS if c not in ("proofs", "seen", "facts"))


class Counted(Record):
    """How many rounds ended with a verdict, of one engine in one version and one interface."""

    engine: str
    version: str
    interface: str
    verdict: str
    count: int


def told(round_: Round) -> dict[str, Any]:
    """A round as JSON can say it."""
    out = dict(round_.items())
    out["proofs"] = [dict(p.items()) for p in round_.proofs]
    return out


def round_of(values: dict[str, Any]) -> Round:
    """The round that told() gave; a field that this version does not know is left out, one that is missing has its default."""
    known = {k: v for k, v in values.items() if k in Round._infos}
    proofs = tuple(Proof(**{k: v for k, v in p.items() if k in Proof._infos}) for p in values["proofs"])
    return Round(**{**known, "proofs": proofs, "seen": tuple(values["seen"]), "facts": tuple((k, v) for k, v in values["facts"])})


class Store:
    """An open store."""

    def __init__(self, path: str) -> None:
        """Open a store, or make it.

        Raises:  usage.store: it is none, or was written by a later version
        """
        self.path = path
        if path != ":memory:":
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            self._open()
        except sqlite3.DatabaseError as cause:
            self._db.close()
            raise UsageError(
                "store", f"{path} is not a store of hunts", where=path, why=str(cause), do="give another file, or move it away"
            ) from cause
        except UsageError:
            self._db.close()
            raise

    def _open(self) -> None:
        db = self._db
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("BEGIN IMMEDIATE")  # two that make it at once: the second sees what the first made
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        application = int(db.execute("PRAGMA application_id").fetchone()[0])
        tables = int(db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
        if version == 0 and application == 0 and tables == 0:
            for statement in TABLES.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {SCHEMA}")
        db.execute("COMMIT")
        if tables and (application != APPLICATION or version != SCHEMA):
            later = application == APPLICATION and version > SCHEMA
            raise UsageError(
                "store",
                f"{self.path} cannot be used by this version",
                where=self.path,
                why=f"its form is {version}, this version's is {SCHEMA}" if application == APPLICATION else "another program made it",
                do="use the later version that wrote it" if later else "give another file",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def begin(self, options: dict[str, Any]) -> int:
        """A new campaign; its number."""
        cursor = self._db.execute(
            "INSERT INTO campaigns (began_ns, options) VALUES (?, ?)", (time.time_ns(), json.dumps(options, sort_keys=True))
        )
        return int(cursor.lastrowid or 0)

    def end(self, campaign: int) -> None:
        """A campaign did all that it meant to."""
        self._db.execute("UPDATE campaigns SET ended_ns = ? WHERE id = ?", (time.time_ns(), campaign))

    def unfinished(self) -> tuple[int, dict[str, Any]] | None:
        """The last campaign, if it did not do all that it meant to: its number and its options."""
        row = self._db.execute("SELECT id, options, ended_ns FROM campaigns ORDER BY id DESC LIMIT 1").fetchone()
        return (int(row[0]), json.loads(row[1])) if row and row[2] is None else None

    def options(self, campaign: int) -> dict[str, Any]:
        """What a campaign was begun with."""
        row = self._db.execute("SELECT options FROM campaigns WHERE id = ?", (campaign,)).fetchone()
        return dict(json.loads(row[0])) if row else {}

    def last(self) -> int:
        """The number of the last campaign; 0 where there is none."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM campaigns").fetchone()[0])

    def add(self, campaign: int, round_: Round) -> bool:
        """Keep a round; whether it was not there yet."""
        values = told(round_)
        for column in ("proofs", "seen", "facts"):
            values[column] = json.dumps(values[column])
        row = [_storable(values[c]) for c in COLUMNS]
        marks = ", ".join("?" * (len(COLUMNS) + 2))
        cursor = self._db.execute(
            f"INSERT INTO rounds (campaign, added_ns, {', '.join(COLUMNS)}) VALUES ({marks}) ON CONFLICT DO NOTHING",
            [campaign, time.time_ns(), *row],
        )
        return cursor.rowcount == 1

    def done(self, campaign: int) -> set[tuple[str, str, str, str]]:
        """What a campaign has done: kernel, engine, version, key of the recipe."""
        rows = self._db.execute("SELECT kernel, engine, version, key FROM rounds WHERE campaign = ?", (campaign,))
        return {(str(a), str(b), str(c), str(d)) for a, b, c, d in rows}

    def rounds(self, campaign: int | None = None, verdicts: Iterable[str] = VERDICTS, engine: str = "") -> Iterator[Round]:
        """The rounds of a campaign, or the newest of each; in the order in which they were added."""
        wanted = list(verdicts)
        where = [f"verdict IN ({', '.join('?' * len(wanted))})"]
        values: list[str | int] = [*wanted]
        if campaign is not None:
            where.append("campaign = ?")
            values.append(campaign)
        if engine:
            where.append("engine = ?")
            values.append(engine)
        source = "newest" if campaign is None else "rounds"
        for row in self._db.execute(f"SELECT {', '.join(COLUMNS)} FROM {source} WHERE {' AND '.join(where)} ORDER BY id", values):
            yield _read(row)

    def counts(self, campaign: int) -> list[Counted]:
        """How many rounds of a campaign ended with which verdict, by engine, version and interface, sorted."""
        rows = self._db.execute(
            "SELECT engine, version, interface, verdict, count(*) FROM rounds WHERE campaign = ? GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
            (campaign,),
        )
        return [Counted(*row) for row in rows]

    def differing(self, campaign: int) -> Iterator[tuple[str, dict[str, str]]]:
        """The recipes of a campaign on which engines differ: the name, and engine to verdict."""
        rows = self._db.execute(
            "SELECT key, min(recipe), group_concat(engine || char(31) || verdict, char(30)) FROM rounds WHERE campaign = ?"
            " GROUP BY key HAVING count(DISTINCT verdict) > 1 ORDER BY min(id)",
            (campaign,),
        )
        for _, name, packed in rows:
            pairs = (part.split("\x1f") for part in str(packed).split("\x1e"))
            yield str(name), {engine: verdict for engine, verdict in pairs}  # noqa: C416 - dict() would not know that the pairs are pairs

    def before(self, campaign: int) -> dict[tuple[str, str], str]:
        """The last verdict of earlier campaigns on each recipe, whatever the kernel and the version: (engine, key) to verdict."""
        rows = self._db.execute("SELECT engine, key, verdict FROM rounds WHERE campaign < ? ORDER BY id", (campaign,))
        return {(str(engine), str(key)): str(verdict) for engine, key, verdict in rows}

    def lost_before(self, campaign: int) -> Iterator[Round]:
        """Every loss of earlier campaigns."""
        sql = f"SELECT {', '.join(COLUMNS)} FROM rounds WHERE campaign < ? AND verdict = 'lost' ORDER BY id"
        yield from map(_read, self._db.execute(sql, (campaign,)))


def _storable(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _read(row: tuple[Any, ...]) -> Round:
    values = dict(zip(COLUMNS, row, strict=True))
    for column in ("proofs", "seen", "facts"):
        values[column] = json.loads(values[column])
    assert all(c in values for c in PLAIN)
    return round_of(values)
