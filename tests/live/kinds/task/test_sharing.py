"""What task.sharing promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def test_a_thread_that_unshared_its_descriptors_is_refused(tmp_path: Path) -> None:
    source = with_calls(
        """
        def run():
            call(272, 0x400)
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
