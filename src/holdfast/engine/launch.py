"""Start a job: a program in namespaces of its own, or plainly on the host."""

from __future__ import annotations

import os
from errno import ENOENT, ENOEXEC

from holdfast.engine import enclosure, jobs
from holdfast.engine.enclosure import Enclosure
from holdfast.errors import UsageError
from holdfast.model.record import Record
from holdfast.prog.call import Program
from holdfast.tracee import ptrace, spawn

PR_CAPBSET_DROP = 24
FIRST = 2  # the first process of a job, beside its init
SHELL = b"/bin/sh"


class Started(Record):
    """A job that runs: `pid` its first process, in the process group `group`; `child` (its init, or itself) is ours and ends as it ends."""

    pid: int
    child: int
    group: int
    name: str = ""


class Start(Record):
    """What a job is started with, beside what every child gets from its parent.

    Shape:   `ignored`: signals that it ignores; `mask`: bit n-1, signal n is blocked; `session`: whether it gets one of its own
    """

    path: bytes
    words: tuple[bytes, ...]
    environment: tuple[bytes, ...]
    ignored: tuple[int, ...]
    mask: int
    session: bool


def look_up(word: bytes, path: bytes) -> bytes:
    """The file that a command's first word means, as execvp(3) finds it.

    Raises:  usage.command: there is none
    """
    if b"/" in word:
        places = [word]
    else:
        places = [(folder or b".") + b"/" + word for folder in path.split(b":")] if word else []
    there = [p for p in places if os.path.isfile(p)]
    for place in there:
        if os.access(place, os.X_OK):
            return place
    text = word.decode("utf-8", "backslashreplace")
    if there:
        raise UsageError("command", f"{text} cannot be executed", where=os.fsdecode(there[0]), why="execve(2) EACCES", do="chmod +x it")
    raise UsageError("command", f"there is no command {text!r}", why="execvp(3): not in PATH" if places != [word] else "execve(2) ENOENT")


def enclosed(start: Start, name: str = "") -> Started:
    """Start a job in namespaces of its own; it runs when this returns, and its init ends as it ends.

    Raises:  kernel_lacks.namespaces; usage.name; usage.command: it cannot be executed
    """
    if name:
        jobs.free(name)
    users, groups, setgroups = enclosure.own_maps()
    _only_one_id()
    area = enclosure.room_for(start.words, start.environment)
    space = Enclosure(users, groups, setgroups, name.encode(), area)
    try:
        hand = space.child(FIRST)
        ready = Program()
        if start.session:
            ready.call("setsid", check=FIRST)
        for signal in start.ignored:
            ready.call("rt_sigaction", signal, (1).to_bytes(8, "little") + bytes(24), 0, 8)
        for capability in _dropped():
            ready.call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)
        if len(ready):
            hand.run(ready)
        failed = enclosure.execute(hand, start.path, start.words, start.environment)
        if failed == ENOEXEC:
            failed = enclosure.execute(hand, SHELL, _as_script(start), start.environment)
        if failed:
            raise _cannot(start.path, failed)
        ptrace.set_sigmask(hand.tid, start.mask)
        if name:
            jobs.register(name, hand.tid, space.init)
        space.release(FIRST)
        ptrace.request(ptrace.SETOPTIONS, hand.tid)
        ptrace.request(ptrace.DETACH, hand.tid)
        return Started(hand.tid, space.init, hand.tid if start.session else os.getpgrp(), name)
    except BaseException:
        space.abandon()
        if name:
            jobs.forget(name)
        raise


def plain(start: Start, name: str = "") -> Started:
    """Start a job on the host.

    Raises:  usage.name; usage.command: it cannot be executed
    """
    if name:
        jobs.free(name)
    mask = [n for n in range(1, 65) if start.mask >> (n - 1) & 1]
    environment = dict(e.split(b"=", 1) for e in start.environment if b"=" in e)
    default = [n for n in spawn.SIGNALS if n not in start.ignored]

    def run(path: bytes, words: tuple[bytes, ...]) -> int:
        return os.posix_spawn(path, words, environment, setsid=start.session, setsigmask=mask, setsigdef=default)

    try:
        try:
            pid = run(start.path, start.words)
        except OSError as cause:
            if cause.errno != ENOEXEC:
                raise
            pid = run(SHELL, _as_script(start))
    except OSError as cause:
        raise _cannot(start.path, cause.errno or 0) from cause
    if name:
        try:
            jobs.register(name, pid)
        except BaseException:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            raise
    return Started(pid, pid, pid if start.session else os.getpgrp(), name)


def _as_script(start: Start) -> tuple[bytes, ...]:
    # a script without a first line that names its interpreter, as execvp(3) treats it
    return (SHELL, start.path, *start.words[1:])


def _cannot(path: bytes, errno: int) -> UsageError:
    why = "its interpreter is not there" if errno == ENOENT else "see execve(2)"
    return UsageError("command", f"{os.fsdecode(path)} cannot be executed: {os.strerror(errno)}", where=os.fsdecode(path), why=why)


def _only_one_id() -> None:
    real, effective, saved = os.getresuid()
    if not real == effective == saved or len(set(os.getresgid())) != 1:
        raise UsageError(
            "ids",
            "a job cannot be started by a process whose real, effective and saved ids differ",
            why="the namespace of an ordinary user has one user and one group, user_namespaces(7)",
            do="become one user first, or use --host",
        )


def _dropped() -> list[int]:
    # a new user namespace begins with a full bounding set; what we may not gain, the job may not either
    with open("/proc/self/status", "rb", 0) as f:
        bounding = next(int(line.split()[1], 16) for line in f.read(1 << 16).split(b"\n") if line.startswith(b"CapBnd:"))
    with open("/proc/sys/kernel/cap_last_cap", "rb", 0) as f:
        last = int(f.read(32))
    return [n for n in range(last + 1) if not bounding >> n & 1]
