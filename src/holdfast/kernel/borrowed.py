"""Our own duplicate of a target's descriptor: it asks the open file what only a holder may ask, and never changes it.

The duplicate shares the target's open file description, so whatever it changed would be changed for the target. What is
here only reads. It lives as briefly as it can: while it is open, a pipe does not hang up and a lock of the description
is not released, should the target close its own.
"""

from __future__ import annotations

import fcntl
import os
import select
from errno import ESRCH
from struct import Struct as Format

from holdfast.kernel.libc import INT, LONG, POINTER, addressof, buffer, function, get_errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

PIDFD_GETFD = 438  # the same on every architecture
F_GETPIPE_SZ, F_SETPIPE_SZ = 1032, 1031
FIONREAD = 0x541B
MSG_PEEK, MSG_DONTWAIT, MSG_CMSG_CLOEXEC = 0x02, 0x40, 0x40000000
MAX_PIDFDS = 64
MAX_OPEN = 256  # a target may have more descriptors than we may

_syscall = function("syscall", LONG, LONG, LONG, LONG)
_fstatfs = function("fstatfs", LONG, POINTER, returns=INT)
_getsockopt = function("getsockopt", LONG, LONG, LONG, POINTER, POINTER, returns=INT)
_getsockname = function("getsockname", LONG, POINTER, POINTER, returns=INT)
_getpeername = function("getpeername", LONG, POINTER, POINTER, returns=INT)
_recvmsg = function("recvmsg", LONG, POINTER, LONG)
_tee = function("tee", LONG, LONG, LONG, LONG)
# struct msghdr: name, namelen, iov, iovlen, control, controllen, flags
_MESSAGE = Format("<QI4xQQQQi4x")
_IOVEC = Format("<2Q")
_open: dict[int, Borrowed] = {}  # by id, oldest first
_pidfds: dict[int, int] = {}  # a pidfd means one process for ever; of a dead one it says ESRCH, and is opened anew


def _waiting(pipe: int) -> int:
    return int.from_bytes(fcntl.ioctl(pipe, FIONREAD, bytes(4)), "little")


def _call(result: int) -> int:
    if result < 0:
        number = get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _pidfd(pid: int) -> int:
    fd = _pidfds.get(pid)
    if fd is None:
        if len(_pidfds) >= MAX_PIDFDS:
            os.close(_pidfds.pop(next(iter(_pidfds))))
        fd = _pidfds[pid] = os.pidfd_open(pid)
    return fd


def forget() -> None:
    """Give back every descriptor that stands for a process; borrowing goes on to work."""
    while _pidfds:
        os.close(_pidfds.popitem()[1])


def _borrow(pid: int, fd: int) -> int:
    try:
        return _call(_syscall(PIDFD_GETFD, _pidfd(pid), fd, 0))
    except OSError as e:
        if e.errno != ESRCH or pid not in _pidfds:
            raise
    os.close(_pidfds.pop(pid))
    return _call(_syscall(PIDFD_GETFD, _pidfd(pid), fd, 0))


class Peeked(tuple[bytes, bytes, bytes, int]):
    """What a look at a socket's queue showed: data, control messages, the sender's address, MSG_* flags."""

    __slots__ = ()

    @property
    def data(self) -> bytes:
        """The bytes of the message, or of the stream as far as one receive goes."""
        return self[0]

    @property
    def control(self) -> bytes:
        """Control messages, struct cmsghdr and its data, one after the other."""
        return self[1]

    @property
    def name(self) -> bytes:
        """The struct sockaddr of the sender, empty where it has none."""
        return self[2]

    @property
    def flags(self) -> int:
        """MSG_TRUNC, MSG_CTRUNC, MSG_EOR, as recvmsg gives them."""
        return self[3]


class Borrowed:
    """Our duplicate of the descriptor `fd` of a process; close it, or leave it by the context manager.

    Needs:   the right to trace the process (PTRACE_MODE_ATTACH_REALCREDS)
    Raises:  OSError: EBADF no such descriptor, ESRCH no such process, EPERM not allowed
    Source:  pidfd_getfd(2), Linux 5.6
    """

    __slots__ = ("_fd", "_stat", "number", "pid")

    def __init__(self, pid: int, fd: int) -> None:
        self.pid, self.number = int(pid), int(fd)
        self._fd = -1
        self._stat: os.stat_result | None = None
        _ = self.fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def fd(self) -> int:
        """Our number for it: good until many others have been used; then it is given back, and borrowed anew when asked for."""
        if self._fd < 0:
            if len(_open) >= MAX_OPEN:
                _open.pop(next(iter(_open))).close()
            self._fd = _borrow(self.pid, self.number)
            _open[id(self)] = self
        return self._fd

    def close(self) -> None:
        """Give the duplicate back; a second close does nothing.

        POSIX locks stay: they go when their owner's descriptor table closes the file, and that is not ours.
        """
        if self._fd >= 0:
            _open.pop(id(self), None)
            os.close(self._fd)
            self._fd = -1

    @property
    def stat(self) -> os.stat_result:
        """What fstat says, asked once. It changes nothing."""
        if self._stat is None:
            self._stat = os.fstat(self.fd)
        return self._stat

    @property
    def filesystem(self) -> int:
        """The magic number of the filesystem that it is on. Asking changes nothing.

        Source:  fstatfs(2), Linux include/uapi/linux/magic.h
        """
        room = buffer(120)
        _call(_fstatfs(self.fd, room))
        return int.from_bytes(room.raw[:8], "little")

    def fcntl(self, command: int, arg: int | bytes = 0) -> int | bytes:
        """A fcntl that reads (F_GET...); bytes in, bytes out. An F_SET command would change the target's file.

        Raises:  OSError: as fcntl(2)
        """
        return fcntl.fcntl(self.fd, command, arg)

    def ioctl(self, request: int, arg: int) -> int:
        """An ioctl with a number for an argument. Only requests that read, or that must fail, may be used.

        Raises:  OSError: as ioctl(2)
        """
        return fcntl.ioctl(self.fd, request, arg)

    def ioctl_int(self, request: int) -> int:
        """The int that an ioctl writes. Only requests that read may be used.

        Raises:  OSError: as ioctl(2)
        """
        return int.from_bytes(fcntl.ioctl(self.fd, request, bytes(4)), "little", signed=True)

    def ioctl_bytes(self, request: int, buffer: bytes) -> bytes:
        """The buffer after an ioctl has written to it. Only requests that read may be used.

        Raises:  OSError: as ioctl(2)
        """
        room = bytearray(buffer)
        fcntl.ioctl(self.fd, request, room)
        return bytes(room)

    def poll(self, events: int) -> int:
        """What poll reports now, of `events`, POLLERR and POLLHUP; it does not wait and takes nothing away."""
        poller = select.poll()
        poller.register(self.fd, events)
        got = poller.poll(0)
        return got[0][1] if got else 0

    # --- sockets

    def getsockopt(self, level: int, option: int, size: int = 4) -> bytes:
        """A socket option, as many bytes as the kernel gives. It changes nothing (but SO_ERROR, which it takes away).

        Raises:  OSError: as getsockopt(2); ENOTSOCK where it is no socket
        """
        room, length = buffer(max(size, 1)), buffer(4)
        length.raw = size.to_bytes(4, "little")
        _call(_getsockopt(self.fd, level, option, room, length))
        got: bytes = room.raw[: int.from_bytes(length.raw, "little")]
        return got

    def sockname(self) -> bytes:
        """The socket's own address: struct sockaddr, at its true length. It changes nothing."""
        return self._address(_getsockname)

    def peername(self) -> bytes:
        """The address at the other end; raises ENOTCONN where there is none. It changes nothing."""
        return self._address(_getpeername)

    def _address(self, ask: Callable[..., int]) -> bytes:
        room, length = buffer(256), buffer(4)
        length.raw = (256).to_bytes(4, "little")
        _call(ask(self.fd, room, length))
        got: bytes = room.raw[: min(int.from_bytes(length.raw, "little"), 256)]
        return got

    def peek(self, size: int, control: int = 0, flags: int = 0) -> Peeked:
        """The next message, or the stream as far as one receive goes, left in the queue. It never waits.

        With `control` 0 no control message is received and MSG_CTRUNC in the flags says that there is one: that is how to see
        descriptors in flight. With room for them the kernel gives us duplicates of those descriptors, ours to close.

        Raises:  OSError: EAGAIN the queue is empty; else as recvmsg(2)
        Source:  recvmsg(2), Linux net/unix/af_unix.c unix_peek_fds, net/core/scm.c scm_detach_fds
        """
        data, name, ancillary, iov = buffer(max(size, 1)), buffer(256), buffer(max(control, 1)), buffer(_IOVEC.size)
        _IOVEC.pack_into(iov, 0, addressof(data), size)
        message = buffer(_MESSAGE.size)
        _MESSAGE.pack_into(message, 0, addressof(name), 256, addressof(iov), 1, addressof(ancillary) if control else 0, control, 0)
        got = _call(_recvmsg(self.fd, message, flags | MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC))
        _, name_size, _, _, _, control_size, said = _MESSAGE.unpack(message)
        return Peeked((data.raw[: min(got, size)], ancillary.raw[:control_size], name.raw[:name_size], said & ~MSG_CMSG_CLOEXEC))

    # --- pipes

    def writerless(self) -> bool:
        """Whether a pipe is empty and nobody has it open for writing; True also where a reader has seen no writer yet.

        Needs:   the descriptor is open for reading
        Source:  tee(2), Linux fs/splice.c ipipe_prep: 0 where there is no writer, else EAGAIN; it changes nothing
        """
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return _call(_tee(self.fd, writer, 1, 2)) == 0  # SPLICE_F_NONBLOCK
        except BlockingIOError:
            return False
        finally:
            os.close(reader)
            os.close(writer)

    def peek_pipe(self) -> list[bytes]:
        """What waits in a pipe, left there: one entry for each read that a reader with a large buffer would make.

        A pipe of packets gives its packets; a stream gives one entry, or none. The pages are shared with a pipe of our own
        by tee, which changes nothing in the target's.

        Needs:   the descriptor is open for reading
        Raises:  OSError: EPERM or ENOMEM: we may not have a pipe as large as the target's
        Source:  tee(2), Linux fs/splice.c link_pipe (keeps PIPE_BUF_FLAG_PACKET), fs/pipe.c pipe_read
        """
        if not self.ioctl_int(FIONREAD):
            return []
        reader = self._tee()
        try:
            out = []
            while left := _waiting(reader):
                out.append(os.read(reader, left))
            return out
        finally:
            os.close(reader)

    def packets(self, data: Sequence[bytes]) -> list[str]:
        """What each entry that peek_pipe gave is: `packet`, `stream` (the last one only), `mixed`: a stream and then a packet.

        Shape:   a last entry of one byte is `unknown`; of two bytes, a `stream` may be two single ones of which the last is a packet
        Source:  pipe(2) O_DIRECT: a read of a part of a packet discards the rest; Linux fs/pipe.c pipe_read
        """
        reader, out = self._tee(), []
        try:
            for i, entry in enumerate(data):
                size, last = len(entry), i == len(data) - 1
                left = _waiting(reader)
                os.read(reader, 1)
                if size == 1:
                    out.append("unknown" if last else "packet")
                elif left - _waiting(reader) == size:
                    out.append("packet")
                elif not last:
                    os.read(reader, size - 1)
                    out.append("mixed")
                else:
                    if size > 2:
                        os.read(reader, size - 2)
                    out.append("stream" if _waiting(reader) else "mixed")
            return out
        finally:
            os.close(reader)

    def _tee(self) -> int:
        # a pipe of our own with what waits in this one
        size = int(fcntl.fcntl(self.fd, F_GETPIPE_SZ))
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if int(fcntl.fcntl(reader, F_GETPIPE_SZ)) < size:
                fcntl.fcntl(writer, F_SETPIPE_SZ, size)
            _call(_tee(self.fd, writer, 1 << 30, 2))  # SPLICE_F_NONBLOCK
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        return reader
