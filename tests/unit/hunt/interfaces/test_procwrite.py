"""hunt.interfaces.procwrite: files of a process that it may write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.hunt.interfaces import procwrite
from tests.unit.hunt.interfaces.soundness import faults, made

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_every_recipe_is_sound() -> None:
    assert faults(procwrite) == []


def test_files_that_can_be_written_are_found_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "attr").mkdir()
    for name, mode in {"comm": 0o644, "tomorrow": 0o200, "stat": 0o444, "attr/exec": 0o666, "attr/prev": 0o444}.items():
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    assert procwrite.writable(str(tmp_path)) == ["comm", "tomorrow", "attr/exec"]


def test_a_file_of_tomorrow_is_written_small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procwrite, "writable", lambda folder: ["tomorrow", "mem"])
    found = [r.name for r in made(procwrite) if r.name.startswith("proc/self.")]
    assert found == ["proc/self.tomorrow=0", "proc/self.tomorrow=1"]


def test_a_text_is_written_as_long_as_it_is() -> None:
    (opened, written, closed) = procwrite.write("/proc/self/comm", "a\\nb").split(" ; ")
    assert written == "write($file, b'a\\nb', 3)"
    assert (opened.partition(" = ")[0], closed) == ("file", "close($file)")
