"""sock.netlink, on sockets of this process: what is dumped is made again here, without a tracer."""

from __future__ import annotations

import select
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.image import codec
from holdfast.kinds.sock.netlink import KIND, Netlink, compare
from holdfast.kinds.socket_options import Option
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

    Socket = socket.socket

# nlmsghdr and ifinfomsg: RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP
LIST_LINKS = struct.pack("IHHII", 32, 18, 0x301, 1, 0) + bytes(16)


@pytest.fixture
def pool() -> Iterator[list[Socket]]:
    kept: list[Socket] = []
    yield kept
    for sock in kept:
        sock.close()


def made(pool: list[Socket], protocol: int = 0) -> Socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    pool.append(sock)
    return sock


def again(pool: list[Socket], sock: Socket) -> Socket:
    evidence = native.tree(sock.fileno())
    first = native.record(KIND, evidence.files[0])
    native.close(evidence)
    sock.close()
    after = socket.socket(fileno=native.restored(KIND, [first])[0])
    pool.append(after)
    evidence = native.tree(after.fileno())
    assert native.record(KIND, evidence.files[0]) == first
    native.close(evidence)
    return after


@pytest.mark.parametrize("protocol", [0, 4, 15])
def test_a_new_socket_comes_back(pool: list[Socket], protocol: int) -> None:
    sock = made(pool, protocol)
    assert native.verdicts(KIND, sock.fileno()) == []
    assert again(pool, sock).getsockname() == (0, 0)


def test_port_groups_and_options_come_back(pool: list[Socket]) -> None:
    sock = made(pool)
    sock.bind((0, 1))  # RTMGRP_LINK
    sock.setsockopt(270, 1, 5)  # NETLINK_ADD_MEMBERSHIP of RTNLGRP_IPV4_IFADDR
    sock.setsockopt(270, 12, 1)  # NETLINK_GET_STRICT_CHK
    port = sock.getsockname()[0]
    assert native.verdicts(KIND, sock.fileno()) == ["Loss"]
    after = again(pool, sock)
    assert after.getsockname() == (port, 1 | 1 << 4)
    after.setblocking(True)
    after.send(LIST_LINKS)
    assert select.select([after], [], [], 30)[0] == [after]


def test_a_socket_that_left_its_groups_still_has_room_for_them(pool: list[Socket]) -> None:
    sock = made(pool)
    for option in (1, 2):  # NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP
        sock.setsockopt(270, option, 1)
    listed = sock.getsockopt(270, 9, 512)
    assert len(listed) >= 4
    assert not any(listed)
    assert again(pool, sock).getsockopt(270, 9, 512) == listed


@pytest.mark.root  # who else sends to another socket is refused before anybody asks what it takes: netlink(7)
def test_a_socket_that_takes_messages_of_the_kernel_alone_still_does(pool: list[Socket]) -> None:
    sock = made(pool)
    sock.setsockopt(1, 49, 0)  # SO_INCOMING_CPU
    sock.connect((0, 0))
    port = sock.getsockname()[0]
    after = again(pool, sock)
    stranger = made(pool)
    with pytest.raises(ConnectionRefusedError):
        stranger.sendto(LIST_LINKS, (port, 0))
    assert after.getsockopt(1, 49) == 0


def test_an_answer_that_was_not_read_is_refused(pool: list[Socket]) -> None:
    sock = made(pool)
    sock.send(LIST_LINKS)
    assert native.verdicts(KIND, sock.fileno()) == ["sock.netlink.queued"]


@pytest.mark.parametrize("protocol", [9, 12, 16])
def test_a_protocol_that_keeps_more_is_not_claimed(pool: list[Socket], protocol: int) -> None:
    try:
        sock = made(pool, protocol)
    except OSError as error:
        pytest.skip(f"machine cannot: this kernel has no such protocol ({error})")
    evidence = native.tree(sock.fileno())
    detect = KIND.verb("detect")
    assert detect is not None
    assert detect(evidence.files[0]) is None
    native.close(evidence)


FULL = Netlink(
    "NETLINK_SOCK_DIAG",
    "SOCK_DGRAM",
    ("O_RDWR",),
    5,
    (1, 2),
    3,
    4,
    (Option("SO_MARK", (1,)),),
    uid=1,
    gid=2,
    mode=0o600,
    to_kernel=True,
    left_groups=True,
)


def test_a_record_comes_back_from_an_image() -> None:
    entries = [(ObjectId("file:0"), FULL), (ObjectId("file:1"), Netlink("NETLINK_ROUTE", "SOCK_RAW"))]
    payload = codec.pack(Netlink, entries)
    assert codec.unpack(payload, codec.bind(Netlink, "sock.netlink", None), []) == entries


@pytest.mark.parametrize("field", [name for name, _ in FULL.items()])
def test_a_change_of_any_field_is_seen(field: str) -> None:
    plain = Netlink("NETLINK_ROUTE", "SOCK_RAW")
    changed: Any = plain.replace(**{field: getattr(FULL, field)})
    assert [d.field for d in compare(plain, changed, ObjectId("file:0"))] == [field]
    assert list(compare(FULL, FULL, ObjectId("file:0"))) == []
