"""What fd.epoll, fd.timerfd, fd.signalfd, fd.pidfd, fd.owner and fd.locks promise, kept by a real dump and restore."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast.errors import KernelLacks
from tests import harness

if TYPE_CHECKING:
    from pathlib import Path


def test_epoll_entries_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        ep, inner = select.epoll(), select.epoll()
        busy, quiet, once, gone = os.eventfd(1), os.eventfd(0), os.eventfd(1), os.eventfd(1)
        ep.register(busy, select.EPOLLIN)
        ep.register(quiet, select.EPOLLIN | select.EPOLLET)
        ep.register(once, select.EPOLLIN | select.EPOLLONESHOT)
        ep.register(inner, select.EPOLLIN)
        inner.register(gone, select.EPOLLIN)
        say(sorted(ep.poll(0)))                     # disarms `once`
        kept = os.dup(gone)
        os.dup2(quiet, gone)                        # inner's entry now has a number that means another file
        pause()
        say(sorted(ep.poll(0)))
        os.eventfd_write(quiet, 1)
        say(sorted(ep.poll(0)))
        say(sorted(ep.poll(0)))                     # edge-triggered: once only
        ep.modify(once, select.EPOLLIN | select.EPOLLONESHOT)
        say(sorted(ep.poll(0)))
        os.eventfd_read(kept)
        say(inner.poll(0))
        lines = open("/proc/self/fdinfo/%d" % ep.fileno()).read().splitlines()
        say(sorted(" ".join(line.split()[:4]) for line in lines if line.startswith("tfd")))
        """,
    )
    assert trip.said == trip.control


def test_an_epoll_shared_with_a_child_wakes_the_child(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        ep, event = select.epoll(), os.eventfd(0)
        ep.register(event, select.EPOLLIN)
        child = os.fork()
        if not child:
            events = []
            while not events:
                events = ep.poll(1000)
            os._exit(len(events))
        pause()
        os.eventfd_write(event, 1)
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
    )
    assert trip.said == trip.control == [1]


TIMER = """
libc = ctypes.CDLL(None)

def timer(clock, value, interval=0.0, flags=0):
    fd = libc.timerfd_create(clock, os.O_NONBLOCK)
    libc.timerfd_settime(fd, flags, struct.pack("qqqq", int(interval), int(interval % 1 * 1e9), int(value), int(value % 1 * 1e9)), None)
    return fd

def lines(fd):
    return dict(line.split(":", 1) for line in open("/proc/self/fdinfo/%d" % fd).read().splitlines())
"""


def test_timers_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        TIMER
        + """
soon, late = timer(time.CLOCK_MONOTONIC, 0.05, 1000), timer(time.CLOCK_BOOTTIME, 5000.5, 7)
point = time.time() + 5000
absolute, idle = timer(time.CLOCK_REALTIME, point, 0, 3), timer(time.CLOCK_MONOTONIC, 0)
select.select([soon], [], [])
pause()
say(int.from_bytes(os.read(soon, 8), "little"))
left = struct.unpack("qqqq", bytes(32))
def gettime(fd):
    out = ctypes.create_string_buffer(32)
    libc.timerfd_gettime(fd, out)
    interval, interval_ns, value, value_ns = struct.unpack("qqqq", out.raw)
    return interval, value + value_ns / 1e9
for fd, most in ((soon, 1000), (late, 5000.5)):
    interval, value = gettime(fd)
    say([interval, most - 60 < value <= most])
say(abs(time.time() + gettime(absolute)[1] - point) < 0.5)
say([lines(fd)["settime flags"] for fd in (soon, late, absolute, idle)])
say([lines(fd)["clockid"] for fd in (soon, late, absolute, idle)])
try:
    os.read(idle, 8)
except BlockingIOError:
    say("idle")
""",
    )
    assert trip.said == trip.control


def test_a_timer_that_somebody_waits_for_goes_off(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        TIMER
        + """
fd = timer(time.CLOCK_MONOTONIC, 0.3)
ready()
select.select([fd], [], [])
say(int.from_bytes(os.read(fd, 8), "little"))
""",
    )
    assert trip.said == trip.control == [1]


def test_signalfd_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        mask = {signal.SIGUSR2, signal.SIGRTMIN + 3}
        signal.pthread_sigmask(signal.SIG_BLOCK, mask)
        fd = ctypes.CDLL(None).syscall(289, -1, sum(1 << n - 1 for n in mask).to_bytes(8, "little"), 8, os.O_NONBLOCK)
        os.kill(os.getpid(), signal.SIGUSR2)
        pause()
        os.kill(os.getpid(), signal.SIGRTMIN + 3)
        say(sorted(os.read(fd, 128)[0] for _ in range(2)))
        """,
    )
    assert trip.said == trip.control == [[12, 37]]


def test_a_pidfd_of_a_child_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        child = os.fork()
        if not child:
            wait()
            os._exit(5)
        fd, me = os.pidfd_open(child), os.pidfd_open(os.getpid(), os.O_NONBLOCK)
        pause()
        signal.pidfd_send_signal(fd, signal.SIGUSR1)
        select.select([fd], [], [])
        say(os.waitid(os.P_PIDFD, fd, os.WEXITED).si_status)
        signal.pidfd_send_signal(me, 0)
        """,
    )
    assert trip.said == trip.control == [5]


def test_who_is_signalled_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN + 1})
        reader, writer = os.pipe()
        fcntl.fcntl(reader, 15, struct.pack("ii", 1, os.getpid()))      # F_SETOWN_EX
        fcntl.fcntl(reader, 10, signal.SIGRTMIN + 1)                    # F_SETSIG
        fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
        pause()
        say([struct.unpack("ii", fcntl.fcntl(reader, 16, bytes(8)))[0], fcntl.fcntl(reader, 11), fcntl.fcntl(reader, fcntl.F_GETFL)])
        os.write(writer, b"x")
        info = signal.sigwaitinfo({signal.SIGRTMIN + 1})
        say([info.si_signo, info.si_band])
        """,
    )
    assert trip.said == trip.control


def test_locks_survive(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(100))
    trip = harness.roundtrip(
        tmp_path,
        f"""
        name = {str(tmp_path / "x")!r} + os.path.basename(os.getcwd())
        one, two, three = (os.open(name, os.O_RDWR | os.O_CREAT) for _ in range(3))
        fcntl.lockf(one, fcntl.LOCK_EX, 10, 0)
        fcntl.fcntl(two, 37, struct.pack("hhxxxxqqixxxx", fcntl.F_WRLCK, 0, 20, 5, 0))
        fcntl.flock(three, fcntl.LOCK_EX)
        child = os.fork()
        if not child:
            fcntl.lockf(one, fcntl.LOCK_SH, 7, 50)          # through a description that is shared
            ready()
            wait()
            os._exit(0)
        wait()
        os.kill(child, signal.SIGUSR1)
        probe = os.fork()
        if not probe:
            fd = os.open(name, os.O_RDWR)
            got = [struct.unpack("hhxxxxqqixxxx", fcntl.fcntl(fd, 36, struct.pack("hhxxxxqqixxxx", 1, 0, start, 1, 0)))[:4]
                   for start in (5, 10, 22, 30)]
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                got.append("flock")
            with open(name + ".got", "w") as f:
                json.dump(got, f)
            os._exit(0)
        os.waitpid(probe, 0)
        say(json.load(open(name + ".got")))
        """,
    )
    assert trip.said == trip.control
    assert trip.said[0][-1] == "flock"


@pytest.mark.root
def test_a_lock_taken_by_somebody_else_fails_the_restore_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    subject = harness.start(tmp_path, f"fd = os.open({str(tmp_path / 'x')!r}, os.O_RDWR)\nfcntl.flock(fd, fcntl.LOCK_EX)\npause()")
    try:
        holdfast.dump(subject.pid, tmp_path / "image")
    finally:
        subject.kill()
    with (tmp_path / "x").open("rb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        with pytest.raises(KernelLacks, match=r"fd\.locks"):
            holdfast.restore(tmp_path / "image")
    assert not os.path.exists(f"/proc/{subject.pid}")


def test_more_descriptors_than_a_process_may_have_by_default_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (1200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        fds = [os.eventfd(i + 1) for i in range(1100)]
        pause()
        say(sum(os.eventfd_read(fd) for fd in fds))
        say(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        """,
    )
    assert trip.said == trip.control == [605550, 1200]


def test_inotify_watches_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        libc = ctypes.CDLL(None)
        fd = libc.inotify_init1(0)
        os.mkdir("a"), os.mkdir("b")
        say([libc.inotify_add_watch(fd, b"a", 0x100), libc.inotify_add_watch(fd, b"b", 0x200)])
        libc.inotify_rm_watch(fd, 1)
        os.read(fd, 100)
        say(libc.inotify_add_watch(fd, b"a", 0x100))
        pause()
        open("a/new", "w").close()
        wd, mask = struct.unpack_from("iI", os.read(fd, 100))
        say([wd, mask])
        """,
    )
    assert trip.said == trip.control == [[1, 2], 3, [3, 0x100]]
