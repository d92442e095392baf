"""The parsers on this kernel: every process that may be read, and objects whose state is known."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import select
import struct
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel import trial
from holdfast.kernel.procfs import auxv, cgroup, fdinfo, id_map, limits, listing, locks, maps, mountinfo, scalar, stat, status, timers
from holdfast.kernel.source import Live
from holdfast.kernel.uapi import constants as c
from holdfast.kernel.uapi.structs import ITIMERSPEC, SIGEVENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROPERTIES: list[str] = [name for name, value in vars(status.Status).items() if isinstance(value, property)]


def properties(data: bytes) -> list[object]:
    """Every property of a status; a zombie has no umask."""
    found = status.parse_status(data)
    return [getattr(found, name) for name in PROPERTIES if name != "umask" or found.state != "Z"]


PARSERS: dict[str, Callable[[bytes], object]] = {
    "auxv": auxv.parse_auxv,
    "cgroup": cgroup.parse_cgroup,
    "io": lambda data: scalar.parse_counters("io", data),
    "ksm_stat": lambda data: scalar.parse_counters("ksm_stat", data),
    "limits": limits.parse_limits,
    "maps": maps.parse_maps,
    "mountinfo": mountinfo.parse_mountinfo,
    "smaps": lambda data: [smap.counters() for smap in maps.parse_smaps(data)],
    "stat": stat.parse_stat,
    "status": properties,
    "timens_offsets": scalar.parse_timens_offsets,
    "timers": timers.parse_timers,
    "uid_map": id_map.parse_id_map,
    **{
        name: lambda data, name=name: scalar.parse_number(name, data)  # type: ignore[misc]
        for name in ("coredump_filter", "loginuid", "oom_score_adj", "personality", "sessionid", "timerslack_ns")
    },
}


@pytest.mark.parametrize("file", sorted(PARSERS))
def test_every_process_that_may_be_read_can_be_parsed(file: str) -> None:
    read = 0
    with Live() as proc:
        for pid in filter(str.isdecimal, proc.listdir(".")):
            try:
                data = proc.read(f"{pid}/{file}")
            except OSError:
                continue  # gone, or not ours to read, or not in this kernel
            if not data:
                continue  # a kernel thread, or one that has given its memory back
            PARSERS[file](data)
            read += 1
    if not read and file not in {"uid_map", "timers"}:
        pytest.skip(f"machine cannot: this kernel has no /proc/PID/{file}")


def test_locks_of_the_whole_system_can_be_parsed() -> None:
    with Live() as proc:
        locks.parse_locks(proc.read("locks"))


@pytest.fixture
def process() -> Iterator[Live]:
    with Live(f"/proc/{os.getpid()}") as source:
        yield source


def info(process: Live, fd: int) -> fdinfo.FdInfo:
    return fdinfo.parse_fdinfo(process.read(f"fdinfo/{fd}"))


def test_eventfd_and_epoll(process: Live) -> None:
    event = trial.syscall("eventfd2", 0, os.O_CLOEXEC | 1)
    os.write(event, struct.pack("<Q", 2**63))
    with select.epoll() as poll:
        poll.register(event, select.EPOLLIN | select.EPOLLET)
        found = info(process, event)
        assert fdinfo.eventfd(found).count == 2**63
        (target,) = fdinfo.epoll_targets(info(process, poll.fileno()))
        assert (target.fd, target.data & 0xFFFFFFFF, target.ino, target.more) == (event, event, found.ino, ())
        assert target.events & 0xFFFFFFFF == select.EPOLLIN | select.EPOLLET | select.EPOLLERR | select.EPOLLHUP
    assert found.flags == os.O_RDWR | os.O_CLOEXEC
    os.close(event)


def test_timerfd_and_signalfd(process: Live) -> None:
    timer = trial.syscall("timerfd_create", c.CLOCK_MONOTONIC, os.O_NONBLOCK)
    assert trial.syscall("timerfd_settime", timer, 0, ITIMERSPEC.pack(value_sec=3000, interval_sec=5, interval_nsec=6), None) == 0
    found = fdinfo.timerfd(info(process, timer))
    assert (found.clockid, found.ticks, found.settime_flags, found.interval_ns) == (c.CLOCK_MONOTONIC, 0, 0, 5_000_000_006)
    assert 2_000_000_000_000 < found.value_ns <= 3_000_000_000_000
    signals = trial.syscall("signalfd4", -1, struct.pack("<Q", 1 << 11 | 1 << 63), 8, 0)
    assert fdinfo.signalfd_mask(info(process, signals)) == 1 << 11 | 1 << 63
    os.close(timer)
    os.close(signals)


def test_inotify_and_pidfd(process: Live, tmp_path: Path) -> None:
    watcher = trial.syscall("inotify_init1", os.O_CLOEXEC)
    wd = trial.syscall("inotify_add_watch", watcher, os.fsencode(tmp_path) + b"\0", 0xFFF)
    (watch,) = fdinfo.inotify_watches(info(process, watcher))
    place = tmp_path.stat()
    assert (watch.wd, watch.ino, watch.mask, watch.more) == (wd, place.st_ino, 0xFFF, ())
    assert fdinfo.device(watch.sdev) == (os.major(place.st_dev), os.minor(place.st_dev))
    handle = os.pidfd_open(os.getpid())
    assert fdinfo.pidfd(info(process, handle)).pid == os.getpid()
    os.close(watcher)
    os.close(handle)


def test_locks(process: Live, tmp_path: Path) -> None:
    with (tmp_path / "l").open("w+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 5, 10)
        fcntl.flock(file, fcntl.LOCK_EX)
        found = {lock.kind: lock for lock in info(process, file.fileno()).locks()}
        assert set(found) == {"POSIX", "FLOCK"}
        assert (found["POSIX"].start, found["POSIX"].end, found["POSIX"].pid, found["POSIX"].access) == (10, 14, os.getpid(), "WRITE")
        assert (found["FLOCK"].end, found["FLOCK"].inode) == (None, os.fstat(file.fileno()).st_ino)


def test_posix_timer(process: Live) -> None:
    made = ctypes.create_string_buffer(4)
    event = SIGEVENT.pack(sigev_value=0xDEAD, sigev_signo=c.SIGUSR2, sigev_notify=c.SIGEV_SIGNAL)
    assert trial.syscall("timer_create", c.CLOCK_BOOTTIME, event, made) == 0
    ident = int.from_bytes(made.raw, "little")
    found = {timer.id: timer for timer in timers.parse_timers(process.read("timers"))}
    assert trial.syscall("timer_delete", ident) == 0
    assert found[ident] == timers.PosixTimer(ident, c.SIGUSR2, 0xDEAD, c.SIGEV_SIGNAL, os.getpid(), c.CLOCK_BOOTTIME)


@pytest.mark.parametrize(
    ("name", "certain"), [(b"plain", True), (b"a\rb ", True), (b"a\nb", False), (b"a\\012b", False), (b"a (deleted)", False)]
)
def test_a_mapped_file_of_any_name(process: Live, tmp_path: Path, name: bytes, certain: bool) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(fd, bytes(2 * mmap.PAGESIZE))
    with mmap.mmap(fd, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ, offset=mmap.PAGESIZE):
        place = os.fstat(fd)
        key = (os.major(place.st_dev), os.minor(place.st_dev), place.st_ino)
        vmas = [vma for vma in maps.parse_maps(process.read("maps")) if (vma.major, vma.minor, vma.inode) == key]
        smaps = [smap for smap in maps.parse_smaps(process.read("smaps")) if smap.vma == vmas[0]]
    os.close(fd)
    assert [(vma.prot, vma.shared, vma.offset, vma.size, vma.path_is_certain) for vma in vmas] == [
        (mmap.PROT_READ, True, mmap.PAGESIZE, mmap.PAGESIZE, certain)
    ]
    assert {"rd", "sh"} <= set(smaps[0].flags)
    assert not certain or vmas[0].path == path


def test_this_process_as_status_tells_it(process: Live) -> None:
    found = status.parse_status(process.read("status"))
    assert (found.pid, found.ppid, found.uids[:3], found.groups) == (
        os.getpid(),
        os.getppid(),
        os.getresuid(),
        tuple(sorted(os.getgroups())),
    )
    assert found.threads == len(listing.tids(process))
