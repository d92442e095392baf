"""sock.other: every socket of a family, type or protocol that no other kind carries; it is refused by that name.

Carries:  nothing.
Loses:    nothing: a tree that holds such a socket is not dumped.
Sources:  socket(2), address_families(7), packet(7), raw(7), vsock(7), Linux include/linux/socket.h.
"""

from __future__ import annotations

from holdfast.kinds import files, sockets
from holdfast.kinds.contract import Claim, Kind, Link, Refusal, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Verdict
    from holdfast.kinds.evidence import FileEvidence


class Other(Record):
    """Nothing: no such socket comes into an image."""


WATCHES = (Link("socket:["),)
# the numbers of include/linux/socket.h in their order
FAMILIES = (
    "AF_UNSPEC AF_UNIX AF_INET AF_AX25 AF_IPX AF_APPLETALK AF_NETROM AF_BRIDGE AF_ATMPVC AF_X25 AF_INET6 AF_ROSE AF_DECnet AF_NETBEUI "
    "AF_SECURITY AF_KEY AF_NETLINK AF_PACKET AF_ASH AF_ECONET AF_ATMSVC AF_RDS AF_SNA AF_IRDA AF_PPPOX AF_WANPIPE AF_LLC AF_IB AF_MPLS "
    "AF_CAN AF_TIPC AF_BLUETOOTH AF_IUCV AF_RXRPC AF_ISDN AF_PHONET AF_IEEE802154 AF_CAIF AF_ALG AF_NFC AF_VSOCK AF_KCM AF_QIPCRTR "
    "AF_SMC AF_XDP AF_MCTP"
).split()
TYPES = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 4: "SOCK_RDM", 5: "SOCK_SEQPACKET", 6: "SOCK_DCCP", 10: "SOCK_PACKET"}
INTERNET = {1: "ICMP", 6: "TCP", 17: "UDP", 33: "DCCP", 58: "ICMPv6", 132: "SCTP", 136: "UDPLITE", 255: "RAW", 256: "SMC", 262: "MPTCP"}
NETLINK = {
    2: "USERSOCK", 5: "SOCK_NFLOG", 6: "XFRM", 7: "SELINUX", 8: "ISCSI", 9: "AUDIT", 10: "FIB_LOOKUP", 11: "CONNECTOR", 12: "NETFILTER",
    16: "GENERIC", 18: "SCSITRANSPORT", 19: "ECRYPTFS", 20: "RDMA", 21: "CRYPTO", 22: "SMC",
}  # fmt: skip
UNIX_TYPES = (1, 2, 5)
CARRIED = {(2, 1, 6), (10, 1, 6), (2, 2, 17), (10, 2, 17)}
CARRIED_NETLINK = (0, 4, 15)
WHY = {
    "AF_PACKET": "its rings, fanout group and queued frames cannot be read back; packet(7)",
    "AF_ALG": "the key and the state of the operation stay in the kernel; Linux crypto/af_alg.c",
    "AF_VSOCK": "its peer is another machine or the hypervisor; vsock(7)",
    "AF_XDP": "its rings are shared with the device and cannot be read back; Linux net/xdp/xsk.c",
    "AF_NETLINK": "what is registered for its port in that family cannot be read back; netlink(7)",
}


def detect(ev: FileEvidence) -> Claim | None:
    sort = sockets.identity(ev)
    if sort is None or _carried(sort):
        return None
    return Claim(name(sort))


def _carried(sort: tuple[int, int, int]) -> bool:
    family, kind, protocol = sort
    if family == sockets.AF_UNIX:
        return kind in UNIX_TYPES
    return sort in CARRIED or (family == sockets.AF_NETLINK and protocol in CARRIED_NETLINK)


def name(sort: tuple[int, int, int]) -> str:
    """Family, type and protocol in words."""
    family, kind, protocol = sort
    words = [FAMILIES[family] if family < len(FAMILIES) else f"address family {family}", TYPES.get(kind, f"type {kind}")]
    table, prefix = (NETLINK, "NETLINK_") if family == sockets.AF_NETLINK else (INTERNET, "IPPROTO_")
    if family in (sockets.AF_INET, sockets.AF_INET6, sockets.AF_NETLINK):
        words.append(prefix + table[protocol] if protocol in table else f"protocol {protocol}")
    elif protocol:
        words.append(f"protocol {protocol}")
    return " ".join(words)


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    sort = sockets.identity(ev)
    assert sort is not None
    family = FAMILIES[sort[0]] if sort[0] < len(FAMILIES) else ""
    yield Refusal(
        "sock.other",
        f"{files.who(ev)} is a socket of a kind that cannot be carried: {name(sort)}",
        ev.where,
        WHY.get(family, "its state cannot be read back; socket(2)"),
        "close it and retry",
    )


KIND = Kind("sock.other", record=Other, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
