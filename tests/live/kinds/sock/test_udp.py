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
