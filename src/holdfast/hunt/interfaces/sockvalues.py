"""What is worth giving to socket options that are more than a number, or that only certain numbers suit.

An option that is not here is tried as a number (setsockopt.py). Words: `FD` is the socket's descriptor.

Source:  the man pages and headers that setsockopt.py names; bpf(2), linux/filter.h, linux/net_tstamp.h
"""

from __future__ import annotations

import struct

from holdfast.hunt.interfaces.sockobjects import AREA, LO, NOBODY, in6, lit
from holdfast.model.record import Record

GROUP, OTHER_GROUP, SOURCE = 0xE0010203, 0xE0010204, 0x7F000005  # 224.1.2.3, 224.1.2.4, 127.0.0.5
GROUP6 = bytes.fromhex("ff010000000000000000000000000123")
LOOPBACK = 1  # its number in a new network namespace


class Try(Record):
    """One value of an option.

    Shape:   `value`: a number of 4 bytes, or an argument as text with its size; `before` stands before the option is set,
             `after` instead of what the socket does otherwise, `gets` beside the getter of the same name
    """

    label: str
    value: int | str
    size: int = 4
    before: str = ""
    after: str = ""
    gets: str = ""


def ints(*values: int) -> tuple[Try, ...]:
    """Numbers."""
    return tuple(Try(str(v), v) for v in values)


def raw(label: str, data: bytes, before: str = "", after: str = "", gets: str = "") -> Try:
    """Bytes as they are."""
    return Try(label, lit(data), len(data), before, after, gets)


def member(label: str, data: bytes, before: str = "") -> Try:
    """A membership: which sources of the group are let in (struct ip_msfilter, with room for four)."""
    asked = _ip(GROUP) + _ip(LO) + struct.pack("<II", 0, 4) + bytes(16)
    return raw(label, data, before, gets=f"getsockopt(FD, IPPROTO_IP, IP_MSFILTER, [32 {lit(asked)}], [4 {lit(bytes((32, 0, 0, 0)))}])")


def member6(label: str, data: bytes, before: str = "") -> Try:
    """A membership of IPv6 (struct group_filter, with room for one source)."""
    asked = struct.pack("<I4x", LOOPBACK) + _storage6(GROUP6) + struct.pack("<II", 0, 1) + bytes(128)
    return raw(
        label, data, before, gets=f"getsockopt(FD, IPPROTO_IPV6, MCAST_MSFILTER, [272 {lit(asked)}], [4 {lit(bytes((16, 1, 0, 0)))}])"
    )


def pairs(*values: tuple[int, int]) -> tuple[Try, ...]:
    """Two numbers of 4 bytes."""
    return tuple(raw(f"{a},{b}", struct.pack("<II", a & 0xFFFFFFFF, b & 0xFFFFFFFF)) for a, b in values)


def times(*values_us: int, after: str = "") -> tuple[Try, ...]:
    """A struct timeval."""
    return tuple(raw(f"{us}us", struct.pack("<qq", us // 1_000_000, us % 1_000_000), after=after) for us in values_us)


# Classic BPF: accept everything; accept at most 2 bytes; drop what is shorter than 8. linux/filter.h
PROGRAMS = {
    "all": ((0x06, 0, 0, 0xFFFFFFFF),),
    "two": ((0x06, 0, 0, 2),),
    "long": ((0x80, 0, 0, 0), (0x35, 0, 1, 8), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0)),
}


def filters(*names: str, before: str = "") -> tuple[Try, ...]:
    """A struct sock_fprog."""
    out = []
    for name in names:
        code = b"".join(struct.pack("<HBBI", *step) for step in PROGRAMS[name])
        out.append(Try(name, f"{{<2:{len(PROGRAMS[name])}> <2:0> <4:0>, &{lit(code)}}}", 16, before))
    return tuple(out)


def _ip(address: int) -> bytes:
    return address.to_bytes(4, "big")


def _storage(address: int) -> bytes:
    # struct sockaddr_storage with an IPv4 address in it
    return struct.pack("<H2x", 2) + _ip(address) + bytes(120)


def _storage6(address: bytes) -> bytes:
    return struct.pack("<HHI", 10, 0, 0) + address + bytes(104)


_MREQN = _ip(GROUP) + _ip(LO) + struct.pack("<i", LOOPBACK)
_MREQ_SOURCE = _ip(GROUP) + _ip(LO) + _ip(SOURCE)
_MREQ6 = GROUP6 + struct.pack("<i", LOOPBACK)
_GROUP_REQ = struct.pack("<I4x", LOOPBACK) + _storage(GROUP)
_GROUP_SOURCE_REQ = _GROUP_REQ + _storage(SOURCE)
_JOIN = f"setsockopt(FD, IPPROTO_IP, IP_ADD_MEMBERSHIP, {lit(_MREQN)}, 12)"
_JOIN_SOURCE = f"setsockopt(FD, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, {lit(_MREQ_SOURCE)}, 12)"
_REPAIR = "setsockopt(FD, IPPROTO_TCP, TCP_REPAIR, <4:1>, 4)"
_PROMISCUOUS = struct.pack("<iHH8x", LOOPBACK, 1, 6)  # struct packet_mreq
_MSFILTER = struct.pack("<II", 1, 2) + _ip(SOURCE) + _ip(SOURCE + 1)  # MCAST_INCLUDE of two sources
_TLS = struct.pack("<HH", 0x0303, 51) + bytes(range(36))
_TLS_ON = "setsockopt(FD, IPPROTO_TCP, TCP_ULP, b'tls', 3)"
# struct bpf_insn: r0 = 0xffff ; exit
_SOCKET_FILTER = struct.pack("<BBhi", 0xB7, 0, 0, 0xFFFF) + struct.pack("<BBhi", 0x95, 0, 0, 0)
# union bpf_attr of BPF_PROG_LOAD, as far as the log buffer
_LOAD = f"prog = bpf(BPF_PROG_LOAD, {{<4:BPF_PROG_TYPE_SOCKET_FILTER> <4:2>, &{lit(_SOCKET_FILTER)}, &b'GPL\\x00', <4:0> <4:0> <8:0>}}, 40)"


def _lease(name: str, share: int) -> Try:
    # struct in6_flowlabel_req for ::1: IPV6_FL_A_GET, IPV6_FL_F_CREATE, and a label of the kernel's choice, because one that was given back
    # is not free for seconds; connect(2) refuses a label that is not leased
    request = bytes(15) + b"\1" + struct.pack("<IBBHHHI", 0, 0, share, 1, 0, 0, 0)
    port = NOBODY.to_bytes(2, "big")
    address = f"{{{lit(bytes((10, 0)) + port)}, $lease@16:4, {lit(bytes(15) + bytes((1,)) + bytes(4))}}}"
    return Try(
        name,
        f"lease:[32 {lit(request)}]",
        32,
        after=f"setsockopt(FD, IPPROTO_IPV6, IPV6_FLOWINFO_SEND, <4:1>, 4) ; connect(FD, {address}, 28)",
    )


def _md5(length: int, prefix: int = 0) -> bytes:
    # struct tcp_md5sig for 127.0.0.1
    return _storage(LO) + struct.pack("<BBHi", 1 if prefix else 0, prefix, length, 0) + (b"k" * length).ljust(80, b"\0")


KNOWN: dict[str, tuple[Try, ...]] = {
    # --- SOL_SOCKET
    "SO_LINGER": pairs((1, 5), (1, 0), (0, 7)),
    "SO_RCVTIMEO": times(4_000, after="recvfrom(FD, [4], 4, 0, 0, 0)") + times(1_500_000, 86_400_000_000),
    "SO_SNDTIMEO": times(4_000, 1_500_000),
    "SO_RCVTIMEO_NEW": times(8_000, after="recvfrom(FD, [4], 4, 0, 0, 0)"),
    "SO_SNDTIMEO_NEW": times(8_000),
    "SO_BINDTODEVICE": (raw("lo", b"lo\0"),),
    "SO_BINDTOIFINDEX": ints(1),
    "SO_ATTACH_FILTER": filters("all", "two", "long"),
    "SO_LOCK_FILTER": (
        Try("1", 1),
        Try("1-with-filter", 1, before=f"setsockopt(FD, SOL_SOCKET, SO_ATTACH_FILTER, {filters('two')[0].value}, 16)"),
    ),
    "SO_ATTACH_BPF": (Try("filter", "{$prog:4}", 4, _LOAD),),
    "SO_ATTACH_REUSEPORT_CBPF": filters("two", before="setsockopt(FD, SOL_SOCKET, SO_REUSEPORT, <4:1>, 4)"),
    "SO_ATTACH_REUSEPORT_EBPF": (Try("filter", "{$prog:4}", 4, f"setsockopt(FD, SOL_SOCKET, SO_REUSEPORT, <4:1>, 4) ; {_LOAD}"),),
    "SO_SNDBUF": ints(0, 10_000, 150_000, 0x7FFFFFFF),
    "SO_RCVBUF": ints(0, 10_000, 150_000, 0x7FFFFFFF),
    "SO_SNDBUFFORCE": ints(10_000, 8_000_000),
    "SO_RCVBUFFORCE": ints(10_000, 8_000_000),
    "SO_RCVLOWAT": ints(5, 0, 0x7FFFFFFF),
    "SO_PRIORITY": ints(3, 6, 7, 1 << 31),
    "SO_MARK": ints(1, 0x80000000, 0xFFFFFFFF),
    "SO_PEEK_OFF": ints(0, 3, 0x7FFFFFFF),
    "SO_MAX_PACING_RATE": (*ints(1_000_000), raw("big", struct.pack("<Q", 5 << 32)), raw("0", bytes(8))),
    "SO_TXTIME": pairs((1, 0), (1, 2), (11, 3)),  # CLOCK_MONOTONIC, CLOCK_TAI
    "SO_TIMESTAMPING": (*ints(0x10, 0x58, 0x2, 0x80, 0x8DA), *pairs((0x10, 0))),
    "SO_TIMESTAMPING_NEW": (*ints(0x10, 0x58), *pairs((0x18, 0))),
    "SO_BUF_LOCK": ints(1, 2, 3),
    "SO_INCOMING_CPU": ints(0, 1, 1000),
    "SO_TXREHASH": ints(0, 1, 255),
    "SO_BUSY_POLL": ints(1, 50),
    "SO_RESERVE_MEM": ints(4096),
    "SO_PASSRIGHTS": ints(0),
    # --- IPPROTO_IP
    "IP_TOS": ints(0x10, 0x28, 0xFC, 0x03),
    "IP_TTL": ints(1, 7, 255),
    "IP_MINTTL": ints(1, 5, 255),
    "IP_OPTIONS": (raw("nop", b"\1\1\1\0"), raw("record-route", b"\7\x0b\4" + bytes(9)), raw("timestamp", b"\x44\x0c\5\0" + bytes(8))),
    "IP_MTU_DISCOVER": ints(0, 2, 3, 4, 5),
    "IP_MULTICAST_IF": (raw("address", _ip(LO)), raw("mreqn", _MREQN), raw("index", bytes(8) + struct.pack("<i", LOOPBACK))),
    "IP_MULTICAST_TTL": ints(0, 2, 255),
    "IP_UNICAST_IF": (raw("lo", struct.pack(">I", LOOPBACK)),),
    "IP_ADD_MEMBERSHIP": (
        member("mreqn", _MREQN),
        member("mreq", _ip(GROUP) + _ip(LO)),
        member("two", _ip(OTHER_GROUP) + _MREQN[4:], before=_JOIN),
    ),
    "IP_ADD_SOURCE_MEMBERSHIP": (
        member("one", _MREQ_SOURCE),
        member("two", _MREQ_SOURCE[:8] + _ip(SOURCE + 1), before=_JOIN_SOURCE),
    ),
    "IP_BLOCK_SOURCE": (member("one", _MREQ_SOURCE, before=_JOIN),),
    "IP_UNBLOCK_SOURCE": (
        member("again", _MREQ_SOURCE, f"{_JOIN} ; setsockopt(FD, IPPROTO_IP, IP_BLOCK_SOURCE, {lit(_MREQ_SOURCE)}, 12)"),
    ),
    "IP_DROP_MEMBERSHIP": (member("again", _MREQN, before=_JOIN),),
    "IP_DROP_SOURCE_MEMBERSHIP": (member("again", _MREQ_SOURCE, before=_JOIN_SOURCE),),
    "IP_MSFILTER": (
        member("include", _ip(GROUP) + _ip(LO) + _MSFILTER, before=_JOIN),
        member("exclude", _ip(GROUP) + _ip(LO) + bytes(4) + _MSFILTER[4:], before=_JOIN),
    ),
    "IP_LOCAL_PORT_RANGE": ints(40_000 | 40_100 << 16, 50_000, 50_000 << 16),
    "MCAST_JOIN_GROUP": (member("one", _GROUP_REQ),),
    "MCAST_JOIN_SOURCE_GROUP": (member("one", _GROUP_SOURCE_REQ),),
    "MCAST_BLOCK_SOURCE": (
        member("one", _GROUP_SOURCE_REQ, before=f"setsockopt(FD, IPPROTO_IP, MCAST_JOIN_GROUP, {lit(_GROUP_REQ)}, 136)"),
    ),
    "MCAST_UNBLOCK_SOURCE": (
        member(
            "again",
            _GROUP_SOURCE_REQ,
            f"setsockopt(FD, IPPROTO_IP, MCAST_JOIN_GROUP, {lit(_GROUP_REQ)}, 136) ; "
            f"setsockopt(FD, IPPROTO_IP, MCAST_BLOCK_SOURCE, {lit(_GROUP_SOURCE_REQ)}, 264)",
        ),
    ),
    "MCAST_LEAVE_GROUP": (member("again", _GROUP_REQ, before=f"setsockopt(FD, IPPROTO_IP, MCAST_JOIN_GROUP, {lit(_GROUP_REQ)}, 136)"),),
    "MCAST_LEAVE_SOURCE_GROUP": (
        member("again", _GROUP_SOURCE_REQ, before=f"setsockopt(FD, IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, {lit(_GROUP_SOURCE_REQ)}, 264)"),
    ),
    "MCAST_MSFILTER": (
        member("include", struct.pack("<I4x", LOOPBACK) + _storage(GROUP) + struct.pack("<II", 1, 1) + _storage(SOURCE), before=_JOIN),
    ),
    # --- IPPROTO_IPV6
    "IPV6_UNICAST_HOPS": ints(1, 7, 255),
    "IPV6_MULTICAST_HOPS": ints(0, 3, 255),
    "IPV6_MULTICAST_IF": ints(LOOPBACK),
    "IPV6_UNICAST_IF": (raw("lo", struct.pack(">I", LOOPBACK)),),
    "IPV6_TCLASS": ints(0x28, 0xE0, 3),
    "IPV6_MTU": ints(1280, 1400),
    "IPV6_MTU_DISCOVER": ints(0, 2, 3, 4, 5),
    "IPV6_MINHOPCOUNT": ints(1, 5, 255),
    "IPV6_CHECKSUM": ints(2, 40, 0xFFFFFFFF),
    "IPV6_ADDR_PREFERENCES": ints(1, 2, 0x800, 4),
    "IPV6_ADD_MEMBERSHIP": (member6("one", _MREQ6),),
    "IPV6_DROP_MEMBERSHIP": (member6("again", _MREQ6, before=f"setsockopt(FD, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, {lit(_MREQ6)}, 20)"),),
    "IPV6_JOIN_ANYCAST": (raw("other", bytes.fromhex("20010db8") + bytes(12) + struct.pack("<i", LOOPBACK)),),
    "IPV6_ROUTER_ALERT": ints(0, 5),
    "IPV6_ROUTER_ALERT_ISOLATE": (Try("1", 1, before="setsockopt(FD, IPPROTO_IPV6, IPV6_ROUTER_ALERT, <4:0>, 4)"),),
    "IPV6_FLOWLABEL_MGR": tuple(_lease(name, share) for name, share in (("exclusive", 1), ("process", 2), ("user", 3), ("any", 255))),
    "IPV6_FLOWINFO_SEND": ints(1),
    "IPV6_AUTOFLOWLABEL": ints(0, 1),
    "IPV6_HOPOPTS": (raw("pad", b"\0\0\1\4\0\0\0\0"),),
    "IPV6_DSTOPTS": (raw("pad", b"\0\0\1\4\0\0\0\0"),),
    "IPV6_RTHDRDSTOPTS": (raw("pad", b"\0\0\1\4\0\0\0\0"),),
    "IPV6_RTHDR": (raw("segment", b"\0\2\4\0" + bytes(4) + bytes(15) + b"\1"), raw("mobile", b"\0\2\2\1" + bytes(4) + bytes(15) + b"\1")),
    "IPV6_PKTINFO": (raw("lo", bytes(15) + b"\1" + struct.pack("<i", LOOPBACK)),),
    "IPV6_NEXTHOP": (raw("self", struct.pack("<HHI", 10, 0, 0) + bytes(15) + b"\1" + bytes(4)),),
    "IPV6_ADDRFORM": (Try("AF_INET", "<4:AF_INET>", 4, f"connect(FD, {in6(NOBODY, '::ffff:127.0.0.1')}, 28)"),),
    # --- IPPROTO_TCP
    "TCP_MAXSEG": ints(88, 500, 32_767),
    "TCP_KEEPIDLE": ints(1, 77, 32_767),
    "TCP_KEEPINTVL": ints(7, 32_767),
    "TCP_KEEPCNT": ints(3, 127),
    "TCP_SYNCNT": ints(2, 127),
    "TCP_LINGER2": ints(5, 120, 0xFFFFFFFF),
    "TCP_DEFER_ACCEPT": ints(1, 3, 60),
    "TCP_WINDOW_CLAMP": ints(2_500, 65_536),
    "TCP_CONGESTION": (raw("reno", b"reno"), raw("cubic", b"cubic")),
    "TCP_USER_TIMEOUT": ints(5_000, 0x7FFFFFFF),
    "TCP_MD5SIG": (raw("host", _md5(16)), raw("longest", _md5(80))),
    "TCP_MD5SIG_EXT": (raw("prefix", _md5(16, 8)),),
    "TCP_REPAIR": ints(1),
    "TCP_REPAIR_QUEUE": tuple(Try(str(q), q, before=_REPAIR) for q in (1, 2)),
    "TCP_QUEUE_SEQ": tuple(
        Try(f"{value}-of-{q}", value, before=f"{_REPAIR} ; setsockopt(FD, IPPROTO_TCP, TCP_REPAIR_QUEUE, <4:{q}>, 4)")
        for q, value in ((1, 12345), (2, 0xFFFFFFF0))
    ),
    "TCP_REPAIR_WINDOW": (
        Try(
            "some",
            "{$now@0:4, <4:30000> <4:65536>, $now@12:8}",
            20,
            f"{_REPAIR} ; getsockopt(FD, IPPROTO_TCP, TCP_REPAIR_WINDOW, now:[20], [4 {lit(bytes((20, 0, 0, 0)))}])",
        ),
    ),
    "TCP_REPAIR_OPTIONS": (raw("window", struct.pack("<II", 3, 7 | 7 << 16), before=_REPAIR),),
    "TCP_TIMESTAMP": (Try("repair", 1000, before=_REPAIR),),
    "TCP_FASTOPEN": ints(1, 5),
    "TCP_FASTOPEN_KEY": (raw("one", bytes(range(16))), raw("two", bytes(range(32)))),
    "TCP_ULP": (raw("tls", b"tls"), raw("mptcp", b"mptcp"), raw("smc", b"smc")),
    "TCP_SAVE_SYN": ints(1, 2),
    "TCP_THIN_LINEAR_TIMEOUTS": ints(1),
    "TCP_TX_DELAY": ints(1, 2_000),
    "TCP_NOTSENT_LOWAT": ints(1, 16_384, 0xFFFFFFFF),
    "TCP_RTO_MAX_MS": ints(1_000, 5_000),
    "TCP_RTO_MIN_US": ints(50_000),
    "TCP_DELACK_MAX_US": ints(50_000),
    # --- SOL_TLS: struct tls12_crypto_info_aes_gcm_128
    "TLS_TX": (raw("aes-gcm", _TLS, before=_TLS_ON),),
    "TLS_RX": (raw("aes-gcm", _TLS, before=_TLS_ON),),
    # --- IPPROTO_UDP
    "UDP_ENCAP": ints(2, 3),
    "UDP_SEGMENT": ints(4, 1_000),
    # --- SOL_NETLINK
    "NETLINK_ADD_MEMBERSHIP": (*ints(1, 5, 33), Try("two", 2, before="setsockopt(FD, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, <4:1>, 4)")),
    "NETLINK_DROP_MEMBERSHIP": (Try("again", 1, before="setsockopt(FD, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, <4:1>, 4)"),),
    # --- SOL_PACKET; struct packet_mreq, struct tpacket_req
    "PACKET_ADD_MEMBERSHIP": tuple(raw(f"type{kind}", struct.pack("<iHH8x", LOOPBACK, kind, 6)) for kind in (0, 1, 2)),
    "PACKET_DROP_MEMBERSHIP": (
        raw("again", _PROMISCUOUS, before=f"setsockopt(FD, SOL_PACKET, PACKET_ADD_MEMBERSHIP, {lit(_PROMISCUOUS)}, 16)"),
    ),
    "PACKET_RX_RING": (raw("ring", struct.pack("<IIII", 4096, 4, 2048, 8)),),
    "PACKET_TX_RING": (raw("ring", struct.pack("<IIII", 4096, 4, 2048, 8)),),
    "PACKET_VERSION": ints(1, 2),
    "PACKET_RESERVE": ints(16, 4096),
    "PACKET_TIMESTAMP": ints(1, 8, 0x40),
    "PACKET_FANOUT": tuple(
        Try(name, 7 | kind << 16) for name, kind in (("hash", 0), ("lb", 1), ("cpu", 2), ("rollover", 3), ("defrag", 0x8000))
    ),
    "PACKET_COPY_THRESH": ints(1, 100),
    "PACKET_VNET_HDR_SZ": ints(10, 12),
    # --- raw sockets
    "ICMP_FILTER": ints(1 << 8, 0xFFFFFFFE),
    "ICMPV6_FILTER": (raw("echo", struct.pack("<IIIIIIII", 0, 0, 0, 0, 1, 0, 0, 0)), raw("none", b"\xff" * 32)),
    # --- AF_VSOCK
    "SO_VM_SOCKETS_BUFFER_SIZE": tuple(raw(str(n), struct.pack("<Q", n)) for n in (4_096, 100_000)),
    "SO_VM_SOCKETS_BUFFER_MIN_SIZE": (raw("1000", struct.pack("<Q", 1_000)),),
    "SO_VM_SOCKETS_BUFFER_MAX_SIZE": (raw("1000000", struct.pack("<Q", 1_000_000)),),
    "SO_VM_SOCKETS_CONNECT_TIMEOUT": times(1_500_000),
    "SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW": times(2_500_000),
    # --- SOL_XDP
    "XDP_UMEM_FILL_RING": ints(64),
    "XDP_UMEM_COMPLETION_RING": ints(64),
    "XDP_RX_RING": ints(64),
    "XDP_TX_RING": ints(64),
    "XDP_UMEM_REG": (Try("one", "{$area, <8:16384> <4:4096> <4:0> <4:0> <4:0>}", 32, AREA),),
}

SECURITY = frozenset(
    (
        "SO_ATTACH_FILTER",
        "SO_ATTACH_BPF", "SO_LOCK_FILTER", "SO_BINDTODEVICE", "SO_BINDTOIFINDEX", "SO_PASSRIGHTS", "SO_MARK", "IP_MINTTL",
        "IPV6_MINHOPCOUNT", "TCP_MD5SIG", "TCP_MD5SIG_EXT", "IPV6_V6ONLY", "ICMP_FILTER", "ICMPV6_FILTER", "SO_RESERVE_MEM",
    )
)  # fmt: skip
"""Whose loss lets traffic in or out that the program had shut out, or takes a limit away."""

UNSUITED = {
    "TCP_MD5SIG": ("tcp4-connected",),
    "TCP_MD5SIG_EXT": ("tcp4-connected",),
    "IPV6_RTHDRDSTOPTS": ("tcp6-connected", "tcp6-listening"),
    "IPV6_RTHDR": ("tcp6-connected", "tcp6-listening"),
}
"""Sockets whose connection would never end: its other end answers to nothing any more, and holds its port for the next round."""

NOISY = (
    "SO_TIMESTAMP",
    "SO_PASS",
    "SO_PEER",
    "SO_RXQ",
    "IP_PKTINFO_",
    "TCP_REPAIR",
    "TCP_QUEUE_SEQ",
    "TCP_TIMESTAMP",
    "TCP_SAVE_SYN",
    "PACKET_",
)
"""What a socket with these does tells times, pids or sequence numbers, which are others in every subject; getters tell of them."""

NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "SO_SNDBUF": ("SOL_SOCKET.SO_BUF_LOCK",),
    "SO_RCVBUF": ("SOL_SOCKET.SO_BUF_LOCK",),
    "SO_SNDBUFFORCE": ("SOL_SOCKET.SO_SNDBUF", "SOL_SOCKET.SO_BUF_LOCK"),
    "SO_RCVBUFFORCE": ("SOL_SOCKET.SO_RCVBUF", "SOL_SOCKET.SO_BUF_LOCK"),
    "SO_RCVLOWAT": ("SOL_SOCKET.SO_RCVBUF",),
    "SO_TIMESTAMP": ("SOL_SOCKET.SO_TIMESTAMPNS", "SOL_SOCKET.SO_TIMESTAMP_NEW"),
    "SO_TIMESTAMPNS": ("SOL_SOCKET.SO_TIMESTAMP", "SOL_SOCKET.SO_TIMESTAMPNS_NEW"),
    "SO_TIMESTAMPING": ("SOL_SOCKET.SO_TIMESTAMPING_NEW",),
    "SO_TIMESTAMPING_NEW": ("SOL_SOCKET.SO_TIMESTAMPING",),
    "SO_RCVTIMEO_NEW": ("SOL_SOCKET.SO_RCVTIMEO",),
    "SO_SNDTIMEO_NEW": ("SOL_SOCKET.SO_SNDTIMEO",),
    "SO_LOCK_FILTER": ("SOL_SOCKET.SO_GET_FILTER",),
    "SO_ZEROCOPY": ("SOL_SOCKET.SO_TYPE",),
    "IP_TOS": ("SOL_SOCKET.SO_PRIORITY",),
    "IPV6_MULTICAST_IF": ("SOL_SOCKET.SO_BINDTOIFINDEX",),
    "TCP_CORK": ("IPPROTO_TCP.TCP_NODELAY",),
    "TCP_NODELAY": ("IPPROTO_TCP.TCP_CORK",),
    "TCP_CONGESTION": ("SOL_SOCKET.SO_MAX_PACING_RATE",),
    "NETLINK_ADD_MEMBERSHIP": ("SOL_NETLINK.NETLINK_LIST_MEMBERSHIPS",),
    "NETLINK_DROP_MEMBERSHIP": ("SOL_NETLINK.NETLINK_LIST_MEMBERSHIPS",),
}
"""What the same setter changes too."""

NETLINK_FAMILIES = (
    "NETLINK_ROUTE", "NETLINK_UNUSED", "NETLINK_USERSOCK", "NETLINK_FIREWALL", "NETLINK_SOCK_DIAG", "NETLINK_INET_DIAG", "NETLINK_NFLOG",
    "NETLINK_XFRM", "NETLINK_SELINUX", "NETLINK_ISCSI", "NETLINK_AUDIT", "NETLINK_FIB_LOOKUP", "NETLINK_CONNECTOR", "NETLINK_NETFILTER",
    "NETLINK_IP6_FW", "NETLINK_DNRTMSG", "NETLINK_KOBJECT_UEVENT", "NETLINK_GENERIC", "NETLINK_SCSITRANSPORT", "NETLINK_ECRYPTFS",
    "NETLINK_RDMA", "NETLINK_CRYPTO", "NETLINK_SMC",
)  # fmt: skip
"""Names in the same header that are protocols and no options."""
