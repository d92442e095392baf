"""What task.sharing promises, kept by a real dump and restore."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import holdfast
from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_a_process_that_shares_descriptors_is_refused(tmp_path: Path) -> None:
    source = with_calls(
        """
        child = libc.syscall(56, 0x400 | 17, 0, 0, 0, 0)
        if child == 0:
            while True:
                signal.pause()
        pause()
        os.kill(child, 9)
        """
    )
    assert harness.refused(tmp_path, source) == ["task.shared_process"]


@pytest.mark.parametrize("threads", [False, True])
def test_a_process_that_shares_its_semaphore_adjustments_is_refused(tmp_path: Path, threads: bool) -> None:
    # CLONE_SYSVSEM; there are none yet, but the next would be undone when the last of both ends
    source = with_calls(
        f"""
        if {threads}:
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        child = libc.syscall(56, 0x40000 | 17, 0, 0, 0, 0)
        if child == 0:
            while True:
                signal.pause()
        pause()
        os.kill(child, 9)
        """
    )
    assert harness.refused(tmp_path, source) == ["task.shared_process"]


@pytest.mark.parametrize("what", [0x400, 0x40000])
def test_a_thread_that_unshared_its_descriptors_or_adjustments_is_refused(tmp_path: Path, what: int) -> None:
    source = with_calls(
        f"""
        def run():
            call(272, {what})
            started.release()
            go.acquire()
        started, go = threading.Lock(), threading.Lock()
        started.acquire()
        go.acquire()
        threading.Thread(target=run, daemon=True).start()
        started.acquire()
        pause()
        """
    )
    assert harness.refused(tmp_path, source) == ["task.unshared_thread"]


def test_semaphore_adjustments_are_refused(tmp_path: Path) -> None:
    source = with_calls(
        """
        made = call(64, 0, 1, 0o1600)
        call(65, made, struct.pack("<Hhh", 0, 1, 0x1000), 1)
        pause()
        call(66, made, 0, 0)
        """
    )
    assert harness.refused(tmp_path, source) == ["task.sem_undo"]


IO_CLONE = """
        {before}
        child = libc.syscall(56, {flags} | 17, 0, 0, 0, 0)
        if child == 0:
            while True:
                signal.pause()
        pause()
        os.kill(child, 9)
        """


def test_a_shared_io_context_is_refused(tmp_path: Path) -> None:
    source = IO_CLONE.format(before="call(251, 1, 0, 2 << 13 | 1)", flags=0x80000000)
    assert harness.refused(tmp_path, with_calls(source)) == ["task.shared_io"]


def test_equal_io_priorities_are_no_shared_context(tmp_path: Path) -> None:
    subject = harness.start(tmp_path, with_calls(IO_CLONE.format(before="call(251, 1, 0, 2 << 13 | 1)", flags=0)))
    try:
        assert [r.code for r in holdfast.check(subject.pid).refusals] == []
        subject.go()
        subject.end()
    finally:
        subject.kill()


def test_tasks_that_did_no_io_share_no_context_even_where_the_dumper_has_one(tmp_path: Path) -> None:
    subject = harness.start(tmp_path, with_calls(IO_CLONE.format(before="", flags=0)))
    source = (
        "import ctypes, sys, holdfast\nctypes.CDLL(None).syscall(251, 1, 0, 2 << 13 | 1)\nprint(holdfast.check(int(sys.argv[1])).refusals)"
    )
    try:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", source, str(subject.pid)], env=env, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "()\n"
        subject.go()
        subject.end()
    finally:
        subject.kill()
