"""What sock.udp promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root


def test_ports_connections_and_groups_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        one, two, member = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3))
        one.bind(("127.0.0.1", 0))
        two.connect(one.getsockname())
        member.bind(("", 0))
        member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.77.3") + socket.inet_aton("127.0.0.1"))
        names = [s.getsockname() for s in (one, two, member)]
        pause()
        say([s.getsockname() for s in (one, two, member)] == names)
        two.send(b"direct")
        say(one.recv(9).decode())
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        one.sendto(b"to all", ("239.255.77.3", member.getsockname()[1]))
        say(member.recv(9).decode())
        """,
    )
    assert trip.said == trip.control == [True, "direct", "to all"]


def test_a_socket_that_is_shut_down_for_writing_stays_so(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        one, two, three = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3))
        one.bind(("127.0.0.1", 0))
        for sock in (two, three):
            sock.connect(one.getsockname())
        two.shutdown(socket.SHUT_WR)
        pause()
        for sock in (two, three):
            try:
                say(sock.send(b"x"))
            except BrokenPipeError:
                say("broken pipe")
        """,
    )
    assert trip.said == trip.control == ["broken pipe", 1]


def test_an_ipv6_client_that_was_never_bound_comes_back(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        server, client = (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2))
        server.bind(("::1", 0))
        client.connect(server.getsockname())
        name = client.getsockname()
        pause()
        say(client.getsockname() == name)
        client.send(b"ask")
        say(server.recv(9).decode())
        """,
    )
    assert trip.said == trip.control == [True, "ask"]


def test_a_dissolved_ipv6_connection_takes_datagrams_of_its_old_host_alone(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        import ctypes
        one, stranger = (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2))
        stranger.bind(("::", 0))
        port = stranger.getsockname()[1]
        stranger.close()
        one.bind(("::", port))  # by its number, so that it stays
        one.connect(("::ffff:127.0.0.2", 9))
        ctypes.CDLL(None).connect(one.fileno(), bytes(16), 16)  # AF_UNSPEC
        one.settimeout(0)
        stranger = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        stranger.connect(("::1", port))
        pause()
        say(one.getsockname()[1] == port)
        stranger.send(b"x")
        try:
            say(one.recv(9).decode())
        except BlockingIOError:
            say("nothing")
        """,
    )
    assert trip.said == trip.control == [True, "nothing"]


def test_what_waits_is_refused_and_stays(tmp_path: Path) -> None:
    codes = harness.refused(
        tmp_path,
        """
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind(("127.0.0.1", 0))
        one.sendto(b"waits", one.getsockname())
        raw = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        pause()
        say(one.recv(9).decode())
        """,
    )
    assert codes == ["sock.other", "sock.udp.queued"]
