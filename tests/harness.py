"""A subject program is dumped, ended and restored; a twin of it runs through undisturbed; both say what they see.

A test gives the text of a small program, in Python or in C. It makes the state that the test is about, calls pause(), and
then says what it sees:

    trip = harness.roundtrip(tmp_path, '''
        fd = os.eventfd(7)
        pause()
        say(os.eventfd_read(fd))
    ''')
    assert trip.said == trip.control == [7]

pause() tells the harness that the state is there (through a FIFO that is closed again before anything is dumped) and waits for SIGUSR1
in sigwait. say(value) adds a value to a list that is written as JSON at the end. `control` is what the same program said when it
was never touched. A subject has its own session, /dev/null for input, and a log file for output; it shares no open file with the
test. Nothing here sleeps: the harness waits for events, and what does not come within PATIENCE_S fails the test with the log.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

import holdfast
from holdfast.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast import Dumped, Options

PATIENCE_S = 60.0

PYTHON = """
import ctypes, fcntl, json, os, select, signal, socket, struct, sys, time
_fifo, _out = sys.argv[1:3]
_said = []
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})

def say(value):
    _said.append(value)

def ready():
    fd = os.open(_fifo, os.O_WRONLY)
    os.write(fd, b"x")
    os.close(fd)

def wait():
    signal.sigwait({signal.SIGUSR1})

def pause():
    ready()
    wait()

"""
PYTHON_END = """
with open(_out, "w") as _f:
    json.dump(_said, _f)
"""

C = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static char **hf_argv;
static char hf_said[1 << 20] = "[";
static sigset_t hf_signal;

static void ready(void)
{
	int fd = open(hf_argv[1], O_WRONLY);
	if (fd < 0 || write(fd, "x", 1) != 1)
		abort();
	close(fd);
}

static void wait_for_go(void)
{
	int got;
	sigwait(&hf_signal, &got);
}

__attribute__((unused)) static void pause_here(void)
{
	ready();
	wait_for_go();
}

/* adds one JSON value, given as printf gives it */
__attribute__((unused, format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list list;
	size_t at = strlen(hf_said);
	if (at > 1)
		hf_said[at++] = ',';
	va_start(list, format);
	vsnprintf(hf_said + at, sizeof hf_said - at - 2, format, list);
	va_end(list);
}

static void subject(void);

int main(int argc, char **argv)
{
	hf_argv = argv;
	sigemptyset(&hf_signal);
	sigaddset(&hf_signal, SIGUSR1);
	sigprocmask(SIG_BLOCK, &hf_signal, NULL);
	subject();
	FILE *f = fopen(argv[2], "w");
	fprintf(f, "%s]", hf_said);
	fclose(f);
	return argc - 3;
}
"""


@dataclass
class Subject:
    """A running program that has said that its state is there."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def log(self) -> str:
        """What it wrote to its standard output and error."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def said(self) -> list[Any]:
        """What it said; it has ended."""
        try:
            said: list[Any] = json.loads((self.folder / "said").read_text())
        except FileNotFoundError:
            raise AssertionError(f"the subject ended without a word; its log:\n{self.log}") from None
        return said

    def go(self) -> None:
        """Send it on from its pause."""
        os.kill(self.pid, signal.SIGUSR1)

    def end(self) -> None:
        """Wait until it has ended by itself, and well.

        Raises:  AssertionError: with its log
        """
        finish(self.pid, self.log)
        assert self.process.wait() == 0, f"the subject ended with {self.process.returncode}; its log:\n{self.log}"

    def kill(self) -> None:
        """End it, whatever it does, and collect it."""
        self.process.kill()
        self.process.wait()


@dataclass
class Trip:
    """What came of a round trip."""

    said: list[Any]  # by the restored program
    control: list[Any]  # by the twin that was never touched
    dumped: Dumped
    left: list[Any] = field(default_factory=list)  # by the original, where it was left running

    @property
    def losses(self) -> list[str]:
        """The losses that the dump told."""
        return [str(loss) for loss in self.dumped.admission.losses]


def command(folder: Path, source: str, language: str = "python") -> list[str]:
    """The command that runs a subject's source; C is compiled first."""
    text = textwrap.dedent(source)
    if language == "python":
        return [sys.executable, "-S", "-E", "-c", PYTHON + text + PYTHON_END]
    if language != "c":
        raise ValueError(f"no language {language!r}")
    program = folder / "subject"
    if not program.exists():
        (folder / "subject.c").write_text(C + text)
        subprocess.run(["gcc", "-O1", "-Wall", "-pthread", "-o", program, folder / "subject.c"], check=True)
    return [str(program)]


def start(
    folder: Path,
    source: str,
    language: str = "python",
    name: str = "subject",
    env: dict[str, str] | None = None,
    keep: Sequence[int] = (),
    by: Sequence[str] = (),
) -> Subject:
    """Start a subject and wait until it is ready; it inherits the descriptors `keep` at their numbers.

    Shape:   `by`: the command that starts it, such as `holdfast run --`

    Raises:  AssertionError: it ended before, or took too long
    """
    place = folder / f"{name}.d"
    place.mkdir()
    fifo = place / "ready"
    os.mkfifo(fifo)
    waiting = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    argv = [*by, *command(folder, source, language), str(fifo), str(place / "said")]
    log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=place,
            env={**os.environ, **(env or {})},
            pass_fds=keep,
        )
    finally:
        os.close(log)
    subject = Subject(process, place)
    try:
        until_ready(subject, waiting)
    except BaseException:
        subject.kill()
        raise
    finally:
        os.close(waiting)
    return subject


def until_ready(subject: Subject, waiting: int, pid: int = 0) -> None:
    """Wait for a byte, and then the end: whoever wrote it has closed the FIFO.

    Shape:   `pid`: of the subject, where it is not the process that was started
    """
    pidfd = os.pidfd_open(pid or subject.pid)
    poll = select.poll()
    poll.register(waiting, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    deadline = time.monotonic() + PATIENCE_S
    seen = b""
    try:
        while True:
            events = dict(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
            assert events, f"the subject was not ready within {PATIENCE_S:g} s; its log:\n{subject.log}"
            if waiting in events:
                data = os.read(waiting, 16)
                if not data and seen:
                    return
                seen += data
                if data:
                    continue
            assert pidfd not in events, f"the subject ended before it was ready; its log:\n{subject.log}"
    finally:
        os.close(pidfd)


def ends(pidfd: int, seconds: float) -> bool:
    """Whether a process ends within a time; its pidfd may be any number."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def finish(pid: int, log: str = "") -> None:
    """Wait until a process has ended; the caller collects it.

    Raises:  AssertionError: it took too long
    """
    pidfd = os.pidfd_open(pid)
    try:
        assert ends(pidfd, PATIENCE_S), f"pid {pid} did not end within {PATIENCE_S:g} s; its log:\n{log}"
    finally:
        os.close(pidfd)


def needs_root() -> None:
    """Skip what restores on the host as an ordinary user: only a job of `holdfast run` can be restored without privilege."""
    if os.geteuid():
        pytest.skip("needs root: clone3 set_tid on the host needs CAP_CHECKPOINT_RESTORE; sudo make live")


def restored(image: Path, subject: Subject) -> None:
    """Restore an image of a subject, send it on, and wait until it has ended well."""
    needs_root()
    again = _restore(image)
    try:
        assert again.pid == subject.pid
        os.kill(again.pid, signal.SIGUSR1)
        finish(again.pid, subject.log)
    except BaseException:
        _end(again.pids)
        raise
    status = again.wait()
    assert status == 0, f"the restored subject ended with {status}; its log:\n{subject.log}"


# A terminal comes back by its number; a number that another test took meanwhile is free again when that test has ended.
def _restore(image: Path) -> holdfast.Restored:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return holdfast.restore(image)
        except Refused as refused:
            if {r.code for r in refused.refusals} != {"fd.pty.taken"} or time.monotonic() > deadline:
                raise
            os.sched_yield()


def _end(pids: Sequence[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    try:
        os.waitpid(pids[0], 0)
    except ChildProcessError:
        return  # it was never ours, or has been collected


def roundtrip(
    folder: Path,
    source: str,
    *,
    language: str = "python",
    options: Options | None = None,
    leave_running: bool = False,
    control: bool = True,
) -> Trip:
    """Run a subject to its pause, dump it, end it, restore it, and let it run to its end; and the same without dump and restore.

    Shape:   with `leave_running` the original first runs to its own end, and then the image is restored
    """
    needs_root()
    undisturbed: list[Any] = []
    if control:
        twin = start(folder, source, language, "control")
        try:
            twin.go()
            twin.end()
        finally:
            twin.kill()
        undisturbed = twin.said
    subject = start(folder, source, language)
    try:
        dumped = holdfast.dump(subject.pid, folder / "image", leave_running=leave_running, options=options)
        left: list[Any] = []
        if leave_running:
            subject.go()
            subject.end()
            left = subject.said
            (subject.folder / "said").unlink()
        else:
            finish(subject.pid, subject.log)
            subject.process.wait()
            assert subject.process.returncode == -signal.SIGKILL
    finally:
        subject.kill()
    restored(folder / "image", subject)
    return Trip(subject.said, undisturbed, dumped, left)


def refused(folder: Path, source: str, *, language: str = "python", options: Options | None = None) -> list[str]:
    """The codes of why a subject cannot be dumped, sorted; and it runs on to its end as if nothing had been."""
    subject = start(folder, source, language)
    try:
        try:
            holdfast.dump(subject.pid, folder / "image", options=options)
        except holdfast.HoldfastError as error:
            codes = sorted(r.code for r in getattr(error, "refusals", ()))
        else:
            raise AssertionError("it was dumped")
        subject.go()
        subject.end()
    finally:
        subject.kill()
    return codes
