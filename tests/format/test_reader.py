"""The second reader, written from docs/format.md alone, agrees with the first."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.image import read
from holdfast.image.inventory import Inventory
from holdfast.model.record import Record
from tests.format import reader
from tests.format.synthetic import AREAS, COUNTERS, FACTS, NOTES, load, make

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make(tmp_path / "image")
    return tmp_path / "image"


def plain(value: Any) -> Any:
    """A value of ours in stored form."""
    if isinstance(value, Record):
        return {name: plain(v) for name, v in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return [plain(v) for v in value] if isinstance(value, tuple) else value


def test_it_imports_nothing_of_ours() -> None:
    with open(reader.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    modules = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    modules |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert modules == {"__future__", "os", "struct", "sys", "typing", "cbor2", "blake3"}


def test_it_reads_the_same_records(path: Path) -> None:
    found = reader.read(str(path))
    for kind, entries in (("test.area", AREAS), ("test.counter", COUNTERS), ("test.note", NOTES), ("image.inventory", [("image", FACTS)])):
        assert found["kinds"][kind] == {name: plain(record) for name, record in entries}
    with load(path) as image:
        assert found["identity"] == image.digest
        assert found["files"] == image.pages_files()
        ours = [plain(run) for owner in image.owners() for run in image.runs(owner)]
    assert found["runs"] == ours


def test_it_lists_an_image_from_the_shell(path: Path) -> None:
    done = subprocess.run([sys.executable, "-I", reader.__file__, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "test.area version 1: 2"
    assert "  counter:1 count=1099511627776 name='none'" in done.stdout.splitlines()


def test_both_refuse_what_has_no_seal(path: Path) -> None:
    with read.open(path) as image:
        start = image.frames[-1].start
    os.truncate(path / "state", start)
    with pytest.raises(reader.Refused, match=r"^no seal$"):
        reader.read(str(path))


def test_it_knows_every_field_of_the_inventory(path: Path) -> None:
    assert list(reader.read(str(path))["kinds"]["image.inventory"]["image"]) == list(Inventory._infos)
