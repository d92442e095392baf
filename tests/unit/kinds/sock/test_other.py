"""sock.other: what no kind of socket carries has a name, and every socket is claimed by exactly one kind."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from holdfast.kinds.sock import netlink, other, tcp, udp, unix
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = (netlink.KIND, other.KIND, tcp.KIND, udp.KIND, unix.KIND)
NAMES = {
    (38, 5, 0): "AF_ALG SOCK_SEQPACKET",
    (2, 3, 1): "AF_INET SOCK_RAW IPPROTO_ICMP",
    (10, 1, 262): "AF_INET6 SOCK_STREAM IPPROTO_MPTCP",
    (2, 5, 132): "AF_INET SOCK_SEQPACKET IPPROTO_SCTP",
    (2, 2, 99): "AF_INET SOCK_DGRAM protocol 99",
    (16, 3, 16): "AF_NETLINK SOCK_RAW NETLINK_GENERIC",
    (17, 3, 0): "AF_PACKET SOCK_RAW",
    (40, 1, 0): "AF_VSOCK SOCK_STREAM",
    (44, 3, 0): "AF_XDP SOCK_RAW",
    (29, 3, 1): "AF_CAN SOCK_RAW protocol 1",
    (99, 77, 0): "address family 99 type 77",
}


@pytest.fixture
def pool() -> Iterator[list[socket.socket]]:
    kept: list[socket.socket] = []
    yield kept
    for sock in kept:
        sock.close()


@pytest.mark.parametrize(("sort", "words"), NAMES.items())
def test_a_socket_has_a_name(sort: tuple[int, int, int], words: str) -> None:
    assert other.name(sort) == words


def test_families_stand_at_their_numbers() -> None:
    for name in ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_CAN", "AF_ALG", "AF_VSOCK", "AF_BLUETOOTH"):
        assert other.FAMILIES[getattr(socket, name)] == name
    assert other.FAMILIES[44] == "AF_XDP"


@pytest.mark.parametrize(
    "sort",
    [
        (1, 1, 0), (1, 2, 0), (1, 5, 0), (2, 1, 0), (2, 2, 0), (10, 1, 0), (10, 2, 0), (16, 3, 0), (16, 2, 4), (16, 3, 15),
        (16, 3, 16), (16, 3, 12), (2, 1, 262), (2, 2, 1), (2, 2, 136), (2, 3, 1), (17, 3, 0), (38, 5, 0), (40, 1, 0), (2, 1, 132),
    ],
)  # fmt: skip
def test_exactly_one_kind_claims_a_socket(pool: list[socket.socket], sort: tuple[int, int, int]) -> None:
    try:
        pool.append(socket.socket(*sort))
    except OSError as error:
        pytest.skip(f"machine cannot: this kernel or user has no {other.name(sort)} ({error})")
    evidence = native.tree(pool[0].fileno())
    claims = [kind.name for kind in KINDS for detect in (kind.verb("detect"),) if detect is not None and detect(evidence.files[0])]
    codes = [getattr(v, "code", "") for v in other.refuse(evidence.files[0], native.answer)] if claims == ["sock.other"] else []
    native.close(evidence)
    assert len(claims) == 1
    assert codes == (["sock.other"] if claims == ["sock.other"] else [])


def test_a_socket_that_cannot_be_carried_is_refused_by_its_name(pool: list[socket.socket]) -> None:
    pool.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16))
    evidence = native.tree(pool[0].fileno())
    [refusal] = other.refuse(evidence.files[0], native.answer)
    native.close(evidence)
    assert "NETLINK_GENERIC" in str(refusal)


def test_no_other_file_is_claimed() -> None:
    evidence = native.tree(0)
    assert [kind.name for kind in KINDS for detect in (kind.verb("detect"),) if detect is not None and detect(evidence.files[0])] == []
    native.close(evidence)
