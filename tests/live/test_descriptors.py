"""Whoever uses Holdfast as a library all day keeps no descriptor of any dump, check or restore."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast.errors import Refused
from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
import threading
gate = threading.Event()
for _ in range(4):
    threading.Thread(target=gate.wait, daemon=True).start()
pause()
"""


def held() -> dict[int, str]:
    """Our descriptors, but for what is kept for the next time: one set of BPF objects, and the pidfds of kernel/borrowed.py."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # of the listing itself
    return {fd: link for fd, link in found.items() if link != "anon_inode:[pidfd]" and not link.startswith("anon_inode:bpf")}


@pytest.mark.live
def test_a_dump_and_a_check_keep_no_descriptor(tmp_path: Path) -> None:
    subject = harness.start(tmp_path, SOURCE)
    try:
        before = held()
        holdfast.check(subject.pid)
        assert held() == before
        holdfast.dump(subject.pid, tmp_path / "image", leave_running=True)
        assert held() == before
    finally:
        subject.kill()


@pytest.mark.live
def test_a_refused_dump_keeps_no_descriptor(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    subject = harness.start(tmp_path, SOURCE, keep=[reader])
    try:
        before = held()
        with pytest.raises(Refused):
            holdfast.dump(subject.pid, tmp_path / "image")
        assert held() == before
    finally:
        subject.kill()
        os.close(reader)
        os.close(writer)


@pytest.mark.root
@pytest.mark.live
def test_a_restore_keeps_no_descriptor(tmp_path: Path) -> None:
    subject = harness.start(tmp_path, SOURCE)
    try:
        holdfast.dump(subject.pid, tmp_path / "image")
        before = held()
        subject.process.wait()
        harness.restored(tmp_path / "image", subject)
        assert held() == before
    finally:
        subject.kill()
