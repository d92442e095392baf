"""The snapshot of symbol to file reads back what was written, and the newest tree counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.errors import InternalError
from holdfast.tags.scopes import SHIPPED, name_of, of_tree, read, shipped, sources, write
from holdfast.tags.tree import Option, Tree

if TYPE_CHECKING:
    from pathlib import Path


def tree(**files: str) -> Tree:
    return Tree({n: Option(n, "bool", "", "", tuple(f.split("|")), ("",), (), (), (), False) for n, f in files.items()}, (), 1)


def test_round_trip_and_newest_wins() -> None:
    old, new = tree(A="init/Kconfig", B="mm/Kconfig"), tree(A="kernel/Kconfig", C="x/Kconfig|y/Kconfig")
    text = write([("linux-1", old), ("linux-2", new)])
    assert read(text) == {"A": "kernel/Kconfig", "B": "mm/Kconfig", "C": "x/Kconfig|y/Kconfig"}
    assert sources(text) == ("linux-1", "linux-2")
    assert of_tree(new) == {"A": "kernel/Kconfig", "C": "x/Kconfig|y/Kconfig"}


def test_a_tree_is_named_by_its_makefile(tmp_path: Path) -> None:
    assert name_of(str(tmp_path)) == tmp_path.name
    (tmp_path / "Makefile").write_text("# SPDX\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\nEXTRAVERSION =\nNAME = Baby\n")
    assert name_of(str(tmp_path)) == "linux-6.12.117"


def test_damage_is_an_error() -> None:
    with pytest.raises(InternalError):
        read("A\tb\n")


def test_the_shipped_one_covers_debians_kernels() -> None:
    with open(SHIPPED, encoding="ascii") as file:
        text = file.read()
    assert [s.rpartition(".")[0] for s in sources(text)] == ["linux-6.1", "linux-6.12", "linux-7.2", "linux-7.3"]
    assert len(shipped()) > 20000
    paths = [line.partition(": ")[0] for line in text.splitlines()[2:]]
    assert paths == sorted(set(paths))
