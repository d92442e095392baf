"""The locks: every record field and every flag name that was ever shipped, as lines; what they are compared with.

`python -m tests.format.locks` brings ledger/image.lock and ledger/flags/names.lock up to date: lines of releases stay as they are,
lines that no release has follow the program. A release copies both locks into its folder of golden images (tests/format/make_golden.py).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.image import codec, inventory, schema
from holdfast.kernel import flagtables
from holdfast.kinds.registry import kinds
from holdfast.model.record import MISSING, Record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from holdfast.image.schema import FieldSpec

    # record class, version, the versions that upgrades start from
    Form = tuple[type[Record], int, Collection[int]]

TOP = Path(__file__).resolve().parents[2]
GOLDEN = TOP / "tests" / "format" / "golden"
IMAGE_LOCK = TOP / "ledger" / "image.lock"
FLAGS_LOCK = TOP / "ledger" / "flags" / "names.lock"
AGAIN = "python -m tests.format.locks"
IMAGE_HEAD = """\
# Every field of every record that an image ever held: kind, record version, record.field, type, unit, whether it may be ignored, default.
# Nothing here is removed, retyped or used again. Written by `python -m tests.format.locks`; held by tests/format/test_locks.py.
"""
FLAGS_HEAD = """\
# Every permanent name of a flag that an image ever held: table, name, and what the kernel calls it: a value on x86-64, or letters.
# Nothing here is removed or given to another flag. Written by `python -m tests.format.locks`; held by tests/format/test_locks.py.
"""


def forms() -> dict[str, Form]:
    """Every kind that this version writes, and the inventory."""
    ours: dict[str, Form] = {kind.name: (kind.record, kind.version, tuple(kind.upgrades or {})) for kind in kinds().values()}
    return {inventory.KIND: (inventory.Inventory, inventory.VERSION, ())} | ours


def image_lines(forms: Mapping[str, Form]) -> list[str]:
    """The lines of the image lock for these kinds, sorted by kind, in declared order of fields."""
    lines = []
    for kind, (cls, version, _) in sorted(forms.items()):
        described = schema.decode(kind, schema.encoded(cls, version, codec.packed_default))
        for record, fields in described.records.items():
            lines += [f"{kind} {version} {record}.{field.name} {rest(field)}" for field in fields.values()]
    return lines


def rest(field: FieldSpec) -> str:
    """What a line says of a field behind its name."""
    words = [schema.text_of(schema.parse(field.type))]
    words += [f"unit={field.unit}"] * bool(field.unit) + ["may-be-ignored"] * field.may_ignore
    return " ".join(words + ([] if field.default is MISSING else [f"default={field.default!r}"]))


def flag_lines() -> list[str]:
    """The lines of the flags lock, in the order of the tables."""
    lines: list[str] = []
    for table, bits in flagtables.BITS.items():
        lines += [f"{table} {name} {value:#x}" for name, value in bits.items()]
        for mask, words in flagtables.FIELDS.get(table, {}).items():
            lines += [f"{table} {name} {value:#x}/{mask:#x}" for name, value in words.items()]
    for table, letters in flagtables.LETTERS.items():
        lines += [f"{table} {name} {shown}" for name, shown in letters.items()]
    return lines


def read(path: Path) -> list[str]:
    """The lines of a lock, without comments."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def released(name: str) -> list[str]:
    """The lines that any release's copy of a lock has."""
    return list(dict.fromkeys(line for path in sorted(GOLDEN.glob(f"*/{name}")) for line in read(path)))


def image_breaks(locked: Iterable[str], forms: Mapping[str, Form]) -> list[str]:
    """What the program no longer honours of locked lines of the image lock, as sentences."""
    now = {tuple(line.split(" ", 3)[:3]): line for line in image_lines(forms)}
    broken = []
    bound = set()
    for line in locked:
        kind, version, field, _ = line.split(" ", 3)
        bound.add((kind, version))
        if kind not in forms:
            broken.append(f"{kind} is gone, and an image may hold it")
        elif int(version) < forms[kind][1]:
            if int(version) not in forms[kind][2]:
                broken.append(f"{kind} has no upgrade from version {version}")
        elif (kind, version, field) not in now:
            broken.append(f"{kind} {field} is gone; it takes a new version and an upgrade to remove a field")
        elif now[kind, version, field] != line:
            broken.append(f"{kind} {field} was `{line}`, is `{now[kind, version, field]}`")
    known = {tuple(line.split(" ", 3)[:3]) for line in locked}
    for key, line in now.items():
        record = key[2].split(".")[0]
        old = any(k[:2] == key[:2] and k[2].split(".")[0] == record for k in known)
        if old and key not in known and " default=" not in line:
            broken.append(f"{key[0]} {key[2]} is new and has no default")
    return list(dict.fromkeys(broken))


def flag_breaks(locked: Iterable[str], now: Iterable[str]) -> list[str]:
    """What the program no longer honours of locked lines of the flags lock.

    A value may differ from the locked one: a kernel renumbered it. Two names may not share one, and letters may not change their meaning.
    """
    names = {tuple(line.split(" ")[:2]): line.split(" ")[2] for line in now}
    by_value = {(table, value): name for (table, name), value in names.items()}
    broken = []
    for line in locked:
        table, name, value = line.split(" ")
        if (table, name) not in names:
            broken.append(f"{table} {name} is gone, and an image may hold it")
        elif by_value.get((table, value), name) != name and names[table, name] != value:
            broken.append(f"{table} {value} meant {name} and is now {by_value[table, value]}")
    return broken


def merged(released: list[str], now: list[str]) -> list[str]:
    """A lock's lines: those of releases, then those that no release has."""
    return released + [line for line in now if line not in set(released)]


def main() -> Any:
    """Write both locks, or say which release they would break."""
    broken = image_breaks(released("image.lock"), forms()) + flag_breaks(released("flags.lock"), flag_lines())
    if broken:
        return "\n".join(broken)
    IMAGE_LOCK.write_text(
        IMAGE_HEAD + "".join(f"{line}\n" for line in merged(released("image.lock"), image_lines(forms()))), encoding="utf-8"
    )
    FLAGS_LOCK.write_text(FLAGS_HEAD + "".join(f"{line}\n" for line in merged(released("flags.lock"), flag_lines())), encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main())
