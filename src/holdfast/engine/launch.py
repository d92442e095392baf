"""Start a job: a program in namespaces of its own, or plainly on the host."""

from __future__ import annotations

import os
from errno import ENOENT, ENOEXEC

from holdfast.engine import enclosure, jobs
from holdfast.engine.enclosure import Enclosure
from holdfast.errors import UsageError
from holdfast.model.record import Record
from holdfast.prog.call import Program
from holdfast.tracee import ptrace

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # the module `signal` makes enumerations, which costs

PR_CAPBSET_DROP = 24
FIRST = 2  # the first process of a job, beside its init
SHELL = b"/bin/sh"
SIG_DFL, SIG_IGN = 0, 1
CHANGED = (13, 17, 25)  # SIGPIPE and SIGXFSZ, which the interpreter ignores, and SIGCHLD, which we need
LIBRARY_SIGNALS = (32, 33)  # ignored in whatever posix_spawn(3) of the C library starts (glibc sysdeps/unix/sysv/linux/spawni.c)


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
        for signal in {*start.ignored, *LIBRARY_SIGNALS}:
            handler = SIG_IGN if signal in start.ignored else SIG_DFL
            ready.call("rt_sigaction", signal, handler.to_bytes(8, "little") + bytes(24), 0, 8)
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
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(start, write)
    os.close(write)
    failed = os.read(read, 16)
    os.close(read)
    if failed:
        os.waitpid(pid, 0)
        raise _cannot(start.path, int(failed))
    if name:
        try:
            jobs.register(name, pid)
        except BaseException:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            raise
    return Started(pid, pid, pid if start.session else os.getpgrp(), name)


def _become(start: Start, write: int) -> None:
    # the child's way to its program; it never returns. posix_spawn(3) would leave it other signals ignored than its caller did.
    try:
        if start.session:
            os.setsid()
        for signal in CHANGED:
            _signal.signal(signal, _signal.SIG_IGN if signal in start.ignored else _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, [n for n in range(1, 65) if start.mask >> (n - 1) & 1])
        environment = dict(e.split(b"=", 1) for e in start.environment)
        try:
            os.execve(start.path, start.words, environment)
        except OSError as cause:
            if cause.errno != ENOEXEC:
                raise
            os.execve(SHELL, _as_script(start), environment)
    except OSError as cause:
        os.write(write, b"%d" % (cause.errno or 0))
    finally:
        os._exit(127)


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
