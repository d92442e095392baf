"""What task.controlling_terminal promises, kept by a real dump and restore: shells with jobs, and who hears of a hang-up."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

import holdfast
from tests import harness

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SESSION = """
import pty
child, master = pty.fork()
if not child:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    os.close(os.open("/dev/tty", os.O_RDWR))
    ready()
    signal.sigwait({signal.SIGINT})
    os.close(os.open("/dev/tty", os.O_RDWR))
    os.write(0, b"interrupted")
    signal.sigwait({signal.SIGTERM})      # its end flushes what nobody has read yet
    os._exit((os.tcgetpgrp(0) == os.getpgrp()) + 2 * (os.getsid(0) == os.getpid()) + 4 * os.isatty(1))
wait()
os.write(master, b"\\x03")                              # ^C: to the foreground group
out = b""
while b"interrupted" not in out:
    out += os.read(master, 100)
say(out.decode())
os.kill(child, signal.SIGTERM)
say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_session_of_one_process_keeps_its_terminal_and_its_foreground(tmp_path: Path) -> None:
    trip = harness.roundtrip(tmp_path, SESSION)
    assert trip.said == trip.control == ["^Cinterrupted", 7]


pytestmark = pytest.mark.xdist_group("pty")  # a number that one test frees and wants again must not go to another


# A shell on a terminal; what it prints is read until its prompt, so nothing waits in the terminal when it is dumped.
SHELL = r"""
import pty
PROMPT = b"ok> "
os.environ.update(PS1=PROMPT.decode(), TERM="dumb", HISTFILE="/dev/null", INPUTRC="/dev/null")
def start(*argv):
    child, master = pty.fork()
    if not child:
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execvp(argv[0], argv)
    return child, master
def until(master, end):
    seen = b""
    while not seen.endswith(end):
        seen += os.read(master, 1000)
    return [line for line in seen.decode().split("\r\n") if line]
def bash():
    child, master = start("bash", "--norc", "--noprofile", "-i")
    until(master, PROMPT)
    return child, master
def run(master, line):
    os.write(master, line.encode() + b"\n")
    return until(master, PROMPT)
def foreground(master, command):          # what it runs says so
    os.write(master, b"sh -c 'echo be''gun; exec %s' | cat\n" % command.encode())
    until(master, b"begun\r\n")
def state(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()[0]
def bye(child, master, line=b"exit\n"):
    os.write(master, line)
    try:
        while os.read(master, 1000):
            pass
    except OSError:
        pass                              # EIO: nobody has the terminal open any more
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


def test_a_shell_keeps_control_of_its_jobs(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        SHELL
        + r"""
child, master = bash()
run(master, "sleep 1000 | cat &")
foreground(master, "sleep 1001")
before = os.tcgetpgrp(master)
pause()
say([os.tcgetpgrp(master) == before, before != child])
os.write(master, b"\x1a")
say(until(master, PROMPT))
say(os.tcgetpgrp(master) == child)
say(run(master, "jobs"))
os.write(master, b"fg\n")
say(until(master, b"| cat\r\n"))
while os.tcgetpgrp(master) != before:
    pass
os.write(master, b"\x03")
say(until(master, PROMPT))
say(run(master, "echo ${PIPESTATUS[@]}"))
say("status 143" in run(master, "kill %1; wait %1; echo status $?"))
say(bye(child, master, b"exit 7\n"))
""",
    )
    assert trip.said == trip.control
    assert "Stopped" in trip.said[1][1]
    assert trip.said[-1] == 7


def test_a_stopped_job_stays_stopped(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        SHELL
        + r"""
child, master = bash()
foreground(master, "sleep 1000")
group = os.tcgetpgrp(master)
os.write(master, b"\x1a")
until(master, PROMPT)
run(master, "sleep 1001 &")
pause()
while state(group) != "T":               # it goes back to its stop when its tracer lets it go
    pass
say(run(master, "jobs"))
os.write(master, b"fg %1\n")
say(until(master, b"| cat\r\n"))
while os.tcgetpgrp(master) != group or state(group) == "T":
    pass
os.write(master, b"\x03")
say(until(master, PROMPT))
say("status 143" in run(master, "kill %2; wait %2; echo status $?"))
say(bye(child, master))
""",
    )
    assert trip.said == trip.control
    assert "Stopped" in trip.said[0][1]


def test_a_job_whose_group_leader_is_gone(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        SHELL
        + r"""
child, master = bash()
run(master, "true | sleep 1000 &")
leader = int(run(master, "jobs -p")[1])
try:
    gone = os.pidfd_open(leader)
    select.select([gone], [], [])
    os.close(gone)
except ProcessLookupError:
    pass
run(master, "jobs")
pause()
say(os.path.exists(f"/proc/{leader}"))
say(run(master, "jobs"))
os.killpg(leader, signal.SIGKILL)
say("status 137" in run(master, "wait %1; echo status $?"))
say(bye(child, master))
""",
    )
    assert trip.said == trip.control
    assert (trip.said[0], trip.said[2]) == (False, True)


def test_several_shells_keep_their_terminals_apart(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        SHELL
        + r"""
shells = [bash() for _ in range(4)]
spare = shells.pop(1)
bye(*spare)
os.close(spare[1])
for child, master in shells:
    run(master, "sleep 1000 | cat &")
before = [run(m, "tty")[1] for _, m in shells]
pause()
say([run(m, "tty")[1] for _, m in shells] == before)
say([len(set(before)), [run(m, "jobs") for _, m in shells]])
say([run(m, "(echo sub $(tty) > /dev/tty)")[-2] == "sub " + b for (_, m), b in zip(shells, before)])
say([bye(c, m, b"kill %1; exit 3\n") for c, m in shells])
""",
    )
    assert trip.said == trip.control
    assert trip.said[-1] == [3, 3, 3]


# Leader, foreground and background; each says which signal came to it.
HANGUP = r"""
import pty
told, tell = os.pipe()
def hears(name):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGCONT, signal.SIGTERM})
    os.write(tell, b".")
    os.write(tell, f"{name} {signal.Signals(signal.sigwait({signal.SIGHUP, signal.SIGTERM})).name}\n".encode())
    os._exit(0)
child, master = pty.fork()
if not child:
    groups = []
    for name in "background", "foreground":
        groups.append(os.fork())
        if not groups[-1]:
            hears(name)
        os.setpgid(groups[-1], groups[-1])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU, signal.SIGHUP})
    os.tcsetpgrp(0, groups[-1])
    os.write(tell, b"%d\n" % groups[0])
    os.write(tell, b".")
    os.write(tell, f"leader {signal.Signals(signal.sigwait({signal.SIGHUP})).name}\n".encode())
    os._exit(0)                           # and with it the foreground hears
os.close(tell)
first = b""
while first.count(b".") < 3 or b"\n" not in first:
    first += os.read(told, 100)
background = int(first.replace(b".", b""))
pause()
os.close(master)
heard = b""
while heard.count(b"\n") < 2:
    heard += os.read(told, 100)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
os.kill(background, signal.SIGTERM)
while part := os.read(told, 100):
    heard += part
say([sorted(heard.decode().split()), status])
"""


def test_who_hears_when_the_terminal_hangs_up(tmp_path: Path) -> None:
    trip = harness.roundtrip(tmp_path, HANGUP)
    assert trip.said == trip.control == [[["SIGHUP", "SIGHUP", "SIGTERM", "background", "foreground", "leader"], 0]]


# A leader and a member of its session, both with SIGINT as the sign to go on; MEMBER and BOTH are filled in.
MEMBERS = r"""
import pty
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
child, master = pty.fork()
if not child:
    own = os.open("/dev/tty", os.O_RDWR)
    if not os.fork():
        MEMBER
        os._exit(0)
    signal.sigwait({signal.SIGINT})
    status = os.wait()[1]                 # two may not write at once where one must not block
    os.write(own, b"leader %d;" % os.get_blocking(own))
    signal.sigwait({signal.SIGTERM})      # its end flushes what nobody has read yet
    os._exit(status)
wait()
os.write(master, b"\x03")
out = b""
while out.count(b";") < 2:
    out += os.read(master, 100)
say(sorted(out.decode().removeprefix("^C").split(";")))
os.kill(child, signal.SIGTERM)
say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_an_open_dev_tty_leads_to_the_terminal_again(tmp_path: Path) -> None:
    member = """
        inner = os.open("/dev/tty", os.O_WRONLY | os.O_NONBLOCK)
        ready()
        signal.sigwait({signal.SIGINT})
        os.write(inner, b"member %d;" % os.get_blocking(inner))
    """
    trip = harness.roundtrip(tmp_path, MEMBERS.replace("        MEMBER\n", member.rstrip(" ")))
    assert trip.said == trip.control == [["", "leader 1", "member 0"], 0]


def test_a_process_that_gave_its_terminal_up_has_none_again(tmp_path: Path) -> None:
    member = """
        os.close(own)
        fcntl.ioctl(0, 0x5422)           # TIOCNOTTY
        ready()
        signal.sigwait({signal.SIGINT})  # it is in the foreground group still
        try:
            os.open("/dev/tty", os.O_RDWR)
        except OSError as e:
            os.write(1, b"member %d;" % e.errno)
    """
    trip = harness.roundtrip(tmp_path, MEMBERS.replace("        MEMBER\n", member.rstrip(" ")))
    assert trip.said == trip.control == [["", "leader 1", "member 6"], 0]


def test_dev_tty_of_a_terminal_given_up_is_refused(tmp_path: Path) -> None:
    member = """
        own = os.open("/dev/tty", os.O_RDWR)
        fcntl.ioctl(0, 0x5422)
        ready()
        signal.sigwait({signal.SIGINT})
        os.write(own, b"member;")
    """
    assert harness.refused(tmp_path, MEMBERS.replace("        MEMBER\n", member.rstrip(" "))) == ["fd.pty.controlling"]


def test_a_first_process_that_leads_a_session_on_its_own_terminal(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        master, slave = os.openpty()
        fcntl.ioctl(slave, 0x540E, 0)
        os.close(slave)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTTOU})
        child = os.fork()
        if not child:
            signal.sigwait({signal.SIGINT})
            os._exit(os.open("/dev/tty", os.O_RDWR) < 0)
        os.setpgid(child, child)
        os.tcsetpgrp(master, child)
        pause()
        os.write(master, b"\\x03")
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
    )
    assert trip.said == trip.control == [0]


def test_script_runs_on(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        SHELL
        + r"""
child, master = start("script", "-qec", "env PS1='ok> ' bash --norc --noprofile -i", "typescript")
until(master, PROMPT)
run(master, "sleep 1000 | cat &")
pause()
say(run(master, "jobs"))
foreground(master, "sleep 1001")
os.write(master, b"\x1a")
say(until(master, PROMPT))
say(bye(child, master, b"kill -9 %1 %2; exit 4; exit 4\n"))
""",
    )
    assert trip.said == trip.control
    assert "Running" in trip.said[0][1]
    assert trip.said[-1] == 4


def _in_time(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + harness.PATIENCE_S
    while not seen():
        assert time.monotonic() < deadline


@pytest.mark.root
@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: apt-get install tmux")
def test_tmux_keeps_its_panes_and_their_jobs(tmp_path: Path) -> None:
    shell = "env PS1='ok> ' HISTFILE=/dev/null bash --norc --noprofile"

    def tmux(*argv: str) -> str:
        command = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null", *argv]
        return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=tmp_path).stdout

    def shows(pane: int, last: str) -> bool:
        return tmux("capture-pane", "-p", "-t", f"s.{pane}").rstrip().endswith(last)

    tmux("new-session", "-d", "-x", "100", "-y", "40", "-s", "s", shell)
    server = int(tmux("display", "-p", "#{pid}"))
    pids = [server]
    try:
        tmux("split-window", "-t", "s", shell)
        _in_time(lambda: shows(0, "ok>") and shows(1, "ok>"))
        tmux("send-keys", "-t", "s.0", "sh -c 'echo be''gun; exec sleep 1000' | cat", "Enter")
        tmux("send-keys", "-t", "s.1", "sleep 1001 | cat & echo be''gun", "Enter")
        _in_time(lambda: shows(0, "\nbegun") and shows(1, "\nbegun\nok>"))
        panes = tmux("list-panes", "-F", "#{pane_pid} #{pane_tty} #{pane_width} #{pane_height}")
        holdfast.dump(server, tmp_path / "image")
        again = holdfast.restore(tmp_path / "image")
        pids = list(again.pids)
        assert tmux("list-panes", "-F", "#{pane_pid} #{pane_tty} #{pane_width} #{pane_height}") == panes
        tmux("send-keys", "-t", "s.0", "C-z")
        _in_time(lambda: shows(0, "| cat\nok>"))
        tmux("send-keys", "-t", "s.1", "clear; jobs; kill %1; wait %1; echo status $?", "Enter")
        _in_time(lambda: shows(1, "status 143\nok>"))
        assert "[1]+  Stopped" in tmux("capture-pane", "-p", "-t", "s.0")
        assert "[1]+  Running                 sleep 1001 | cat &" in tmux("capture-pane", "-p", "-t", "s.1")
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                harness.finish(pid)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(server, 0)  # ours since it was restored
