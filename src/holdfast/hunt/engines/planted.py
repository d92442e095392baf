"""The native engine with one bug planted in it, `planted:NAME`: what the hunt itself is tested with.

The tree is dumped as ever; then its image is read, one record is falsified, and the image is written anew. It is restored without
the comparison at the end, which is another guard against the same bugs: with the true image in hand it sees each of them
(tests/quality). A bug is a row of PLANTED: a kind, what becomes of its record, and the interfaces that make such a state.
"""

from __future__ import annotations

import os
import time

from holdfast.engine.restore import readers
from holdfast.errors import HoldfastError, UsageError
from holdfast.hunt.engines.contract import Said
from holdfast.hunt.engines.native import Native
from holdfast.image import read
from holdfast.image.write import Writer
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Falsify = Callable[[Any], Any]

TRUE, FALSE = "image", "planted"


class Plant(Record):
    """One bug: what it does to the records of a kind, and which interfaces it is near.

    Shape:   `falsify` gives the record as it will be restored, or None where it is forgotten; `near` as `holdfast hunt --only` takes it
    """

    kind: str
    falsify: Any  # Callable[[Any], Any]: a record's field cannot hold one
    near: tuple[str, ...]


def _set(**values: object) -> Falsify:
    return lambda record: record.replace(**values)


def _forget(_: Any) -> None:
    return None


def _less(field: str, *names: str) -> Falsify:
    # without some flags, or without the first of them
    def falsify(record: Any) -> Any:
        have = getattr(record, field)
        return record.replace(**{field: tuple(v for v in have if v not in names) if names else have[1:]})

    return falsify


def _each(field: str, **values: object) -> Falsify:
    # the same in each part of a list
    return lambda record: record.replace(**{field: tuple(part.replace(**values) for part in getattr(record, field))})


def _soft_is_hard(record: Any) -> Any:
    return record.replace(limits=tuple(v.replace(soft=v.hard) for v in record.limits))


def _core_forgotten(record: Any) -> Any:
    return record.replace(limits=tuple(v.replace(soft=None, hard=None) if v.name == "RLIMIT_CORE" else v for v in record.limits))


def _lowest_signal_forgotten(record: Any) -> Any:
    return record.replace(blocked=record.blocked & record.blocked - 1)


def _edge_is_level(record: Any) -> Any:
    return record.replace(entries=tuple(e.replace(events=tuple(v for v in e.events if v != "EPOLLET")) for e in record.entries))


def _echo_again(record: Any) -> Any:
    # a terminal that does not echo does again
    settings = record.settings
    return record.replace(settings=settings and settings.replace(local=tuple(sorted({*settings.local, "ECHO"}))))


def _cap_added(record: Any) -> Any:
    # a capability that was given up is there again, where all others are
    return record.replace(effective=record.permitted)


def _without_last(field: str) -> Falsify:
    return lambda record: record.replace(**{field: getattr(record, field)[:-1]})


PLANTED: dict[str, Plant] = {
    "eventfd-semaphore": Plant("fd.eventfd", _set(semaphore=False), ("eventfd",)),
    "eventfd-count": Plant("fd.eventfd", _set(count=0), ("eventfd",)),
    "timerfd-interval": Plant("fd.timerfd", _set(interval_ns=0), ("timerfd",)),
    "timerfd-ticks": Plant("fd.timerfd", _set(ticks=0), ("timerfd",)),
    "epoll-data": Plant("fd.epoll", _each("entries", data=0), ("epoll",)),
    "epoll-edge": Plant("fd.epoll", _edge_is_level, ("epoll",)),
    "inotify-watch": Plant("fd.inotify", _without_last("watches"), ("inotify",)),
    "signalfd-signal": Plant("fd.signalfd", _less("signals"), ("signalfd",)),
    "memfd-seals": Plant("fd.memfd", _set(seals=()), ("seals",)),
    "memfd-seal-write": Plant("fd.memfd", _less("seals", "F_SEAL_WRITE"), ("seals",)),
    "append": Plant("fd.regular", _less("flags", "O_APPEND"), ("open/file*", "fcntl/file.F_SETFL*")),
    "position": Plant("fd.regular", _set(pos=0), ("file",)),
    "cloexec": Plant("task.descriptors", _each("table", cloexec=False), ("fcntl",)),
    "lock": Plant("fd.locks", _forget, ("flock", "fcntl/file.F_OFD*", "fcntl/file.F_SETLK*")),
    "owner": Plant("fd.owner", _forget, ("fcntl",)),
    "pipe-data": Plant("fd.pipe", _set(data=()), ("epoll", "pipe*")),
    "pipe-nonblock": Plant("fd.pipe", _less("flags", "O_NONBLOCK"), ("fcntl/pipe*",)),
    "pipe-size": Plant("fd.pipe", _set(capacity=65536), ("fcntl/pipe*",)),
    "tcp-option": Plant("sock.tcp", _less("options"), ("setsockopt/tcp4*",)),
    "udp-option": Plant("sock.udp", _set(options=()), ("setsockopt/udp4*",)),
    "unix-option": Plant("sock.unix", _set(options=()), ("setsockopt/unix*",)),
    "umask": Plant("task.fs", _set(umask=0o22), ("umask",)),
    "cwd": Plant("task.fs", _set(cwd=b"/"), ("umask",)),
    "no-new-privs": Plant("task.creds", _set(no_new_privs=False), ("prctl",)),
    "securebits": Plant("task.creds", _set(securebits=()), ("securebits",)),
    "ambient": Plant("task.creds", _set(ambient=()), ("capset",)),
    "effective": Plant("task.creds", _cap_added, ("capset",)),
    "groups": Plant("task.creds", _set(groups=()), ("setgroups",)),
    "rlimit-soft": Plant("task.rlimits", _soft_is_hard, ("prlimit",)),
    "rlimit-core": Plant("task.rlimits", _core_forgotten, ("prlimit",)),
    "nice": Plant("task.sched", _set(nice=0), ("setpriority",)),
    "reset-on-fork": Plant("task.sched", _set(flags=()), ("sched_setattr", "sched_setscheduler")),
    "policy": Plant("task.sched", _set(policy="normal", priority=0), ("sched_setscheduler",)),
    "affinity": Plant("task.affinity", _forget, ("sched_setaffinity",)),
    "ioprio": Plant("task.ioprio", _forget, ("ioprio_set",)),
    "oom": Plant("task.oom", _set(score_adj=0), ("proc",)),
    "autogroup": Plant("task.autogroup", _set(nice=0), ("proc",)),
    "coredump-filter": Plant("task.coredump_filter", _forget, ("proc",)),
    "comm": Plant("task.comm", _set(name=b"subject"), ("prctl", "proc")),
    "timer-slack": Plant("task.timer_slack", _set(slack_ns=50_000), ("prctl",)),
    "pdeathsig": Plant("task.pdeathsig", _forget, ("prctl",)),
    "subreaper": Plant("task.child_subreaper", _forget, ("prctl",)),
    "dumpable": Plant("task.dumpable", _forget, ("prctl",)),
    "thp": Plant("task.mm_prctl", _set(thp_disabled=""), ("prctl",)),
    "mdwe": Plant("task.mm_prctl", _set(mdwe=()), ("prctl",)),
    "tsc": Plant("task.prctl", _forget, ("prctl",)),
    "personality": Plant("task.personality", _forget, ("personality",)),
    "madvise-flags": Plant("mm.anon", _set(flags=()), ("madvise",)),
    "mempolicy": Plant("task.mempolicy", _forget, ("set_mempolicy",)),
    "robust-list": Plant("task.robust_list", _forget, ("set_robust_list",)),
    "rseq": Plant("task.rseq", _forget, ("rseq",)),
    "sigmask": Plant("task.sigmask", _lowest_signal_forgotten, ("signal*", "rt_sigprocmask")),
    "sigpending": Plant("task.sigpending", _forget, ("signal*", "rt_sig*", "signalfd")),
    "sigaction-flags": Plant("task.sigactions", _each("actions", flags=()), ("sigaction",)),
    "sigaltstack": Plant("task.sigaltstack", _forget, ("sigaltstack",)),
    "itimer-interval": Plant("task.itimers", _set(real_interval_ns=0, virtual_interval_ns=0, prof_interval_ns=0), ("setitimer",)),
    "timer-interval": Plant("task.posix_timers", _each("timers", interval_ns=0), ("timer_create",)),
    "termios": Plant("fd.pty", _echo_again, ("termios", "tty")),
    "winsize": Plant("fd.pty", _set(rows=0, columns=0), ("tty",)),
}


class Planted:
    """The native engine with a bug."""

    def __init__(self, name: str) -> None:
        if name not in PLANTED:
            raise UsageError("engine", f"no bug is called {name!r}", why=f"there are {', '.join(PLANTED)}", do="planted:NAME")
        self._native = Native(check=False)
        self.plant = PLANTED[name]
        self.name, self.version = f"planted:{name}", self._native.version

    def dump(self, pid: int, folder: str) -> Said:
        """Dump the tree of `pid`, end it, and falsify the image."""
        said = self._native.dump(pid, folder)
        if said.how != "done":
            return said
        began = time.monotonic_ns()
        try:
            falsify(os.path.join(folder, TRUE), os.path.join(folder, FALSE), self.plant)
        except (HoldfastError, OSError, AttributeError, TypeError) as error:
            return Said("failed", f"the bug cannot be planted: {error}", said.took_ns)
        return said.replace(took_ns=said.took_ns + time.monotonic_ns() - began)

    def restore(self, folder: str) -> Said:
        """Bring back what the false image says."""
        self.swap(folder)
        return self._native.restore(folder)

    def swap(self, folder: str) -> None:
        """Put the false image where a restore looks for one; the true one stays beside it."""
        os.rename(os.path.join(folder, TRUE), os.path.join(folder, f"{TRUE}.true"))
        os.rename(os.path.join(folder, FALSE), os.path.join(folder, TRUE))


def falsify(source: str, target: str, plant: Plant) -> int:
    """Write an image with a bug from one without; how many records it changed."""
    changed = 0
    known = readers()
    with read.open(source, known) as image, Writer(target, sync=False) as writer:
        for kind in image.kinds():
            entries = image.records(kind)
            if kind == plant.kind:
                falsified = [(id, plant.falsify(record)) for id, record in entries]
                changed = sum(new != old for (_, new), (_, old) in zip(falsified, entries, strict=True))
                entries = [(id, record) for id, record in falsified if record is not None]
            must = next(f.must_understand for f in image.frames if f.kind == kind)
            writer.add(kind, known[kind][1], known[kind][0], entries, must)
        for number, size in image.pages_files().items():
            _copy(image.pages_fd(number), writer.pages(number).fd, size)
        for owner in image.owners():
            writer.index(image.runs(owner))
        writer.seal(image.inventory)
    return changed


def _copy(source: int, target: int, size: int) -> None:
    at = 0
    while at < size:
        done = os.sendfile(target, source, at, size - at)
        if not done:
            raise OSError(f"a file of pages became shorter: {at} of {size} bytes")
        at += done
