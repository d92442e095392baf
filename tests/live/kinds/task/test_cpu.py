"""What task.cpu promises, kept by a real dump and restore."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast.errors import Refused
from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from holdfast.model.census import Admission

# a wait in a second thread, its number, and what is lost of it
ENDS = "was waiting with a time limit: it ends with EINTR, as at any stop"
ANEW = "was waiting with a timeout: restored, it waits for its whole time again"
FORGOTTEN = "restart_syscall waits in a call that was stopped before: restored, it ends with EINTR"
BLIND = holdfast.Options(no_kernel_state=True)
RESTART_SYSCALL, SECOND = 219, 1_000_000_000
BUFFER = "buffer = ctypes.create_string_buffer(128)\n"
TIMES = 'times = struct.pack("<qq", 1000, 0)\n'
SOCKET = """
import socket
one, two = socket.socketpair()
one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("<qq", 1000, 0))
"""
WAITS = {
    "epoll_wait": (BUFFER + "events = select.epoll()\ncall(232, events.fileno(), buffer, 1, 1000000)", 232, ENDS),
    "epoll_pwait2": (BUFFER + TIMES + "events = select.epoll()\ncall(441, events.fileno(), buffer, 1, times, 0, 0)", 441, ENDS),
    "rt_sigtimedwait": (TIMES + 'call(128, struct.pack("<Q", 1 << 39), 0, times, 8)', 128, ENDS),
    "recvfrom": (SOCKET + "one.recv(1)", 45, ENDS),
    "read": (SOCKET + "os.read(one.fileno(), 1)", 0, ENDS),
    "poll": ("call(7, 0, 0, 1000000)", 7, ANEW),
    "futex": (BUFFER + TIMES + "call(202, buffer, 0, 0, times, 0, 0)", 202, ANEW),
    "nanosleep": (TIMES + "call(35, times, 0)", 35, ANEW),
    "clock_nanosleep": (TIMES + "call(230, 1, 0, times, 0)", 230, ANEW),
}
ENDLESS = {
    "epoll_wait": (BUFFER + "events = select.epoll()\ncall(232, events.fileno(), buffer, 1, -1)", 232),
    "poll": ("call(7, 0, 0, -1)", 7),
    "recvfrom": ("import socket\none, two = socket.socketpair()\none.recv(1)", 45),
    "futex": (BUFFER + "call(202, buffer, 0, 0, 0, 0, 0)", 202),
    "deadline": (TIMES + "call(230, 1, 1, struct.pack('<qq', int(time.monotonic()) + 1000, 0), 0)", 230),
}


def blocked(tmp_path: Path, source: str, number: int) -> harness.Subject:
    """A subject with a thread that is blocked in a call."""
    lines = source.strip().replace("\n", "\n    ")
    subject = harness.start(
        tmp_path, with_calls(f"import threading\ndef run():\n    {lines}\nthreading.Thread(target=run, daemon=True).start()\npause()\n")
    )
    until_in(subject, number)
    return subject


def until_in(subject: harness.Subject, number: int) -> None:
    """Wait until a thread of a subject, not its first, is in a call."""
    deadline = time.monotonic() + harness.PATIENCE_S
    while True:
        tids = [t for t in os.listdir(f"/proc/{subject.pid}/task") if t != str(subject.pid)]
        calls = [Path(f"/proc/{subject.pid}/task/{t}/syscall").read_text().split()[0] for t in tids]
        if str(number) in calls:
            return
        assert time.monotonic() < deadline, (calls, subject.log)
        os.sched_yield()


def losses(admission: Admission) -> list[str]:
    return [loss.what for loss in admission.losses if loss.kind == "task.cpu"]


@pytest.mark.parametrize("call", WAITS)
def test_a_check_tells_of_a_timed_wait_what_a_dump_tells(tmp_path: Path, call: str) -> None:
    source, number, lost = WAITS[call]
    subject = blocked(tmp_path, source, number)
    try:
        checked = holdfast.check(subject.pid, options=BLIND)
        dumped = holdfast.dump(subject.pid, tmp_path / "image", leave_running=True, options=BLIND).admission
    finally:
        subject.kill()
    assert losses(dumped) == [f"{call} {lost}"]
    assert losses(checked) == losses(dumped)
    assert checked.verdict == dumped.verdict


@pytest.mark.parametrize("call", ENDLESS)
def test_a_wait_without_limit_or_until_a_moment_loses_nothing(tmp_path: Path, call: str) -> None:
    source, number = ENDLESS[call]
    subject = blocked(tmp_path, source, number)
    try:
        checked = holdfast.check(subject.pid)
        dumped = holdfast.dump(subject.pid, tmp_path / "image", leave_running=True).admission
    finally:
        subject.kill()
    assert (losses(checked), losses(dumped)) == ([], [])


def remaining(image: Path) -> list[int]:
    """What remained of every wait in an image, in ns."""
    rows = [row["wait"] for _, row in holdfast.records(image, "task.cpu")]
    return [row["remaining_ns"] for row in rows if row is not None]


RESTARTED = ("poll", "futex", "nanosleep", "clock_nanosleep")


@pytest.mark.root
@pytest.mark.parametrize("stops", [1, 2])
@pytest.mark.parametrize("call", RESTARTED)
def test_a_restored_wait_ends_when_it_would_have_ended(tmp_path: Path, call: str, stops: int) -> None:
    source, number, _ = WAITS[call]
    subject = blocked(tmp_path, source, number)
    try:
        for n in range(1, stops):
            holdfast.dump(subject.pid, tmp_path / f"before-{n}", leave_running=True)
            until_in(subject, RESTART_SYSCALL)
        told = losses(holdfast.check(subject.pid)) + losses(holdfast.dump(subject.pid, tmp_path / "image").admission)
    finally:
        subject.kill()
    again = holdfast.restore(tmp_path / "image")
    holdfast.dump(again.pid, tmp_path / "again")
    again.wait()
    (first,), (second,) = remaining(tmp_path / "image"), remaining(tmp_path / "again")
    assert told == []
    assert 900 * SECOND < second < first + SECOND // 1000 < 1_000_000 * SECOND  # poll counts in milliseconds


def test_a_wait_that_was_stopped_before_is_told_where_nobody_may_look(tmp_path: Path) -> None:
    source, number, _ = WAITS["futex"]
    subject = blocked(tmp_path, source, number)
    try:
        holdfast.dump(subject.pid, tmp_path / "first", leave_running=True, options=BLIND)
        until_in(subject, RESTART_SYSCALL)
        checked = holdfast.check(subject.pid, options=BLIND)
        dumped = holdfast.dump(subject.pid, tmp_path / "second", leave_running=True, options=BLIND).admission
    finally:
        subject.kill()
    assert (losses(checked), losses(dumped)) == ([FORGOTTEN], [FORGOTTEN])


# a futex whose word is changed while somebody waits for it, without a word to him
OVER = """
word = ctypes.c_int(0)
def run():
    try:
        call(202, ctypes.byref(word), 0, 0, struct.pack("<qq", 1000, 0), 0, 0)
    except OSError as e:
        say(e.errno)
thread = threading.Thread(target=run, daemon=True)
thread.start()
while not any(read(f"/proc/self/task/{t}/syscall").startswith("202 0x%x " % ctypes.addressof(word)) for t in os.listdir("/proc/self/task")):
    os.sched_yield()
word.value = 1
pause()
thread.join()
"""


@pytest.mark.root
def test_a_wait_that_is_over_when_it_is_begun_again_is_over(tmp_path: Path) -> None:
    trip = harness.roundtrip(tmp_path, with_calls(OVER), control=False)
    assert trip.said == [11]  # EAGAIN, as after any stop: futex(2)


# attaches, sets a watchpoint of 4 bytes for writing, goes away
DEBUGGER = """
import ctypes, os, sys
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long] * 4
ptrace.restype = ctypes.c_long
pid, address = int(sys.argv[1]), int(sys.argv[2], 0)
def call(*words):
    assert ptrace(*words) == 0, os.strerror(ctypes.get_errno())
call(16, pid, 0, 0)
os.waitpid(pid, 0)
call(6, pid, 848, address)
call(6, pid, 848 + 56, 1 | 0b1101 << 16)
call(17, pid, 0, 0)
"""


def test_breakpoints_that_a_debugger_left_are_refused(tmp_path: Path) -> None:
    subject = harness.start(tmp_path, "pause()\n")
    try:
        with open(f"/proc/{subject.pid}/maps") as f:
            heap = next(line.split("-")[0] for line in f if "[heap]" in line)
        done = subprocess.run([sys.executable, "-c", DEBUGGER, str(subject.pid), f"0x{heap}"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        with pytest.raises(Refused) as caught:
            holdfast.dump(subject.pid, tmp_path / "image")
        assert [r.code for r in caught.value.refusals] == ["task.cpu.debug_registers"]
        subject.go()
        subject.end()
    finally:
        subject.kill()


PART = "had done a part of what it was asked for: it returns that, as at any stop"
PARTS = {
    "write": ("reading, writing = os.pipe()\nos.write(writing, bytes(61440))\nos.write(writing, bytes(8192))", 1, f"write {PART}"),
    "recvfrom": (
        "import socket\none, two = socket.socketpair()\ntwo.send(b'xyz')\none.recv(6, socket.MSG_WAITALL)",
        45,
        f"recvfrom {PART}",
    ),
}


@pytest.mark.parametrize("call", PARTS)
def test_a_call_that_has_done_a_part_is_told(tmp_path: Path, call: str) -> None:
    source, number, told = PARTS[call]
    subject = blocked(tmp_path, source, number)
    try:
        dumped = holdfast.dump(subject.pid, tmp_path / "image").admission
    finally:
        subject.kill()
    assert losses(dumped) == [told]
