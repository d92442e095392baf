"""sock.tcp, on sockets of this process over loopback: what is dumped is made again here, without a tracer."""

from __future__ import annotations

import os
import select
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.image import codec
from holdfast.kinds.evidence import Options
from holdfast.kinds.multicast import Membership
from holdfast.kinds.sock import tcp
from holdfast.kinds.sock.tcp import KIND, Tcp, compare
from holdfast.kinds.socket_options import Option
from holdfast.kinds.sockets import Address
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

    Socket = socket.socket

RESET = Options(reset_tcp=True)
GROUP, LOOPBACK = socket.inet_aton("239.255.77.1"), socket.inet_aton("127.0.0.1")


@pytest.fixture
def pool() -> Iterator[list[Socket]]:
    kept: list[Socket] = []
    yield kept
    for sock in kept:
        sock.close()


def made(pool: list[Socket], family: int = socket.AF_INET) -> Socket:
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        pytest.skip(f"machine cannot: it has no IPv6 ({error})")
    pool.append(sock)
    return sock


def listener(pool: list[Socket], family: int = socket.AF_INET, host: str = "127.0.0.1", backlog: int = 5) -> Socket:
    sock = made(pool, family)
    try:
        sock.bind((host, 0))
    except OSError as error:
        pytest.skip(f"machine cannot: it has no {host} ({error})")
    sock.listen(backlog)
    return sock


def connection(pool: list[Socket]) -> tuple[Socket, Socket]:
    server = listener(pool)
    client = made(pool)
    client.connect(server.getsockname())
    end, _ = server.accept()
    pool.append(end)
    return client, end


def seen(*socks: Socket, options: Options | None = None) -> list[Tcp]:
    evidence = native.tree(*(s.fileno() for s in socks), options=options)
    try:
        return [native.record(KIND, file) for file in evidence.files]
    finally:
        native.close(evidence)


def again(pool: list[Socket], sock: Socket) -> Socket:
    first = native.records(KIND, sock.fileno())
    sock.close()
    [after] = of(pool, first)
    assert native.records(KIND, after.fileno()) == first
    return after


def of(pool: list[Socket], recs: list[Tcp]) -> list[Socket]:
    after = [socket.socket(fileno=native.restored(KIND, [rec])[0]) for rec in recs]
    pool += after
    return after


def test_a_listener_comes_back_at_its_port(pool: list[Socket]) -> None:
    sock = listener(pool, backlog=7)
    name = sock.getsockname()
    after = again(pool, sock)
    assert after.getsockname() == name
    made(pool).connect(name)
    after.accept()[0].close()


def test_a_listener_that_delays_acknowledgements_still_does(pool: list[Socket]) -> None:
    sock = listener(pool)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
    assert again(pool, sock).getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 0


def share(pool: list[Socket], option: int, kind: int = socket.SOCK_STREAM) -> tuple[Socket, Socket]:
    """Two sockets that an option let bind to one port."""
    one, two = (socket.socket(socket.AF_INET, kind) for _ in range(2))
    pool += [one, two]
    for sock in (one, two):
        sock.setsockopt(socket.SOL_SOCKET, option, 1)
    one.bind(("127.0.0.1", 0))
    two.bind(one.getsockname())
    return one, two


def test_sockets_that_could_not_be_bound_to_their_port_again_are_refused(pool: list[Socket]) -> None:
    one, two = share(pool, socket.SO_REUSEADDR)
    assert native.verdicts(KIND, one.fileno(), two.fileno()) == []
    one.listen(1)
    assert native.verdicts(KIND, one.fileno(), two.fileno()) == ["sock.tcp.shared"] * 2
    assert native.verdicts(KIND, one.fileno()) == []


def test_listeners_that_share_a_port_are_carried_while_both_say_so(pool: list[Socket]) -> None:
    one, two = share(pool, socket.SO_REUSEPORT)
    one.listen(1)
    two.listen(1)
    assert native.verdicts(KIND, one.fileno(), two.fileno()) == []
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
    assert native.verdicts(KIND, one.fileno(), two.fileno()) == ["sock.tcp.shared"] * 2


def test_an_end_that_is_over_does_not_hold_its_listeners_port(pool: list[Socket]) -> None:
    server = listener(pool)
    client = made(pool)
    client.connect(server.getsockname())
    end, _ = server.accept()
    pool.append(end)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    with pytest.raises(ConnectionResetError):
        end.recv(1)
    assert end.getsockname() == server.getsockname()
    assert native.verdicts(KIND, server.fileno(), end.fileno()) == ["Loss"]


@pytest.mark.parametrize("only", [0, 1])
def test_one_port_of_both_families_is_no_share(pool: list[Socket], only: int) -> None:
    four, six = listener(pool), made(pool, socket.AF_INET6)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    six.bind(("::" if only else "::1", four.getsockname()[1]))
    assert native.verdicts(KIND, four.fileno(), six.fileno()) == []


@pytest.mark.parametrize("only", [0, 1])
def test_a_listener_for_both_families_or_one_comes_back(pool: list[Socket], only: int) -> None:
    sock = made(pool, socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    sock.bind(("::", 0))
    sock.listen(1)
    port = sock.getsockname()[1]
    again(pool, sock)
    client = made(pool)
    assert client.connect_ex(("127.0.0.1", port)) == (111 if only else 0)


def test_a_listener_at_an_ipv6_address_comes_back(pool: list[Socket]) -> None:
    sock = listener(pool, socket.AF_INET6, "::1")
    name = sock.getsockname()
    assert again(pool, sock).getsockname() == name


@pytest.mark.parametrize("reuse", [0, 1])
def test_a_port_with_connections_in_time_wait_is_taken_again_where_the_program_could_too(pool: list[Socket], reuse: int) -> None:
    sock = listener(pool)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    client = made(pool)
    client.connect(sock.getsockname())
    end, _ = sock.accept()
    end.close()  # the side that closes first waits, and keeps the port
    assert client.recv(1) == b""
    client.close()
    if reuse:
        again(pool, sock)
    else:
        with pytest.raises(AssertionError, match="Address already in use"):
            again(pool, sock)


def test_a_port_that_is_taken_is_not_shared(pool: list[Socket]) -> None:
    sock = listener(pool)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    recs = native.records(KIND, sock.fileno())
    with pytest.raises(AssertionError, match="Address already in use"):
        of(pool, recs)


def test_a_bound_socket_that_does_not_listen_comes_back(pool: list[Socket]) -> None:
    sock = made(pool)
    sock.bind(("127.0.0.1", 0))
    name = sock.getsockname()
    assert again(pool, sock).getsockname() == name


def test_a_new_socket_comes_back(pool: list[Socket]) -> None:
    sock = made(pool)
    sock.setblocking(False)
    os.fchmod(sock.fileno(), 0o600)
    assert seen(sock) == [Tcp("AF_INET", "closed", ("O_NONBLOCK", "O_RDWR"), uid=os.getuid(), gid=os.getgid(), mode=0o600)]
    after = again(pool, sock)
    assert after.connect_ex(("127.0.0.1", 1)) in (111, 115)


def test_options_of_a_listener_come_back(pool: list[Socket]) -> None:
    sock = listener(pool)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 9)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000)
    after = again(pool, sock)
    assert after.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 100_000


# --- connections


def test_a_connection_is_refused_by_name_with_both_addresses(pool: list[Socket]) -> None:
    client, end = connection(pool)
    assert native.verdicts(KIND, client.fileno(), end.fileno()) == ["sock.tcp.established"] * 2
    evidence = native.tree(client.fileno())
    [verdict] = tcp.refuse(evidence.files[0], native.answer)
    native.close(evidence)
    ours, theirs = (":".join(map(str, name)) for name in (client.getsockname(), client.getpeername()))
    assert f"{ours} to {theirs} (ESTABLISHED)" in str(verdict)


def test_a_connection_under_way_is_refused(pool: list[Socket]) -> None:
    server = listener(pool, backlog=0)
    clients = [made(pool) for _ in range(4)]  # more than the backlog takes: the rest stay in SYN_SENT
    for client in clients:
        client.setblocking(False)
        client.connect_ex(server.getsockname())
    assert native.verdicts(KIND, clients[-1].fileno()) == ["sock.tcp.established"]


def test_with_the_option_a_connection_comes_back_as_reset(pool: list[Socket]) -> None:
    client, _ = connection(pool)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert native.verdicts(KIND, client.fileno(), options=RESET) == ["Loss"]
    [rec] = seen(client, options=RESET)
    assert (rec.state, rec.local) == ("reset", None)
    [after] = of(pool, [rec])
    assert seen(after) == [rec]
    assert after.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    with select.epoll() as poll:
        poll.register(after, select.EPOLLIN)
        assert poll.poll(5) == [(after.fileno(), select.EPOLLIN | select.EPOLLERR | select.EPOLLHUP)]
    with pytest.raises(ConnectionResetError):
        after.recv(1)
    assert after.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        after.send(b"x")
    with pytest.raises(OSError, match="not connected"):
        after.getpeername()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_reset_connection_of_either_family_comes_back(pool: list[Socket], family: int) -> None:
    made(pool, family)
    rec = Tcp("AF_INET" if family == socket.AF_INET else "AF_INET6", "reset", ("O_RDWR",), uid=os.getuid(), gid=os.getgid())
    [after] = of(pool, [rec])
    assert seen(after) == [rec]


def over(pool: list[Socket], left: bytes = b"") -> Socket:
    """A connection that both sides have closed."""
    client, end = connection(pool)
    end.send(left)
    end.close()
    if not left:
        assert client.recv(1) == b""
    client.shutdown(socket.SHUT_WR)
    with select.epoll() as poll:
        poll.register(client, select.EPOLLHUP)
        assert poll.poll(30) != []
    return client


def test_a_connection_that_is_over_comes_back_as_over(pool: list[Socket]) -> None:
    sock = over(pool)
    assert native.verdicts(KIND, sock.fileno()) == ["Loss"]
    [rec] = seen(sock)
    assert rec.state == "over"
    [after] = of(pool, [rec])
    assert seen(after) == [rec]
    assert after.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        after.send(b"x")


def test_unread_data_of_a_connection_that_is_over_is_refused(pool: list[Socket]) -> None:
    sock = over(pool, b"unread")
    assert native.verdicts(KIND, sock.fileno()) == ["Loss", "sock.tcp.unread"]
    assert native.verdicts(KIND, sock.fileno(), options=RESET) == ["Loss", "Loss"]


def test_an_error_that_waits_is_refused_and_stays(pool: list[Socket]) -> None:
    client, end = connection(pool)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
    select.select([client], [], [], 30)
    assert native.verdicts(KIND, client.fileno()) == ["sock.tcp.error"]
    assert native.verdicts(KIND, client.fileno(), options=RESET) == ["Loss"]
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_connections_that_nobody_accepted_are_refused(pool: list[Socket]) -> None:
    server = listener(pool)
    made(pool).connect(server.getsockname())
    assert native.verdicts(KIND, server.fileno()) == ["sock.tcp.pending"]
    assert native.verdicts(KIND, server.fileno(), options=RESET) == ["Loss"]


@pytest.mark.root
def test_keys_of_a_listener_are_refused(pool: list[Socket]) -> None:
    server = made(pool)
    server.bind(("127.0.0.1", 0))
    # struct tcp_md5sig: address, flags, prefix, length of key, interface, key
    address = Address(socket.inet_aton("127.0.0.2"), 0).pack().ljust(128, b"\0")
    try:
        server.setsockopt(socket.IPPROTO_TCP, 14, address + struct.pack("BBHi", 0, 0, 3, 0) + b"key".ljust(80, b"\0"))
    except OSError as error:
        pytest.skip(f"machine cannot: this kernel has no TCP_MD5SIG ({error})")
    server.listen(1)
    assert native.verdicts(KIND, server.fileno()) == ["sock.tcp.md5"]


@pytest.mark.parametrize("listens", [True, False])
def test_multicast_groups_of_a_socket_that_is_not_connected_come_back(pool: list[Socket], listens: bool) -> None:
    sock = listener(pool) if listens else made(pool)
    index = socket.if_nametoindex("lo")
    sources = [socket.inet_aton(f"127.0.0.{n}") for n in range(2, 9)]
    for source in sources:
        sock.setsockopt(socket.IPPROTO_IP, 39, GROUP + LOOPBACK + source)  # IP_ADD_SOURCE_MEMBERSHIP; IP_ADD_MEMBERSHIP is not for TCP
    assert native.records(KIND, sock.fileno())[0].groups == (Membership(GROUP, index, False, tuple(sources)),)
    again(pool, sock)


# --- records

FULL = Tcp(
    "AF_INET6",
    "listening",
    ("O_RDWR",),
    Address(bytes(16), 80, 1, 2),
    5,
    (Option("SO_MARK", (1,)),),
    uid=1,
    gid=2,
    mode=0o600,
    groups=(Membership(GROUP, 1),),
)


def test_a_record_comes_back_from_an_image() -> None:
    entries = [(ObjectId("file:0"), FULL), (ObjectId("file:1"), Tcp("AF_INET", "closed"))]
    payload = codec.pack(Tcp, entries)
    assert codec.unpack(payload, codec.bind(Tcp, "sock.tcp", None), []) == entries


@pytest.mark.parametrize("field", [name for name, _ in FULL.items()])
def test_a_change_of_any_field_is_seen(field: str) -> None:
    plain = Tcp("AF_INET", "closed")
    changed: Any = plain.replace(**{field: getattr(FULL, field)})
    assert [d.field for d in compare(plain, changed, ObjectId("file:0"))] == [field]
    assert list(compare(FULL, FULL, ObjectId("file:0"))) == []
