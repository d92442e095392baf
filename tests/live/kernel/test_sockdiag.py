"""sock_diag on this kernel: what it says of sockets whose state is known."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel import sockdiag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def diag() -> Iterator[int]:
    fd = sockdiag.open_socket()
    yield fd
    os.close(fd)


def ino(made: socket.socket) -> int:
    return os.fstat(made.fileno()).st_ino


def test_a_connected_pair(diag: int) -> None:
    left, right = socket.socketpair()
    with left, right:
        left.send(b"xyz")
        right.shutdown(socket.SHUT_WR)
        sockets = sockdiag.unix_sockets(diag)
        a, b = sockets[ino(left)], sockets[ino(right)]
        assert (a.type, a.state, a.peer, a.shutdown, b.peer, b.shutdown, b.rqueue) == (1, 1, ino(right), 1, ino(left), 2, 3)
        assert (a.name, a.more) == (None, ())
        assert sockdiag.unix_socket(diag, ino(left)) == a


def test_a_listener_with_one_that_waits(diag: int) -> None:
    name = b"\0holdfast-" + str(os.getpid()).encode() + b"\0x"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        listener.bind(name)
        listener.listen(5)
        client.connect(name)
        found = sockdiag.unix_sockets(diag)[ino(listener)]
        assert (found.type, found.state, found.name, found.pending, found.rqueue, found.wqueue) == (5, 10, name, (ino(client),), 1, 5)


def test_a_datagram_socket_with_a_path(diag: int, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(path))
        found = sockdiag.unix_sockets(diag)[ino(made)]
        assert (found.type, found.name, found.peer) == (2, str(path).encode(), None)
        assert found.file is not None
        assert found.file[0] == path.stat().st_ino


@pytest.mark.parametrize(
    ("family", "host", "raw"),
    [(socket.AF_INET, "127.0.0.1", b"\x7f\0\0\1"), (socket.AF_INET6, "::1", bytes(15) + b"\1")],
)
def test_tcp_listener_and_connection(diag: int, family: int, host: str, raw: bytes) -> None:
    try:
        listener = socket.create_server((host, 0), family=socket.AddressFamily(family), backlog=7)
    except OSError as lacking:
        pytest.skip(f"machine cannot: no loopback address {host} here: {lacking}")
    with listener, socket.create_connection(listener.getsockname()[:2]) as client:
        port, client_port = listener.getsockname()[1], client.getsockname()[1]
        by_ino = {found.ino: found for found in sockdiag.inet_sockets(diag, family, socket.IPPROTO_TCP)}
        waiting, connected = by_ino[ino(listener)], by_ino[ino(client)]
        assert (waiting.state, waiting.local, waiting.rqueue, waiting.wqueue) == (10, (raw, port), 1, 7)
        assert (connected.state, connected.local, connected.remote) == (1, (raw, client_port), (raw, port))
        assert connected.uid == os.getuid()
        assert len(connected.memory) >= 8
        assert connected.info
        one = sockdiag.inet_socket(diag, family, socket.IPPROTO_TCP, (raw, client_port), (raw, port))
        assert one is not None
        assert (one.ino, one.cookie) == (connected.ino, connected.cookie)
        listening = sockdiag.inet_sockets(diag, family, socket.IPPROTO_TCP, states=1 << 10)
        assert {found.state for found in listening} == {10}


def test_options_of_a_tcp_socket(diag: int) -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as lacking:
        pytest.skip(f"machine cannot: no loopback address ::1 here: {lacking}")
    with listener, socket.socket(socket.AF_INET6) as client:
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0x20)
        client.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 30_000)
        client.connect(listener.getsockname()[:2])
        client.shutdown(socket.SHUT_WR)
        by_ino = {found.ino: found for found in sockdiag.inet_sockets(diag, socket.AF_INET6, socket.IPPROTO_TCP)}
        found = by_ino[ino(client)]
        congestion = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()
        assert (found.tclass, found.tos, found.congestion) == (0x20, 0x10, congestion)
        assert by_ino[ino(listener)].v6only is True
        assert (found.shutdown, found.memory[1]) == (2, client.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both:
        by_ino = {found.ino: found for found in sockdiag.inet_sockets(diag, socket.AF_INET6, socket.IPPROTO_TCP)}
        assert by_ino[ino(both)].v6only is False


def test_our_own_socket_is_not_inherited(diag: int) -> None:
    assert not os.get_inheritable(diag)


@pytest.mark.root
def test_packet(diag: int) -> None:
    from holdfast.errors import KernelLacks  # beside its one use

    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x88B5)) as made:
        try:
            by_ino = {found.ino: found for found in sockdiag.packet_sockets(diag)}
        except KernelLacks as lacking:
            pytest.skip(f"machine cannot: {lacking.why}")
        found = by_ino[ino(made)]
        assert (found.type, found.protocol) == (socket.SOCK_DGRAM, 0x88B5)
        assert {0, 1, 3} - {kind for kind, _ in found.more} <= {3}  # PACKET_DIAG_INFO, MCLIST; FANOUT only when it has one


def test_udp(diag: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        by_ino = {found.ino: found for found in sockdiag.inet_sockets(diag, socket.AF_INET, socket.IPPROTO_UDP)}
        assert by_ino[ino(made)].local == (b"\x7f\0\0\1", made.getsockname()[1])


def test_netlink(diag: int) -> None:
    from holdfast.errors import KernelLacks  # beside its one use

    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15) as made:
        made.bind((0, 1))
        try:
            by_ino = {found.ino: found for found in sockdiag.netlink_sockets(diag)}
        except KernelLacks as lacking:
            pytest.skip(f"machine cannot: {lacking.why}")
        found = by_ino[ino(made)]
        assert (found.protocol, found.portid, found.groups[:4], found.flags) == (15, made.getsockname()[0], b"\1\0\0\0", 0)
