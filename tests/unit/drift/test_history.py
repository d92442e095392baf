"""drift/history.py: runs of kernels, and the file as text and back."""

from __future__ import annotations

import pytest

from holdfast.drift import history
from holdfast.drift.snapshot import Snapshot
from holdfast.errors import UsageError
from holdfast.kernel.btf.layout import Layout, Leaf


def snapshot(version: tuple[int, ...], **fields: str) -> Snapshot:
    leaves = tuple(Leaf(n, t, 0, 0, 4) for n, t in fields.items())
    return Snapshot("k", "", version, "", {"s": Layout("s", 8, leaves)}, {}, {})


SNAPSHOTS = [
    snapshot((6, 1), a="int", b="int"),
    snapshot((6, 12), a="int"),
    snapshot((7, 0), a="long", b="int"),
    snapshot((7, 3), a="long"),
]


def test_each_type_of_a_field_has_its_kernels() -> None:
    found = history.build(SNAPSHOTS)
    assert {name: [(s.type, found.runs(s)) for s in spans] for name, spans in found.fields.items()} == {
        "s.a": [("int", "6.1-6.12"), ("long", "7.0-")],
        "s.b": [("int", "6.1 7.0")],
    }
    assert found.at(2) == {"s.a": "long", "s.b": "int"}


def test_flavours_do_not_run_into_each_other() -> None:
    full = snapshot((6, 1), a="int").replace(name="debian:6.1.0-56")
    found = history.build([*SNAPSHOTS[:2], full])
    assert found.kernels == ("6.1", "6.12", "6.1/full")
    assert [found.runs(s) for s in found.fields["s.a"]] == ["6.1- 6.1/full-"]
    assert history.parse(history.text(found)) == found


def test_the_file_is_the_history() -> None:
    found = history.build(SNAPSHOTS)
    assert history.parse(history.text(found)) == found


@pytest.mark.parametrize("text", ["", "x\n", "# kernels: 6.1\ns.a\tint\n", "# kernels: 6.1\ns.a\tint\t9.9\n"])
def test_damage_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=r"ledger\.malformed"):
        history.parse(text)
