"""The table of socket options: numbers are the headers', the order sets nothing that a later row would undo."""

from __future__ import annotations

import pytest

from holdfast.kernel.uapi import sockets
from holdfast.kernel.uapi.sockopts import KNOWN_TO, LEVELS, ROWS, level_of

FORMS = {"int", "u64", "time", "pair", "text", "bytes"}
RULES = {"bind", "set", "listen", "late", "size", "linger", "refuse"}


def test_rows_are_well_formed_and_each_option_stands_once() -> None:
    names = [row[0] for row in ROWS]
    assert len(set(names)) == len(names)
    assert [row for row in ROWS if row[2] not in FORMS or row[3] not in "aui6tdn" or row[4] not in RULES] == []
    assert len({(level_of(row[0]), row[1]) for row in ROWS}) == len(ROWS)


def test_numbers_are_those_of_the_headers() -> None:
    known = {row[0]: getattr(sockets, row[0]) for row in ROWS if hasattr(sockets, row[0])}
    assert {row[0]: row[1] for row in ROWS if row[0] in known} == known
    # <linux/udp.h>, <linux/tcp.h>, <linux/in6.h>: not in the headers of the C library that sockets.py was made from
    assert {row[0] for row in ROWS} - known.keys() == {
        "IPV6_FLOWINFO", "IPV6_FLOWINFO_SEND", "TCP_SYNCNT", "UDP_CORK", "UDP_ENCAP", "UDP_NO_CHECK6_TX", "UDP_NO_CHECK6_RX",
        "UDP_SEGMENT", "UDP_GRO",
    }  # fmt: skip


@pytest.mark.parametrize("last", ["SO_INQ", "IP_PROTOCOL", "IPV6_FREEBIND", "TCP_DELACK_MAX_US", "NETLINK_GET_STRICT_CHK"])
def test_the_highest_known_number_is_the_headers(last: str) -> None:
    number, prefix = getattr(sockets, last), last.partition("_")[0]
    assert KNOWN_TO[LEVELS[prefix]] >= number
    others = [n for n in vars(sockets) if n.startswith(f"{prefix}_") and n.count("_") == last.count("_")]
    assert [n for n in others if KNOWN_TO[LEVELS[prefix]] < getattr(sockets, n) < 128 and prefix in ("SO", "TCP")] == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("IP_TOS", "SO_PRIORITY"),
        ("SO_SNDBUF", "SO_BUF_LOCK"),
        ("SO_RCVBUF", "SO_BUF_LOCK"),
        ("SO_RCVLOWAT", "SO_BUF_LOCK"),
        ("SO_TIMESTAMP", "SO_TIMESTAMP_NEW"),
        ("SO_TIMESTAMPING", "SO_TIMESTAMPING_NEW"),
        ("TCP_CONGESTION", "TCP_NODELAY"),
    ],
)
def test_an_option_that_changes_another_stands_before_it(first: str, second: str) -> None:
    names = [row[0] for row in ROWS]
    assert names.index(first) < names.index(second)
