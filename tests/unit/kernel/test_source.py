"""Where /proc bytes come from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel.source import Captured, Link, Live, captured_folder

if TYPE_CHECKING:
    from pathlib import Path

FILES: dict[str, bytes | OSError] = {
    "412/stat": b"412 (a) S\n",
    "412/exe": Link(b"/usr/bin/a"),
    "412/task/412/comm": b"a\n",
    "412/task/413/comm": b"b\n",
    "412/environ": PermissionError(13, "Permission denied"),
}


def test_captured_reads_what_was_captured() -> None:
    proc = Captured(FILES)
    task = proc.at("412")
    assert proc.read("412/stat") == b"412 (a) S\n"
    assert task.read("stat") == b"412 (a) S\n"
    assert task.readlink("exe") == b"/usr/bin/a"
    assert task.listdir("task") == ["412", "413"]
    assert task.at("task/413").read("comm") == b"b\n"
    assert task.listdir(".") == ["stat", "exe", "task", "environ"]


@pytest.mark.parametrize(
    ("verb", "path", "error"),
    [
        ("read", "412/status", FileNotFoundError),
        ("read", "412/environ", PermissionError),
        ("read", "412/exe", OSError),
        ("readlink", "412/stat", OSError),
        ("listdir", "413", FileNotFoundError),
        ("at", "413", FileNotFoundError),
    ],
)
def test_captured_fails_as_the_kernel_does(verb: str, path: str, error: type[OSError]) -> None:
    with pytest.raises(error):
        getattr(Captured(FILES), verb)(path)


def test_captured_folder_takes_files_and_links(tmp_path: Path) -> None:
    (tmp_path / "task" / "7").mkdir(parents=True)
    (tmp_path / "task" / "7" / "comm").write_bytes(b"x\n")
    os.symlink("/nowhere", tmp_path / "cwd")
    copy = captured_folder(str(tmp_path))
    assert copy.read("task/7/comm") == b"x\n"
    assert copy.readlink("cwd") == b"/nowhere"


def test_live_reads_until_the_end_of_a_file_longer_than_its_buffer(tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (tmp_path / "big").write_bytes(content)
    (tmp_path / "empty").write_bytes(b"")
    with Live(str(tmp_path)) as folder:
        assert folder.read("big") == content
        assert folder.read("empty") == b""
        assert sorted(folder.listdir(".")) == ["big", "empty"]


def test_live_leaves_no_descriptor_open() -> None:
    before = os.listdir("/proc/self/fd")
    with Live("/proc") as proc, proc.at(str(os.getpid())) as task:
        task.read("stat")
        task.listdir("fd")
        task.readlink("exe")
        with pytest.raises(FileNotFoundError):
            task.read("no-such-file")
        with pytest.raises(FileNotFoundError):
            task.at("no-such-folder")
    proc.close()
    assert os.listdir("/proc/self/fd") == before


def test_live_children_outlive_their_parent() -> None:
    with Live("/proc") as proc:
        task = proc.at(str(os.getpid()))
    with task:
        assert task.read("stat").split()[0] == str(os.getpid()).encode()
