"""What task.landlock promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast.errors import Refused
from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path

SANDBOX = """
def sandbox():
    prctl(38, 1)
    try:
        rules = call(444, struct.pack("<Q", 1), 8, 0)
    except OSError:
        return False
    call(446, rules, 0)
    os.close(rules)
    return True
"""


def dump(tmp_path: Path, source: str) -> list[str]:
    subject = harness.start(tmp_path, with_calls(SANDBOX + source))
    try:
        with pytest.raises(Refused) as caught:
            holdfast.dump(subject.pid, tmp_path / "image")
        subject.go()
        subject.end()
    finally:
        subject.kill()
    if subject.said == [False]:
        pytest.skip("machine cannot: its kernel has no Landlock")
    return [r.code for r in caught.value.refusals]


def test_a_sandboxed_process_is_refused(tmp_path: Path) -> None:
    assert dump(tmp_path, "say(sandbox())\npause()") == ["task.landlock"]


def test_a_thread_alone_in_a_sandbox_is_refused(tmp_path: Path) -> None:
    source = """
def run():
    say(sandbox())
    started.release()
    go.acquire()
started, go = threading.Lock(), threading.Lock()
started.acquire()
go.acquire()
threading.Thread(target=run, daemon=True).start()
started.acquire()
pause()
"""
    assert dump(tmp_path, source) == ["task.landlock"]
