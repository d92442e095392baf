"""kernel/cache.py: where it is, whole files, and one process at a time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.kernel import cache

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_folder_is_the_one_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "own"))
    assert cache.folder("a", "b") == str(tmp_path / "own" / "a" / "b")
    monkeypatch.delenv("HOLDFAST_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder("a") == str(tmp_path / "holdfast" / "a")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (b"old", b"new"):
        cache.write(str(path), data)
        assert path.read_bytes() == data
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_only_one_holds_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    told, tell = os.pipe()
    with cache.locked("name"):
        pid = os.fork()
        if pid == 0:
            with cache.locked("name"):
                os.write(tell, b"child")
            os._exit(0)
        os.write(tell, b"parent ")
    os.waitpid(pid, 0)
    assert os.read(told, 64) == b"parent child"
    with cache.locked("other"), cache.locked("name"):
        os.close(told)
    os.close(tell)
