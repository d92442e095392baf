"""kernel/state/layouts.py: what is kept and who may have written it, the text and back, the build id."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel.state import layouts
from holdfast.kernel.state.layouts import Layouts, keep, trusted

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "holdfast kernel state 3\npid.numbers 144 0 0 0\ncred.bit 8 1 3 1\n\n"
TEXT += "thing 16 thing.union\ncount\t8\t0\t0\t4\ts\t\tthing.count\tthing\tcount\tint\t"


def test_text_becomes_plans_and_places() -> None:
    found = Layouts(TEXT)
    assert (found.at("pid.numbers"), found.size("pid.numbers"), found.knows("pid.numbers"), found.knows("pid.level")) == (
        144,
        0,
        True,
        False,
    )
    assert [found.value("cred.bit", bytes([n])) for n in (0, 8, 0xF7, 0xFF)] == [0, 1, 0, 1]
    assert (found.has("thing"), found.has("other"), found.gaps("thing")) == (True, False, ("thing.union",))
    plan = found.plan("thing")
    assert plan.size == 16
    assert plan.numbers(struct.pack("<qii", 0, -5, 0)) == (-5,)


@pytest.mark.parametrize(
    "text", ["", "another form\n", "holdfast kernel state 0\n", "holdfast kernel state 3\nx y z w v", "holdfast kernel state 3\nx 1 2"]
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"layouts|invalid literal"):
        Layouts(text)


def test_what_is_kept_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    old = os.umask(0)
    try:
        keep(str(path), b"data")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert trusted(str(path)) == b"data"
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_may_write_is_not_believed(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "kept"
    keep(str(path), b"data")
    path.chmod(mode)
    assert trusted(str(path)) is None


@pytest.mark.root
def test_what_another_user_owns_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    keep(str(path), b"data")
    os.chown(path, 65534, 65534)
    assert trusted(str(path)) is None


def test_a_link_is_not_followed_and_a_second_name_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    keep(str(path), b"data")
    (tmp_path / "link").symlink_to(path)
    assert trusted(str(tmp_path / "link")) is None
    os.link(path, tmp_path / "second")
    assert trusted(str(path)) is None
    assert trusted(str(tmp_path / "none")) is None


def test_the_build_id_is_found_behind_other_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = struct.pack("<III", 4, 5, 0x100) + b"Xen\0" + b"12345\0\0\0"
    own = struct.pack("<III", 4, 20, 3) + b"GNU\0" + bytes(range(20))
    (tmp_path / "notes").write_bytes(other + own)
    monkeypatch.setattr(layouts, "_NOTES", str(tmp_path / "notes"))
    assert layouts.build_id() == bytes(range(20)).hex()
    (tmp_path / "notes").write_bytes(other)
    assert layouts.build_id() == ""
    monkeypatch.setattr(layouts, "_NOTES", str(tmp_path / "none"))
    assert layouts.build_id() == ""


@pytest.mark.skipif(not os.path.exists("/sys/kernel/btf/vmlinux"), reason="machine cannot: this kernel has no BTF")
def test_a_second_load_is_from_the_cache_and_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    first = layouts.load()
    monkeypatch.setattr(layouts, "text", lambda _btf: pytest.fail("the types were decoded again"))
    second = layouts.load()
    assert second.plan("task_struct").size == first.plan("task_struct").size > 1000
    (kept,) = (tmp_path / "state").iterdir()
    kept.write_bytes(kept.read_bytes()[:40])  # cut short: made anew
    monkeypatch.undo()
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    assert layouts.load().plan("task_struct").size == first.plan("task_struct").size
