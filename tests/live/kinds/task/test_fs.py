"""What task.fs promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_working_directory_and_umask_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            os.mkdir("a b\\n")
            os.chdir("a b\\n")
            os.umask(0o137)
            where = os.getcwd()
            pause()
            say([os.getcwd() == where, oct(os.umask(0))])
            """
        ),
    )
    assert trip.said == trip.control == [[True, "0o137"]]


@pytest.mark.root
def test_a_changed_root_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            keep_output()
            os.makedirs("jail/inside")
            os.chroot("jail")
            os.chdir("/inside")
            pause()
            say([os.getcwd(), sorted(os.listdir("/"))])
            """
        ),
    )
    assert trip.said == trip.control == [["/inside", ["inside"]]]


def test_a_directory_that_was_removed_is_refused(tmp_path: Path) -> None:
    source = with_calls(
        """
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir(os.getcwd())
        pause()
        """
    )
    assert harness.refused(tmp_path, source) == ["task.fs"]


def test_a_folder_of_a_process_is_refused(tmp_path: Path) -> None:
    assert harness.refused(tmp_path, 'os.chdir("/proc/self/fd")\npause()\n') == ["task.fs_proc"]
