"""kernel/state/plan.py: rows from types made by hand: flattening, unions, bitfields, arrays, what the ledger calls them."""

from __future__ import annotations

import struct

import pytest

from holdfast.kernel.btf import decode
from holdfast.kernel.btf.decode import Btf
from holdfast.kernel.state import plan
from holdfast.kernel.state.plan import Compiler, Plan, Row
from tests.unit.kernel.btf.test_decode import Writer


def thing() -> Btf:
    """One struct with one of each that a plan must know, and the structs that it holds."""
    w = Writer()
    u32 = w.add(decode.INT, "unsigned int", 4, 32)
    s64 = w.add(decode.INT, "s64", 8, 1 << 24 | 64)
    u8 = w.add(decode.INT, "u8", 1, 8)
    char = w.add(decode.INT, "char", 1, 1 << 24 | 8)
    proto = w.add(decode.FUNC_PROTO, "", u32)
    function = w.add(decode.PTR, "", proto)
    held = w.struct("kept", 8, ("a", u32, 0), ("b", u32, 32))
    watched = w.struct("sigaction", 8, ("sa_flags", s64, 0))
    pointer = w.add(decode.PTR, "", held)
    head = w.struct("list_head", 16, ("next", pointer, 0), ("prev", pointer, 64))
    lock = w.struct("spinlock", 8, ("raw", s64, 0))
    free = w.struct("callback_head", 16, ("next", pointer, 0), ("func", function, 64))
    easy = w.struct("", 16, ("count", s64, 0), ("rcu", free, 0), kind=decode.UNION)
    hard = w.struct("", 8, ("one", s64, 0), ("two", pointer, 0), kind=decode.UNION)
    inner = w.struct("", 8, ("x", u32, 0), ("y", u32, 32))
    name = w.add(decode.ARRAY, "", 0, char, u32, 8)
    blob = w.add(decode.ARRAY, "", 0, u8, u32, 8)
    pair = w.add(decode.ARRAY, "", 0, watched, u32, 2)
    many = w.add(decode.ARRAY, "", 0, held, u32, 65)
    none = w.add(decode.ARRAY, "", 0, s64, u32, 0)
    members = [
        ("number", s64), ("kept", held), ("action", watched), ("to", pointer), ("call", function), ("list", head), ("lock", lock),
        ("", easy), ("", hard), ("plain", inner), ("comm", name), ("blob", blob), ("two_of", pair), ("many", many), ("end", none),
    ]  # fmt: skip
    sizes = [8, 8, 8, 8, 8, 16, 8, 16, 8, 8, 8, 8, 16, 520, 0]
    at, placed = 8, []
    for (label, kind), size in zip(members, sizes, strict=True):
        placed.append((label, kind, at * 8))
        at += size
    placed = [("low", u32, 3 << 24 | 2), ("high", u32, 1 << 24 | 12), *placed]
    w.struct("thing", at, *placed, flag=True)
    return Btf(w.blob())


def rows() -> dict[str, Row]:
    found = Compiler(thing()).lines("thing")
    assert found is not None
    return {row.path: row for row in map(Row, found[1])}


def test_every_member_is_a_row_of_its_kind() -> None:
    assert {path: row.kind for path, row in rows().items()} == {
        "low": plan.BITFIELD, "high": plan.BITFIELD, "number": plan.SIGNED, "kept.a": plan.UNSIGNED, "kept.b": plan.UNSIGNED,
        "action.sa_flags": plan.SIGNED, "to": plan.POINTER, "call": plan.FUNCTION, "list": plan.LIST, "count": plan.SIGNED,
        "plain.x": plan.UNSIGNED, "plain.y": plan.UNSIGNED, "comm": plan.TEXT, "blob": plan.BYTES,
        "two_of[0].sa_flags": plan.SIGNED, "two_of[1].sa_flags": plan.SIGNED,
    }  # fmt: skip


def test_what_is_not_told_is_a_gap_or_nothing() -> None:
    compiler = Compiler(thing())
    assert compiler.lines("thing") is not None
    assert compiler.gaps == {"thing.one", "thing.many"}  # a union without a rule, an array too long; a lock is nothing
    assert compiler.lines("nothing") is None


def test_the_ledger_s_name_is_the_innermost_watched_struct() -> None:
    named = {path: (row.struct, row.field, row.type) for path, row in rows().items()}
    assert named["kept.a"] == ("thing", "kept", "struct kept")  # nobody watches `kept`: the member that embeds it stands for it
    assert named["action.sa_flags"] == ("sigaction", "sa_flags", "s64")
    assert named["two_of[1].sa_flags"] == ("sigaction", "sa_flags", "s64")
    assert named["plain.x"] == ("thing", "plain.x", "unsigned int")
    assert {path: row.own for path, row in rows().items()}["kept.a"] == "kept.a"


def test_a_live_member_of_a_union_hangs_on_its_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "WHEN", {"thing.one": "number = 1 | number = 2", "thing.two": "number < 0"})
    found = rows()
    assert found["one"].when == [("number", "=", 1), ("number", "=", 2)]
    assert found["two"].when == [("number", "<", 0)]
    monkeypatch.setattr(plan, "WHEN", {})
    monkeypatch.setattr(plan, "LIVE", frozenset(("thing.two",)))
    assert (rows()["two"].when, "one" in rows()) == ([], False)


def test_numbers_come_out_of_the_bytes() -> None:
    found = Compiler(thing()).lines("thing")
    assert found is not None
    made = Plan("thing", *found)
    data = bytearray(found[0])
    struct.pack_into("<Iq", data, 0, 0b1_0000_0001_0100, 0)
    struct.pack_into("<qII", data, 8, -5, 7, 9)
    numbers = {row.path: value for row, value in zip(made.plain, made.numbers(bytes(data)), strict=True)}
    assert (numbers["number"], numbers["kept.a"], numbers["kept.b"]) == (-5, 7, 9)
    assert (made.number(bytes(data), "low"), made.number(bytes(data), "high")) == (0b101, 1)
    assert {row.path for row in made.others} == {"low", "high", "list", "comm", "blob"}


def test_only_the_listed_fields_of_some_structs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "ONLY", {"thing": frozenset(("kept", "two_of")), "kept": frozenset("b")})
    assert set(rows()) == {"kept.b", "two_of[0].sa_flags", "two_of[1].sa_flags"}


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [
        ("thing.number", (8, 8, 0, 0)),
        ("thing.kept.b", (20, 4, 0, 0)),
        ("thing.newer|thing.kept", (16, 8, 0, 0)),
        ("thing.plain.y", (100, 4, 0, 0)),
        ("thing.low", (0, 1, 2, 3)),
        ("thing.high", (1, 1, 4, 1)),
        ("thing.end", (656, 0, 0, 0)),
        ("kept", (0, 8, 0, 0)),
        ("thing.to.a", None),  # behind a pointer
        ("thing.none", None),
        ("none.at_all", None),
    ],
)
def test_places(spelled: str, expected: object) -> None:
    assert Compiler(thing()).place(spelled) == expected
