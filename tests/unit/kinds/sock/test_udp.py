"""sock.udp, on sockets of this process over loopback: what is dumped is made again here, without a tracer."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.errors import KernelLacks
from holdfast.image import codec
from holdfast.kernel import sockdiag
from holdfast.kinds.multicast import Membership
from holdfast.kinds.sock.udp import KIND, Udp, compare
from holdfast.kinds.socket_options import Option
from holdfast.kinds.sockets import Address
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

    Socket = socket.socket

LOOPBACK = socket.inet_aton("127.0.0.1")
HOME = Address(LOOPBACK, 0)


@pytest.fixture
def pool() -> Iterator[list[Socket]]:
    kept: list[Socket] = []
    yield kept
    for sock in kept:
        sock.close()


def made(pool: list[Socket], family: int = socket.AF_INET, bind: str = "") -> Socket:
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        pool.append(sock)
        if bind:
            sock.bind((bind, 0))
    except OSError as error:
        pytest.skip(f"machine cannot: it has no IPv6 ({error})")
    return sock


def again(pool: list[Socket], sock: Socket) -> Socket:
    first = native.records(KIND, sock.fileno())
    sock.close()
    after = socket.socket(fileno=native.restored(KIND, first)[0])
    pool.append(after)
    assert native.records(KIND, after.fileno()) == first
    return after


def test_a_bound_socket_comes_back_at_its_port(pool: list[Socket]) -> None:
    sock, other = made(pool, bind="127.0.0.1"), made(pool)
    name = sock.getsockname()
    after = again(pool, sock)
    other.sendto(b"x", name)
    assert after.recv(9) == b"x"


def test_a_new_socket_comes_back(pool: list[Socket]) -> None:
    sock = made(pool)
    sock.setblocking(False)
    assert again(pool, sock).getsockname() == ("0.0.0.0", 0)


def test_a_connected_socket_comes_back_with_both_ends(pool: list[Socket]) -> None:
    one, two = made(pool, bind="127.0.0.1"), made(pool, bind="127.0.0.1")
    one.connect(two.getsockname())
    two.connect(one.getsockname())
    names = (one.getsockname(), one.getpeername())
    after = again(pool, one)
    assert (after.getsockname(), after.getpeername()) == names
    two.send(b"x")
    assert after.recv(9) == b"x"


def test_sockets_that_share_a_port_are_carried_while_both_say_so(pool: list[Socket]) -> None:
    one, two = made(pool), made(pool)
    for sock in (one, two):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", 0))
    two.bind(one.getsockname())
    assert native.verdicts(KIND, one.fileno(), two.fileno()) == []
    two.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    assert native.verdicts(KIND, one.fileno(), two.fileno()) == ["sock.udp.shared"] * 2


def test_an_ipv6_socket_comes_back(pool: list[Socket]) -> None:
    sock = made(pool, socket.AF_INET6, "::1")
    sock.connect(("::1", 9))
    name = sock.getsockname()
    assert again(pool, sock).getsockname() == name


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR])
def test_shut_down_reading_comes_back(pool: list[Socket], how: int) -> None:
    sock = made(pool, bind="127.0.0.1")
    sock.connect(("127.0.0.1", 9))
    sock.shutdown(how)
    assert again(pool, sock).recv(9) == b""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("connect", [True, False])
def test_shut_down_writing_comes_back(pool: list[Socket], host: str, connect: bool) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock, other = made(pool, family, host), made(pool, family, host)
    if connect:
        sock.connect(other.getsockname())
        sock.shutdown(socket.SHUT_WR)
    else:
        with pytest.raises(OSError, match="not connected"):
            sock.shutdown(socket.SHUT_WR)
    after = again(pool, sock)
    with pytest.raises(BrokenPipeError):
        after.send(b"x") if connect else after.sendto(b"x", other.getsockname())


def test_an_ipv6_socket_that_was_never_bound_stays_one_for_both_versions(pool: list[Socket]) -> None:
    sock = made(pool, socket.AF_INET6)
    sock.connect(("::1", 9))
    name = sock.getsockname()
    after = again(pool, sock)
    assert (after.getsockname(), after.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)) == (name, 0)


def test_a_dissolved_ipv6_connection_still_takes_datagrams_of_its_old_host_alone(pool: list[Socket]) -> None:
    free, stranger = made(pool, socket.AF_INET6, "::"), made(pool, socket.AF_INET6, "::1")
    name = free.getsockname()
    free.close()
    sock = made(pool, socket.AF_INET6)
    sock.bind(name)  # by its number, so that the port stays when the connection is dissolved
    old = "::ffff:127.0.0.2"
    sock.connect((old, 9))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.connect(sock.fileno(), bytes(16), 16) == 0  # AF_UNSPEC
    assert sock.getsockname() == name
    after = again(pool, sock)
    stranger.sendto(b"x", ("::1", name[1]))
    assert select.select([after], [], [], 0)[0] == []
    assert native.records(KIND, after.fileno())[0].dissolved == socket.inet_pton(socket.AF_INET6, old)


# --- groups

GROUP, SECOND = socket.inet_aton("239.255.77.1"), socket.inet_aton("239.255.77.2")


def test_groups_and_their_sources_come_back(pool: list[Socket]) -> None:
    sock, other = made(pool, bind=""), made(pool)
    sock.bind(("", 0))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, GROUP + LOOPBACK)
    sock.setsockopt(socket.IPPROTO_IP, 39, SECOND + LOOPBACK + socket.inet_aton("127.0.0.9"))  # IP_ADD_SOURCE_MEMBERSHIP
    index = socket.if_nametoindex("lo")
    wanted = (Membership(GROUP, index), Membership(SECOND, index, False, (socket.inet_aton("127.0.0.9"),)))
    assert native.records(KIND, sock.fileno())[0].groups == wanted
    after = again(pool, sock)
    other.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, LOOPBACK)
    other.sendto(b"x", (socket.inet_ntoa(GROUP), after.getsockname()[1]))
    assert select.select([after], [], [], 30)[0] == [after]


def test_a_group_that_another_socket_joined_is_not_claimed(pool: list[Socket]) -> None:
    sock, other = made(pool), made(pool)
    other.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, GROUP + LOOPBACK)
    assert native.records(KIND, sock.fileno())[0].groups == ()


def test_an_ipv6_group_comes_back(pool: list[Socket]) -> None:
    sock = made(pool, socket.AF_INET6)
    group = socket.inet_pton(socket.AF_INET6, "ff02::7777")
    index = socket.if_nametoindex("lo")
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("i", index))
    assert native.records(KIND, sock.fileno())[0].groups == (Membership(group, index),)
    again(pool, sock)


# --- what is refused


@pytest.mark.parametrize("data", [b"x", b""])
def test_a_queued_datagram_is_refused(pool: list[Socket], data: bytes) -> None:
    sock = made(pool, bind="127.0.0.1")
    sock.sendto(data, sock.getsockname())
    select.select([sock], [], [], 30)
    assert native.verdicts(KIND, sock.fileno()) == ["sock.udp.queued"]
    assert sock.recv(9) == data


def test_corked_data_is_refused(pool: list[Socket]) -> None:
    sock = made(pool)
    sock.connect(("127.0.0.1", 9))
    sock.setsockopt(17, 1, 1)  # UDP_CORK
    sock.send(b"x")
    assert native.verdicts(KIND, sock.fileno()) == ["sock.udp.corked"]


def test_an_error_that_waits_is_refused_and_stays(pool: list[Socket]) -> None:
    closed = made(pool, bind="127.0.0.1")
    sock = made(pool)
    sock.connect(closed.getsockname())
    closed.close()
    sock.send(b"x")
    select.select([sock], [], [], 30)
    assert native.verdicts(KIND, sock.fileno()) == ["sock.udp.error"]
    with pytest.raises(ConnectionRefusedError):
        sock.recv(1)


def test_sending_without_copies_is_refused(pool: list[Socket]) -> None:
    sock = made(pool)
    sock.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
    assert native.verdicts(KIND, sock.fileno()) == ["sock.udp.zerocopy"]


def test_what_no_interface_shows_is_a_question_of_sockets_with_a_port(pool: list[Socket], monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object) -> None:
        raise KernelLacks("sock_diag", "this kernel does not list inet sockets", why="built without udp_diag")

    monkeypatch.setattr(sockdiag, "inet_socket", lambda *_: None)
    monkeypatch.setattr(sockdiag, "inet_sockets", lacking)
    assert native.verdicts(KIND, made(pool, bind="127.0.0.1").fileno()) == ["Unchecked"]
    assert native.verdicts(KIND, made(pool).fileno()) == []


def diag(pool: list[Socket]) -> int:
    sock = socket.socket(fileno=sockdiag.open_socket())
    pool.append(sock)
    return sock.fileno()


def test_a_dissolved_connection_to_a_link_local_address_is_refused(pool: list[Socket], monkeypatch: pytest.MonkeyPatch) -> None:
    sock = made(pool, socket.AF_INET6, "::1")
    sock.connect(("::1", 9))
    (seen,) = [s for s in sockdiag.inet_sockets(diag(pool), socket.AF_INET6, 17) if s.ino == os.fstat(sock.fileno()).st_ino]
    there = socket.inet_pton(socket.AF_INET6, "fe80::1")
    other = made(pool, socket.AF_INET6, "::1")
    monkeypatch.setattr(sockdiag, "inet_socket", lambda *_: seen.replace(ino=os.fstat(other.fileno()).st_ino, remote=(there, 0)))
    assert native.verdicts(KIND, other.fileno()) == ["sock.udp.dissolved"]


def test_other_datagram_sockets_are_not_claimed(pool: list[Socket]) -> None:
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    pool += [one, two]
    evidence = native.tree(one.fileno())
    detect = KIND.verb("detect")
    assert detect is not None
    assert detect(evidence.files[0]) is None
    native.close(evidence)


# --- records

FULL = Udp(
    "AF_INET6",
    ("O_RDWR",),
    Address(bytes(16), 80, 1, 2),
    Address(bytes(16), 81),
    (Membership(GROUP, 1, False, (LOOPBACK,)),),
    ("read",),
    (Option("SO_MARK", (1,)),),
    uid=1,
    gid=2,
    mode=0o600,
    dissolved=bytes(15) + b"\1",
)


def test_a_record_comes_back_from_an_image() -> None:
    entries = [(ObjectId("file:0"), FULL), (ObjectId("file:1"), Udp("AF_INET"))]
    payload = codec.pack(Udp, entries)
    assert codec.unpack(payload, codec.bind(Udp, "sock.udp", None), []) == entries


@pytest.mark.parametrize("field", [name for name, _ in FULL.items()])
def test_a_change_of_any_field_is_seen(field: str) -> None:
    plain = Udp("AF_INET")
    changed: Any = plain.replace(**{field: getattr(FULL, field)})
    assert [d.field for d in compare(plain, changed, ObjectId("file:0"))] == [field]
    assert list(compare(FULL, FULL, ObjectId("file:0"))) == []
