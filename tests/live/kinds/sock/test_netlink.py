"""What sock.netlink promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root


def test_a_socket_that_asks_about_links_goes_on_asking(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        sock.bind((0, 1))
        port = sock.getsockname()
        pause()
        sock.send(struct.pack("IHHII", 32, 18, 0x301, 1, 0) + bytes(16))
        say([sock.getsockname() == port, struct.unpack_from("IH", sock.recv(65536))[1]])
        """,
    )
    assert trip.said == trip.control == [[True, 16]]
