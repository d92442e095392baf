"""Names of jobs: who has one, for how long, and in whose folder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from holdfast.engine import jobs
from holdfast.errors import KernelLacks, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for sockets and names of this test alone."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends when its input does."""
    with subprocess.Popen([sys.executable, "-S", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def test_a_job_is_found_by_its_name(waiting: subprocess.Popen[bytes], runtime: Path) -> None:
    made = jobs.register("web", waiting.pid, 77)
    assert jobs.find("web") == waiting.pid
    assert jobs.running() == [made]
    assert (made.name, made.pid, made.init) == ("web", waiting.pid, 77)
    assert stat.S_IMODE((runtime / "holdfast").stat().st_mode) == 0o700
    assert stat.S_IMODE((runtime / "holdfast" / "web").stat().st_mode) == 0o600
    assert sorted(os.listdir(runtime / "holdfast")) == ["web"]


def test_a_name_is_given_once_while_its_job_runs(waiting: subprocess.Popen[bytes]) -> None:
    jobs.register("web", waiting.pid)
    with pytest.raises(UsageError, match="a job called web runs"):
        jobs.register("web", os.getpid())
    with pytest.raises(UsageError, match="a job called web runs"):
        jobs.free("web")
    jobs.forget("web")
    assert jobs.find("web") == waiting.pid


def test_the_name_of_a_job_that_ended_is_free(waiting: subprocess.Popen[bytes], runtime: Path) -> None:
    jobs.register("web", waiting.pid)
    waiting.kill()
    os.waitid(os.P_PID, waiting.pid, os.WEXITED | os.WNOWAIT)  # a zombie has ended too
    with pytest.raises(UsageError, match="no job called web runs") as told:
        jobs.find("web")
    assert told.value.code == "usage.target"
    assert os.listdir(runtime / "holdfast") == []
    assert jobs.register("web", os.getpid()).pid == os.getpid()


def test_a_pid_that_means_another_process_now_is_not_the_job(runtime: Path) -> None:
    made = jobs.register("web", os.getpid())
    (runtime / "holdfast" / "web").write_text(f"0 {os.getpid()} {made.started - 1}\n")
    assert jobs.running() == []


def test_damage_is_no_job(runtime: Path) -> None:
    jobs.register("web", os.getpid())
    (runtime / "holdfast" / "web").write_bytes(b"\xff\xfe 1")
    assert jobs.running() == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    made = jobs.register("web", os.getpid())
    (tmp_path / "elsewhere").write_text(f"0 {made.pid} {made.started}\n")
    (tmp_path / "holdfast" / "link").symlink_to(tmp_path / "elsewhere")
    assert [job.name for job in jobs.running()] == ["web"]


def test_a_folder_that_others_can_use_is_refused(runtime: Path) -> None:
    (runtime / "holdfast").mkdir(mode=0o755)
    with pytest.raises(KernelLacks, match="cannot be kept") as told:
        jobs.register("web", os.getpid())
    assert told.value.code == "kernel_lacks.job_folder"
    assert list((runtime / "holdfast").iterdir()) == []


def test_a_folder_that_is_a_link_is_refused(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (runtime / "holdfast").symlink_to(tmp_path / "real")
    with pytest.raises(KernelLacks, match="cannot be kept"):
        jobs.running()
    assert list((tmp_path / "real").iterdir()) == []


def test_another_users_runtime_folder_is_not_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    user = os.stat(tmp_path).st_uid
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert jobs.folder() == f"/tmp/holdfast-{user + 1}"


@pytest.mark.parametrize("name", ["", "7", "a/b", "..", ".a", "-a", "a b", "a\n", "x" * 65, "ä"])
def test_not_every_word_is_a_name(name: str) -> None:
    with pytest.raises(UsageError) as told:
        jobs.check(name)
    assert told.value.code == "usage.name"


@pytest.mark.parametrize("name", ["a", "web-1", "7a", "A.b_c", "x" * 64])
def test_a_plain_word_is_a_name(name: str) -> None:
    assert jobs.check(name) == name
