"""drift/diff.py: every sort of change, on layouts written here."""

from __future__ import annotations

from holdfast.drift import diff
from holdfast.drift.diff import Change
from holdfast.drift.snapshot import Snapshot
from holdfast.kernel.btf.layout import Layout, Leaf


def snapshot(*leaves: Leaf, name: str = "s", embedded: tuple[Layout, ...] = (), enums: dict[str, dict[str, int]] | None = None) -> Snapshot:
    structs = {name: Layout(name, 8, leaves)} if leaves else {}
    return Snapshot("k", "6.1.0", (6, 1), "", structs, {e.name: e for e in embedded}, enums or {})


def changes(old: Snapshot, new: Snapshot) -> list[tuple[str, str, str, str]]:
    return [(c.what, c.name, c.old, c.new) for c in diff.changes(old, new)]


INT = Leaf("a", "int", 0, 0, 4, "", "s32")


def test_added_removed_retyped_and_moved() -> None:
    old = snapshot(INT, Leaf("b", "int", 32, 0, 4, "", "s32"), Leaf("c", "char*", 64, 0, 8))
    new = snapshot(Leaf("b", "long", 0, 0, 8, "", "s64"), Leaf("c", "char*", 96, 0, 8), Leaf("d", "u8", 128, 3, 1, "", "u8"))
    assert changes(old, new) == [
        ("removed", "s.a", "int, 4 B", ""),
        ("added", "s.d", "", "u8:3"),
        ("retyped", "s.b", "int, 4 B", "long, 8 B"),
        ("moved", "s.c", "8", "12"),
    ]


def test_another_name_of_the_same_integer_is_no_news() -> None:
    assert changes(snapshot(INT), snapshot(INT.replace(type="s32"))) == []
    assert [c[0] for c in changes(snapshot(INT), snapshot(INT.replace(type="u32", integer="u32")))] == ["retyped"]


def test_the_size_of_an_embedded_struct_is_its_own_news() -> None:
    old, new = (Leaf("e", "struct inner", 0, 0, size, "inner") for size in (8, 16))
    inner = (Layout("inner", 8, (INT,)), Layout("inner", 16, (INT, Leaf("z", "long", 64, 0, 8, "", "s64"))))
    assert changes(snapshot(old, embedded=inner[:1]), snapshot(new, embedded=inner[1:])) == [("added", "inner.z", "", "long, 8 B")]
    assert changes(snapshot(old), snapshot(new, embedded=inner[1:])) == []


def test_a_whole_struct_comes_or_goes() -> None:
    assert diff.changes(snapshot(), snapshot(INT)) == [Change("added", "struct", "s", "a", new="int, 4 B", whole=True)]
    assert diff.changes(snapshot(INT), snapshot()) == [Change("removed", "struct", "s", "a", old="int, 4 B", whole=True)]


def test_a_likely_new_name_is_a_hint() -> None:
    old, new = snapshot(Leaf("fl_type", "u8", 0, 0, 1)), snapshot(Leaf("c.flc_type", "u8", 0, 0, 1), Leaf("other", "u8", 8, 0, 1))
    found = {c.part: c.hint for c in diff.changes(old, new)}
    assert found == {"fl_type": "", "c.flc_type": "", "other": ""}
    new = snapshot(Leaf("fl_type_locked", "u8", 0, 0, 1))
    assert {c.part: c.hint for c in diff.changes(old, new)} == {"fl_type": "fl_type_locked", "fl_type_locked": "fl_type"}


def test_constants_of_enums() -> None:
    old, new = snapshot(enums={"e": {"A": 0, "B": 1, "C": 2}}), snapshot(enums={"e": {"A": 0, "C": 3, "D": 4}})
    assert changes(old, new) == [("removed", "e.B", "1", ""), ("renumbered", "e.C", "2", "3"), ("added", "e.D", "", "4")]
