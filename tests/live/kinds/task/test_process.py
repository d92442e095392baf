"""What task.process promises of stops and of children that ended, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

CHILD = r"""
import threading
heard = []
def child(signal_no, threads=0):
    pid = os.fork()
    if not pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.setpgid(0, 0)                 # in an orphaned group only SIGSTOP stops
        for _ in range(threads):
            threading.Thread(target=signal.pause).start()
        os.kill(os.getpid(), signal_no)
        if signal_no != signal.SIGCONT:
            signal.pause()
        os._exit(3)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return pid
def news(pid):
    got, status = os.waitpid(pid, os.WUNTRACED | os.WNOHANG)
    return os.WSTOPSIG(status) if got else None
def state(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()[0]
"""
END = r"""
for p in stopped:
    while state(p) != "T":               # it goes back to its stop when its tracer lets it go
        pass
say([news(p) for p in stopped])
say(len(heard))
for p in stopped:
    os.kill(p, signal.SIGCONT)
    os.waitid(os.P_PID, p, os.WCONTINUED)
    os.kill(p, signal.SIGKILL)
    say(os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]))
"""


@pytest.mark.parametrize("stop", ["SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"])
def test_a_parent_that_knows_of_a_stop_does_not_hear_of_it_again(tmp_path: Path, stop: str) -> None:
    source = f"""
stopped = [child(signal.{stop}), child(signal.{stop}, threads=2)]
[news(p) for p in stopped]
signal.signal(signal.SIGCHLD, lambda *_: heard.append(1))
pause()
"""
    trip = harness.roundtrip(tmp_path, CHILD + source + END)
    assert trip.said == trip.control
    assert trip.said[:3] == [[None, None], 0, -9]


@pytest.mark.parametrize(("stop", "number"), [("SIGSTOP", 19), ("SIGTSTP", 20)])
def test_a_parent_that_has_not_taken_the_news_of_a_stop_gets_it(tmp_path: Path, stop: str, number: int) -> None:
    source = f"""
stopped = [child(signal.{stop})]
signal.signal(signal.SIGCHLD, lambda *_: heard.append(1))
pause()
"""
    trip = harness.roundtrip(tmp_path, CHILD + source + END)
    assert trip.said == trip.control
    assert trip.said[:3] == [[number], 0, -9]


def test_a_stopped_process_whose_group_is_orphaned(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        CHILD
        + r"""
told, tell = os.pipe()
if not os.fork():
    os.setsid()
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.write(tell, str(os.getpid()).encode())
    os.kill(os.getpid(), signal.SIGSTOP)                # SIGTSTP would do nothing to it
    signal.pause()
pid = int(os.read(told, 20))
os.waitid(os.P_PID, pid, os.WSTOPPED)
stopped = [pid]
pause()
"""
        + END,
    )
    assert trip.said == trip.control
    assert trip.said == [[None], 0, -9]


def test_children_that_ended_are_not_told_of_again(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        CHILD
        + r"""
ended = [child(signal.SIGUSR2), child(signal.SIGCONT)]
signal.signal(signal.SIGCHLD, lambda *_: heard.append(1))
pause()
say(len(heard))
say([os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in ended])
""",
    )
    assert trip.said == trip.control == [0, [-12, 3]]


def test_news_that_a_child_has_gone_on_waits_for_its_parent(tmp_path: Path) -> None:
    source = """
went = [child(signal.SIGSTOP), child(signal.SIGSTOP, threads=2), child(signal.SIGSTOP)]
[news(p) for p in went]
for p in went:
    os.kill(p, signal.SIGCONT)
    os.waitid(os.P_PID, p, os.WCONTINUED | os.WNOWAIT)
os.waitpid(went[2], os.WCONTINUED)       # taken
signal.signal(signal.SIGCHLD, lambda *_: heard.append(1))
pause()
for p in went:
    got, status = os.waitpid(p, os.WCONTINUED | os.WUNTRACED | os.WNOHANG)
    say([got == p, os.WIFCONTINUED(status)])
    say(state(p) == "T")
    os.kill(p, signal.SIGKILL)
    say(os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]))
"""
    trip = harness.roundtrip(tmp_path, CHILD + source)
    assert trip.said == trip.control
    assert trip.said[0::3] == [[True, True], [True, True], [False, False]]


def test_the_child_of_a_thread_is_that_threads_again(tmp_path: Path) -> None:
    source = """
import ctypes, threading
libc = ctypes.CDLL(None)
made, over = [], threading.Event()
reading, writing = os.pipe()
def run():
    pid = os.fork()
    if not pid:
        libc.prctl(1, signal.SIGTERM)        # PR_SET_PDEATHSIG: when the thread that made it ends
        os.write(writing, b"x")
        while True:
            signal.pause()
    os.read(reading, 1)
    made.append(pid)
    over.wait()
thread = threading.Thread(target=run)
thread.start()
own = os.fork()
if not own:
    while True:
        signal.pause()
while not made:
    pass
pause()
def children(tid):
    with open(f"/proc/self/task/{tid}/children") as f:
        return [int(n) for n in f.read().split()]
say([children(os.getpid()) == [own], children(thread.native_id) == made])
over.set()
thread.join()
say(os.waitstatus_to_exitcode(os.waitpid(made[0], 0)[1]))
os.kill(own, signal.SIGKILL)
os.waitpid(own, 0)
"""
    trip = harness.roundtrip(tmp_path, source)
    assert trip.said == trip.control == [[True, True], -15]


def test_whose_session_is_led_by_a_child_that_has_ended(tmp_path: Path) -> None:
    source = """
import ctypes
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)      # PR_SET_CHILD_SUBREAPER
reading, writing = os.pipe()
led = os.fork()
if not led:
    os.setsid()
    pid = os.fork()
    if not pid:
        while True:
            signal.pause()
    os.write(writing, pid.to_bytes(4, "little"))
    os._exit(5)
pid = int.from_bytes(os.read(reading, 4), "little")
os.waitid(os.P_PID, led, os.WEXITED | os.WNOWAIT)
pause()
say([os.getsid(pid) == led, os.getpgid(pid) == led])
say(os.waitstatus_to_exitcode(os.waitpid(led, 0)[1]))
os.kill(pid, signal.SIGKILL)
say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    trip = harness.roundtrip(tmp_path, source)
    assert trip.said == trip.control == [[True, True], 5, -9]
