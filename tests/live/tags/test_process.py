"""What a live process uses is found, judged anew each time, and the process is not touched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from holdfast.cli.tags import command
from holdfast.errors import TargetChanged
from holdfast.tags import in_use, process

if TYPE_CHECKING:
    from collections.abc import Iterator

# says when it is ready, holds what its first argument makes, ends when its input is closed
TARGET = """
import ctypes, os, select, socket, sys, tempfile
libc = ctypes.CDLL(None, use_errno=True)
held = []
exec(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
"""


class Target:
    """A process that holds something until it is closed."""

    def __init__(self, code: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", TARGET, code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def close(self) -> None:
        """End it."""
        self.process.communicate()


@pytest.fixture
def hold(request: pytest.FixtureRequest) -> Iterator[Target]:
    target = Target(request.param)
    yield target
    target.close()


@pytest.mark.parametrize(
    ("hold", "key", "verdict"),
    [
        ("pass", "fd:pipe", "OK"),
        ("held.append(os.eventfd(3) if hasattr(os, 'eventfd') else 0)", "fd:anon_inode:[eventfd]", "OK"),
        ("held.append(select.epoll())", "fd:anon_inode:[eventpoll]", "PARTIAL"),
        ("held.append(libc.inotify_init())", "fd:anon_inode:inotify", "PARTIAL"),
        ("held.append(socket.create_server(('127.0.0.1', 0)))", "sock:AF_INET/SOCK_STREAM/IPPROTO_TCP:LISTEN", "OK"),
        ("held.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))", "sock:AF_NETLINK/SOCK_RAW/NETLINK_ROUTE", "PARTIAL"),
        ("held.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16))", "sock:AF_NETLINK/SOCK_RAW/NETLINK_GENERIC", "UNSAFE"),
        ("held.append(open('/proc/self/stat'))", "fd:proc", "PARTIAL"),
        ("held.append(open('/sys/kernel/notes', 'rb'))", "fd:sysfs", "UNSAFE"),
        ("held.append(os.open('/', os.O_PATH))", "fd:o_path", "OK"),
        ("libc.prctl(38, 1, 0, 0, 0)", "status:NoNewPrivs", "OK"),
        ("os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))", "policy:SCHED_BATCH", "OK"),
    ],
    indirect=["hold"],
)
def test_what_is_held_is_found_and_judged(hold: Target, key: str, verdict: str) -> None:
    found, dark = process.keys(hold.process.pid)
    assert (key in found, dark) == (True, [])
    assert in_use.judge([key]).verdict == verdict


@pytest.mark.parametrize("hold", ["pass"], indirect=True)
def test_a_plain_process_has_no_unknown_key(hold: Target) -> None:
    found, _ = process.keys(hold.process.pid)
    judged = in_use.judge(found)
    assert [f.subject for f in judged.findings if f.verdict not in {"OK", "PARTIAL"}] == []


def test_an_established_connection_and_its_end_without_a_mark_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        before, _ = process.keys(os.getpid())
    after, _ = process.keys(os.getpid())
    key = "sock:AF_INET/SOCK_STREAM/IPPROTO_TCP:ESTABLISHED"
    assert (key in before, key in after) == (True, False)


@pytest.mark.parametrize("hold", ["held.append(open('/sys/kernel/notes', 'rb'))"], indirect=True)
def test_the_command_says_what_and_what_to_do(hold: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_TAGS", "/nonexistent/tags")
    result = CliRunner().invoke(command, ["--pid", str(hold.process.pid), "--why", "--fail-on", "unsafe"])
    assert result.exit_code == 60
    assert result.output.startswith(f"UNSAFE pid {hold.process.pid}: engine native")
    assert "      do     close it before a dump" in result.output


def test_a_process_that_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(TargetChanged):
        process.keys(child.pid)


def test_a_zombie_has_no_memory() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.keys(child.pid)[0] == {"task:Z"}
    child.wait()
