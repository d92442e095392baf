"""What a borrowed descriptor shows, and that the lender's object is as before; the lender is this process."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel import borrowed
from holdfast.kernel.borrowed import FIONREAD, MSG_DONTWAIT, Borrowed

if TYPE_CHECKING:
    from collections.abc import Iterator

MSG_TRUNC, MSG_CTRUNC = 0x20, 0x08


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    borrowed.forget()
    before = set(os.listdir("/proc/self/fd"))
    yield
    borrowed.forget()
    # what another test left for the garbage collector may go meanwhile
    assert set(os.listdir("/proc/self/fd")) - before == set()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe2(os.O_NONBLOCK)
    yield ends
    for fd in ends:
        os.close(fd)


@pytest.fixture
def packets() -> Iterator[tuple[int, int]]:
    ends = os.pipe2(os.O_NONBLOCK | os.O_DIRECT)
    yield ends
    for fd in ends:
        os.close(fd)


def lend(fd: int) -> Borrowed:
    return Borrowed(os.getpid(), fd)


def test_the_duplicate_is_the_same_open_file(tmp_path: object) -> None:
    fd = os.memfd_create("x")
    os.write(fd, b"12345")
    with lend(fd) as b:
        assert b.stat.st_ino == os.fstat(fd).st_ino
        assert os.lseek(b.fd, 0, os.SEEK_CUR) == 5
        assert b.fd != fd
    os.close(fd)


def test_it_is_not_inherited(pipe: tuple[int, int]) -> None:
    with lend(pipe[0]) as b:
        assert fcntl.fcntl(b.fd, fcntl.F_GETFD) == fcntl.FD_CLOEXEC


def test_no_such_descriptor_is_data(pipe: tuple[int, int]) -> None:
    with pytest.raises(OSError) as e:
        lend(1 << 20)
    assert e.value.errno == errno.EBADF


def test_a_second_close_does_nothing(pipe: tuple[int, int]) -> None:
    b = lend(pipe[0])
    b.close()
    b.close()
    assert borrowed._open == {}


def test_more_descriptors_than_we_may_have_can_be_borrowed(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    monkeypatch.setattr(borrowed, "MAX_OPEN", 2)
    lent = [lend(fd) for fd in (pipe[0], pipe[1], pipe[0], pipe[1])]
    assert len(borrowed._open) == 2
    assert [int(b.fcntl(fcntl.F_GETFL)) & os.O_ACCMODE for b in lent] == [os.O_RDONLY, os.O_WRONLY] * 2
    for b in lent:
        b.close()
    assert borrowed._open == {}


def test_a_pid_that_means_another_process_now_is_opened_anew(pipe: tuple[int, int]) -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    dead = os.pidfd_open(child)
    os.waitpid(child, 0)
    borrowed._pidfds[os.getpid()] = dead
    with lend(pipe[0]) as b:
        assert b.stat.st_ino == os.fstat(pipe[0]).st_ino


def test_the_number_of_pidfds_has_a_bound(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    monkeypatch.setattr(borrowed, "MAX_PIDFDS", 1)
    borrowed._pidfds[-5] = os.dup(pipe[0])
    lend(pipe[0]).close()
    assert list(borrowed._pidfds) == [os.getpid()]


def test_what_waits_in_a_stream_is_one_entry_and_stays(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"abc")
    os.write(pipe[1], b"def")
    with lend(pipe[0]) as b:
        assert b.peek_pipe() == [b"abcdef"]
        assert b.ioctl_int(FIONREAD) == 6
    assert os.read(pipe[0], 100) == b"abcdef"


def test_a_full_pipe_of_another_size_is_seen_whole(pipe: tuple[int, int]) -> None:
    fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 1 << 19)
    data = os.urandom(1 << 19)
    assert os.write(pipe[1], data) == 1 << 19
    with lend(pipe[0]) as b:
        assert b"".join(b.peek_pipe()) == data


def test_an_empty_pipe_has_nothing(pipe: tuple[int, int]) -> None:
    with lend(pipe[0]) as b:
        assert b.peek_pipe() == []


def test_packets_keep_their_ends(packets: tuple[int, int]) -> None:
    for data in (b"a", b"bc", b"d" * 4096):
        os.write(packets[1], data)
    with lend(packets[0]) as b:
        assert b.peek_pipe() == [b"a", b"bc", b"d" * 4096]
    assert os.read(packets[0], 100) == b"a"


def test_poll_tells_a_missing_writer(pipe: tuple[int, int]) -> None:
    reader, writer = os.pipe()
    with lend(reader) as b:
        assert b.poll(0) == 0
        os.close(writer)
        assert b.poll(0) == select.POLLHUP
    os.close(reader)


def test_a_file_is_asked_by_fcntl_and_ioctl(pipe: tuple[int, int]) -> None:
    with lend(pipe[1]) as b:
        assert b.fcntl(fcntl.F_GETFL) == os.O_WRONLY | os.O_NONBLOCK
        assert b.fcntl(16, bytes(8)) == bytes(8)  # F_GETOWN_EX
        assert b.ioctl_bytes(FIONREAD, b"\xff" * 4) == bytes(4)


def test_the_filesystem_is_told_by_its_magic_number(pipe: tuple[int, int]) -> None:
    memory = os.memfd_create("x")
    with lend(pipe[0]) as of_pipe, lend(memory) as of_memory:
        assert (of_pipe.filesystem, of_memory.filesystem) == (0x50495045, 0x01021994)  # PIPEFS_MAGIC, TMPFS_MAGIC
    os.close(memory)


def test_a_socket_gives_options_and_raw_addresses() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        with lend(s.fileno()) as b:
            assert b.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == struct.pack("i", socket.SOCK_STREAM)
            assert b.sockname() == struct.pack("=H", socket.AF_INET) + struct.pack(">H", s.getsockname()[1]) + bytes(
                (127, 0, 0, 1)
            ) + bytes(8)
            with pytest.raises(OSError) as e:
                b.peername()
    assert e.value.errno == errno.ENOTCONN


def test_an_unnamed_address_has_its_true_length() -> None:
    one, two = socket.socketpair()
    with one, two, lend(one.fileno()) as b:
        assert b.sockname() == struct.pack("=H", socket.AF_UNIX)
        assert b.peername() == struct.pack("=H", socket.AF_UNIX)


def test_a_message_is_seen_and_stays() -> None:
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, two, lend(two.fileno()) as b:
        one.send(b"first message")
        one.send(b"second")
        assert b.peek(5).data == b"first"
        assert b.peek(5).flags & MSG_TRUNC == MSG_TRUNC
        assert b.peek(100) == (b"first message", b"", b"", 0)
        assert two.recv(100, MSG_DONTWAIT) == b"first message"


def test_an_empty_queue_does_not_wait() -> None:
    one, two = socket.socketpair()
    with one, two, lend(two.fileno()) as b, pytest.raises(BlockingIOError):
        b.peek(5)


def test_descriptors_in_flight_are_seen_without_receiving_them(pipe: tuple[int, int]) -> None:
    one, two = socket.socketpair()
    with one, two, lend(two.fileno()) as b:
        socket.send_fds(one, [b"x"], [pipe[0]])
        before = os.listdir("/proc/self/fd")
        seen = b.peek(100)
        assert seen.data == b"x"
        assert seen.flags & MSG_CTRUNC == MSG_CTRUNC
        assert os.listdir("/proc/self/fd") == before
        with_room = b.peek(100, control=64)
        got = struct.unpack_from("i", with_room.control, 16)[0]
        assert os.fstat(got).st_ino == os.fstat(pipe[0]).st_ino
        os.close(got)
        two.recv(100)
