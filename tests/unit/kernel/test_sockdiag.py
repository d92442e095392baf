"""The netlink side of sock_diag, with answers written by hand. Real sockets: tests/live/kernel/test_sockdiag.py."""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import KernelLacks, TargetChanged
from holdfast.kernel import sockdiag
from holdfast.kernel.sockdiag import UnixSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

MULTI, INTERRUPTED = 2, 0x10
ERROR, DONE, BY_FAMILY = 2, 3, 20


class Kernel:
    """The other end: what it is given to say, it says to the next requests in turn."""

    def __init__(self) -> None:
        self.mine, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.theirs.setblocking(False)
        self.fd = self.theirs.fileno()

    def says(self, *messages: tuple[int, int, bytes], request: int = 1) -> None:
        number = sockdiag._sequence + request
        self.mine.send(b"".join(message(kind, flags, body, number) for kind, flags, body in messages))

    def close(self) -> None:
        self.mine.close()
        self.theirs.close()


def message(kind: int, flags: int, body: bytes, number: int) -> bytes:
    return struct.pack("<IHHII", 16 + len(body), kind, flags, number, 0) + body + bytes(-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def unix_message(ino: int, *attributes: bytes, kind: int = 1, state: int = 1) -> bytes:
    return struct.pack("<BBBxIII", 1, kind, state, ino, 5, 6) + b"".join(attributes)


FINISHED = (DONE, MULTI, bytes(4))


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    made = Kernel()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("attributes", "changes"),
    [
        ((), {}),
        ((attribute(0, b"/run/x\0"),), {"name": b"/run/x"}),
        ((attribute(0, b"/run/x"),), {"name": b"/run/x"}),
        ((attribute(0, b"\0abs\0"),), {"name": b"\0abs\0"}),
        ((attribute(0, b""),), {"name": b""}),
        ((attribute(1, struct.pack("<II", 77, 0xFE00001)),), {"file": (77, 0xFE00001)}),
        ((attribute(2, struct.pack("<I", 9)),), {"peer": 9}),
        ((attribute(3, struct.pack("<3I", 9, 0, 11)),), {"pending": (9, 0, 11)}),
        ((attribute(4, struct.pack("<II", 3, 4)),), {"rqueue": 3, "wqueue": 4}),
        ((attribute(6, b"\3"),), {"shutdown": 3}),
        ((attribute(7, struct.pack("<I", 1000)),), {"uid": 1000}),
        ((attribute(0x8000 | 40, b"new"),), {"more": ((40, b"new"),)}),
    ],
)
def test_unix_attributes(kernel: Kernel, attributes: tuple[bytes, ...], changes: dict[str, object]) -> None:
    kernel.says((BY_FAMILY, MULTI, unix_message(12, *attributes)), FINISHED)
    plain = UnixSocket(12, 1, 1, None, None, None, (), 0, 0, 0, None, 6 << 32 | 5, ())
    assert sockdiag.unix_sockets(kernel.fd) == {12: plain.replace(**changes)}


def test_a_list_may_come_in_parts_and_after_what_another_request_left(kernel: Kernel) -> None:
    kernel.says((BY_FAMILY, MULTI, unix_message(1)), FINISHED, request=0)
    kernel.says((BY_FAMILY, MULTI, unix_message(2)), (1, 0, b""), (BY_FAMILY, MULTI, unix_message(3)))
    kernel.says((BY_FAMILY, MULTI, unix_message(4)))
    kernel.says(FINISHED)
    assert list(sockdiag.unix_sockets(kernel.fd)) == [2, 3, 4]


def test_an_interrupted_list_is_asked_for_again(kernel: Kernel) -> None:
    kernel.says((BY_FAMILY, MULTI | INTERRUPTED, unix_message(2)), FINISHED)
    kernel.says((BY_FAMILY, MULTI, unix_message(3)), FINISHED, request=2)
    assert list(sockdiag.unix_sockets(kernel.fd)) == [3]


def test_a_list_that_never_holds_still_is_an_error(kernel: Kernel) -> None:
    for i in range(1, sockdiag._TRIES + 1):
        kernel.says((BY_FAMILY, MULTI, unix_message(2)), (DONE, MULTI | INTERRUPTED, bytes(4)), request=i)
    with pytest.raises(TargetChanged) as caught:
        sockdiag.unix_sockets(kernel.fd)
    assert caught.value.code == "target_changed.sockets"


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP])
def test_a_kernel_without_the_family_is_named(kernel: Kernel, number: int) -> None:
    kernel.says((ERROR, 0, struct.pack("<i", -number) + bytes(16)))
    with pytest.raises(KernelLacks) as caught:
        sockdiag.inet_sockets(kernel.fd, socket.AF_INET, socket.IPPROTO_TCP)
    assert caught.value.code == "kernel_lacks.sock_diag"
    assert errno.errorcode[number] in caught.value.why


def test_other_errors_come_through(kernel: Kernel) -> None:
    kernel.says((DONE, MULTI, struct.pack("<i", -errno.EPERM)))
    with pytest.raises(PermissionError):
        sockdiag.unix_sockets(kernel.fd)


def test_one_that_is_not_there_is_none(kernel: Kernel) -> None:
    kernel.says((ERROR, 0, struct.pack("<i", -errno.ENOENT) + bytes(16)))
    assert sockdiag.unix_socket(kernel.fd, 7) is None
    kernel.says((ERROR, 0, struct.pack("<i", -errno.ENOENT) + bytes(16)))
    assert sockdiag.inet_socket(kernel.fd, socket.AF_INET, socket.IPPROTO_TCP, (bytes(4), 1), (bytes(4), 0)) is None
    kernel.says((ERROR, 0, struct.pack("<i", -errno.ESTALE) + bytes(16)))
    with pytest.raises(OSError, match="Stale") as caught:
        sockdiag.unix_socket(kernel.fd, 7)
    assert caught.value.errno == errno.ESTALE


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<IHHII", 400, BY_FAMILY, MULTI, 0, 0),
        struct.pack("<IHHII", 4, BY_FAMILY, MULTI, 0, 0),
    ],
)
def test_a_message_that_lies_about_its_length_is_an_error(kernel: Kernel, data: bytes) -> None:
    kernel.mine.send(data)
    with pytest.raises(OSError, match="longer") as caught:
        sockdiag.unix_sockets(kernel.fd)
    assert caught.value.errno == errno.EBADMSG


@pytest.mark.parametrize("head", [struct.pack("<HH", 2, 0), struct.pack("<HH", 40, 0)])
def test_an_attribute_that_lies_about_its_length_is_an_error(kernel: Kernel, head: bytes) -> None:
    kernel.says((BY_FAMILY, MULTI, unix_message(1, head)), FINISHED)
    with pytest.raises(OSError, match="longer") as caught:
        sockdiag.unix_sockets(kernel.fd)
    assert caught.value.errno == errno.EBADMSG
