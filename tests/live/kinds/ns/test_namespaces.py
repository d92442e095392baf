"""Tasks in other namespaces are refused by name, also where one thread alone is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

NEW = {
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "net": 0x40000000,
    "cgroup": 0x02000000,
    "mnt": 0x00020000,
    "user": 0x10000000,
    "pid_for_children": 0x20000000,
    "time_for_children": 0x80,
}


@pytest.mark.parametrize("name", NEW)
def test_a_process_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    source = with_calls(f"""
        call(272, {NEW[name]})
        pause()
        """)
    assert harness.refused(tmp_path, source) == [f"ns.{name}"]


@pytest.mark.parametrize("name", ["uts", "net", "pid_for_children"])
def test_a_thread_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    source = with_calls(f"""
        def run():
            call(272, {NEW[name]})
            started.release()
            go.acquire()
        started, go = threading.Lock(), threading.Lock()
        started.acquire()
        go.acquire()
        threading.Thread(target=run, daemon=True).start()
        started.acquire()
        pause()
        """)
    assert harness.refused(tmp_path, source) == [f"ns.{name}"]
