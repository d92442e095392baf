"""hunt.interfaces.setsockopt: every option of every level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.hunt.interfaces import harvest, setsockopt
from holdfast.hunt.interfaces.sockobjects import SOCKETS
from holdfast.hunt.interfaces.sockvalues import KNOWN, NEIGHBOURS, SECURITY, UNSUITED
from tests.unit.hunt.interfaces.soundness import faults, knows_nothing, made, today, using, with_constant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.prog.text import Line

LEVELS = {level.name: level for level in setsockopt.LEVELS}


def test_every_recipe_is_sound() -> None:
    assert faults(setsockopt) == []


@pytest.mark.parametrize(
    ("name", "value", "header", "socket"),
    [
        ("SO_OF_TOMORROW", 90, "asm-generic/socket.h", "tcp4"),
        ("IP_OF_TOMORROW", 60, "linux/in.h", "udp4"),
        ("IPV6_OF_TOMORROW", 90, "linux/in6.h", "udp6"),
        ("TCP_OF_TOMORROW", 99, "linux/tcp.h", "tcp4"),
        ("UDP_OF_TOMORROW", 120, "linux/udp.h", "udp4"),
        ("NETLINK_OF_TOMORROW", 40, "linux/netlink.h", "netlink"),
        ("PACKET_OF_TOMORROW", 40, "linux/if_packet.h", "packet"),
        ("SO_VM_SOCKETS_OF_TOMORROW", 40, "linux/vm_sockets.h", "vsock"),
        ("SCTP_OF_TOMORROW", 140, "linux/sctp.h", "sctp4"),
    ],
)
def test_an_option_of_tomorrow_is_tried_on_the_sockets_of_its_level(name: str, value: int, header: str, socket: str) -> None:
    found = using(made(setsockopt, with_constant(name, value, header)), f"{name}={value}")
    assert any(n.startswith(f"setsockopt/{socket}.") for n in found)


def test_an_option_of_tomorrow_that_nobody_takes_is_one_recipe() -> None:
    constants = with_constant("TCP_OF_TOMORROW", 99, "linux/tcp.h")
    found = using(list(setsockopt.recipes(constants, knows_nothing)), "TCP_OF_TOMORROW")
    assert found == ["setsockopt/tcp4.IPPROTO_TCP.TCP_OF_TOMORROW=1"]


def test_values_that_the_getter_tells_apart_are_tried_once_each() -> None:
    constants = with_constant("TCP_OF_TOMORROW", 99, "linux/tcp.h")

    def clamps(lines: Sequence[Line], getter: Line) -> bytes | int | None:
        # an option that is 5 and takes at most 9; others are unknown
        if getter.call != "getsockopt":
            return 0
        if "TCP_OF_TOMORROW" not in str(getter):
            return None
        if not any(line.call == "setsockopt" for line in lines):
            return (5).to_bytes(4, "little")
        given = lines[-1].args[3]
        assert isinstance(given, bytes)
        value = int.from_bytes(given, "little", signed=True)
        return min(max(value, 0), 9).to_bytes(4, "little")

    found = using(list(setsockopt.recipes(constants, clamps)), "TCP_OF_TOMORROW")
    assert [n.rpartition("=")[2] for n in found if n.startswith("setsockopt/tcp4.")] == ["0", "1", "2", "4"]
    assert [n.rpartition("=")[2] for n in found if n.startswith("setsockopt/tcp4-listening.")] == ["0"]


def test_each_number_of_a_level_is_one_option_under_its_best_name() -> None:
    names = setsockopt.options(today(), LEVELS["SOL_SOCKET"])
    assert {"SO_RCVTIMEO", "SO_ATTACH_FILTER", "SO_TIMESTAMP", "SO_TIMESTAMP_NEW"} <= set(names)
    assert {"SO_RCVTIMEO_OLD", "SO_GET_FILTER", "SO_TIMESTAMP_OLD"} & set(names) == set()
    names = setsockopt.options(today(), LEVELS["IPPROTO_TCP"])
    assert {"TCP_NODELAY", "TCP_REPAIR", "TCP_ULP"} <= set(names)
    assert [n for n in names if n.startswith(("TCP_NLA_", "TCP_CA_"))] == []


def test_what_is_known_of_options_is_of_options_that_there_are() -> None:
    constants = harvest.load(())
    named = {*KNOWN, *SECURITY, *UNSUITED, *NEIGHBOURS, *(to.partition(".")[2] for more in NEIGHBOURS.values() for to in more)}
    assert {name for name in named if not constants.has(name)} == set()
    assert {s for names in UNSUITED.values() for s in names} | {s for level in setsockopt.LEVELS for s in level.sockets} <= set(SOCKETS)


def test_losing_a_filter_is_security() -> None:
    found = {r.name: r.security for r in made(setsockopt)}
    assert found["setsockopt/tcp4.SOL_SOCKET.SO_ATTACH_FILTER=two"]
    assert not found["setsockopt/tcp4.SOL_SOCKET.SO_LINGER=1,5"]
