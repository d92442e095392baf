"""task.fs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from holdfast.kernel.source import Link
from holdfast.kinds.task.fs import KIND, Fs
from tests.unit.kinds import captured

PLACE: dict[str, bytes | OSError] = {"cwd": Link(b"/srv/a b"), "root": Link(b"/")}
DIRECTORY = SimpleNamespace(st_mode=0o40755)


def test_links_and_umask_give_the_record() -> None:
    files = {**PLACE, "status": captured.line(captured.STATUS, "Umask", "0137")}
    assert captured.dumped(KIND, captured.process(files)) == Fs(b"/srv/a b", b"/", 0o137)


@pytest.mark.parametrize("path", [b"/srv/x (deleted)", b"(unreachable)/x"])
@pytest.mark.parametrize("link", ["cwd", "root"])
def test_a_directory_without_a_name_is_refused(link: str, path: bytes) -> None:
    assert captured.verdicts(KIND, captured.process({**PLACE, link: Link(path)})) == ["task.fs"]


@pytest.mark.parametrize(("path", "said"), [(b"/proc/412/fd", ["task.fs_proc"]), (b"/jail/proc/1", ["task.fs_proc"]), (b"/proc/sys", [])])
@pytest.mark.parametrize("link", ["cwd", "root"])
def test_a_folder_of_a_process_is_refused(link: str, path: bytes, said: list[str]) -> None:
    assert captured.verdicts(KIND, captured.process({**PLACE, link: Link(path)})) == said


def test_what_cannot_be_read_is_unchecked() -> None:
    assert captured.verdicts(KIND, captured.process({**PLACE, "cwd": PermissionError(13, "")})) == ["Unchecked"]


def test_a_machine_without_the_directory_is_refused() -> None:
    host = captured.Disk({b"/": DIRECTORY, b"/file": SimpleNamespace(st_mode=0o100644)})
    assert captured.unready(KIND, Fs(b"/", b"/", 0), host) == []
    assert captured.unready(KIND, Fs(b"/gone", b"/", 0), host) == ["task.fs_gone"]
    assert captured.unready(KIND, Fs(b"/file", b"/", 0), host) == ["task.fs_gone"]


def test_the_root_is_left_last() -> None:
    [part] = captured.written(KIND, Fs(b"/srv", b"/jail", 0o22))
    assert (part.calls, part.ends) == ([("chdir", b"/srv\0"), ("chroot", b"/jail\0"), ("umask", 0o22)], {"paths"})
    assert captured.calls(KIND, Fs(b"/srv", b"/", 0)) == [("chdir", b"/srv\0"), ("umask", 0)]
