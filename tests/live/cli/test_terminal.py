"""A program that was started from a shell is restored from another shell, and is a job of that one: keyboard, Ctrl-C, Ctrl-Z, fg."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

import holdfast
from tests import harness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("pty")  # terminals come back by number, which no other test may take meanwhile

HOLDFAST = os.path.join(os.path.dirname(sys.executable), "holdfast")
# a signal that comes just before read(2) would not end it: the pipe wakes select
PROGRAM = """
import os, select, signal, sys
woken, wake = os.pipe()
os.set_blocking(wake, False)
signal.set_wakeup_fd(wake)
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"INTERRUPTED\\n"))
os.write(1, b"pid=%d;\\n" % os.getpid())
line = b""
while line != b"end\\n":
    ready, _, _ = select.select([0, woken], [], [])
    if woken in ready:
        os.read(woken, 1)
    if 0 in ready:
        line = os.read(0, 100)
        os.write(1, b"heard " + line)
sys.exit(5)
"""
PROMPT = "ready> "


class Shell:
    """An interactive bash on a terminal of its own."""

    def __init__(self) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.closerange(3, 1 << 16)
            os.execve("/bin/bash", ["bash", "--norc", "--noediting", "-i"], {**os.environ, "PS1": PROMPT, "TERM": "dumb"})
        self.text = ""
        self.until(PROMPT)

    def until(self, wanted: str) -> str:
        """Everything that is shown up to a text that is waited for."""
        deadline = time.monotonic() + harness.PATIENCE_S
        while wanted not in self.text:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {wanted!r} within {harness.PATIENCE_S:g} s; shown: {self.text!r}"
            self.text += os.read(self.fd, 1 << 12).decode()
        seen, _, self.text = self.text.partition(wanted)
        return seen

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.fd, text.encode())

    def close(self) -> None:
        """Hang up; whatever still runs there ends."""
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.fixture
def shell() -> Iterator[Callable[[], Shell]]:
    """Opens shells, and closes them at the end."""
    opened: list[Shell] = []

    def open_one() -> Shell:
        opened.append(Shell())
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.mark.root
@pytest.mark.tool("bash")
def test_a_shell_job_is_a_job_of_the_shell_that_restores_it(tmp_path: Path, shell: Callable[[], Shell]) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    first = shell()
    first.type(f"{sys.executable} -IS {tmp_path}/program.py\n")
    first.until("pid=")
    pid = int(first.until(";"))
    first.type("one\n")
    first.until("heard one")
    holdfast.dump(pid, tmp_path / "image", options=holdfast.Options(shell_job=True))
    first.until(PROMPT)  # the shell has collected it: its pid is free

    second = shell()
    second.type(f"{HOLDFAST} restore {tmp_path}/image\n")
    second.until(f"pid {pid} runs again")
    second.type("two\n")
    second.until("heard two")
    second.type("\x03")
    second.until("INTERRUPTED")
    second.type("\x1a")
    second.until("Stopped")
    second.until(PROMPT)
    second.type("fg\n")
    second.until("restore")
    second.type("three\n")
    # one INTERRUPTED for one Ctrl-C: it was not passed on beside what the kernel sent
    assert "INTERRUPTED" not in second.until("heard three")
    second.type("end\n")
    second.until(PROMPT)
    second.type("echo status=$?\n")
    second.until("status=5\r")
