"""Every socket option that a program can set and the kernel can tell: level, number, form, and when a copy must be given it.

An option that is not here has no getter, is read-only, or acts once (joining a group, SO_CNX_ADVICE): kinds/sockets.py and the socket
kinds say which of those are state, and refuse or list it. The order of the rows is the order of setting: an option that changes another
stands before it.

Source:  socket(7), ip(7), ipv6(7), tcp(7), udp(7), unix(7), netlink(7); Linux net/core/sock.c sk_getsockopt, net/ipv4/ip_sockglue.c
         do_ip_getsockopt, net/ipv6/ipv6_sockglue.c do_ipv6_getsockopt, net/ipv4/tcp.c do_tcp_getsockopt, net/ipv4/udp.c udp_lib_getsockopt,
         net/netlink/af_netlink.c netlink_getsockopt; numbers: linux-libc-dev 7.2.13
"""

from __future__ import annotations

SOL_IP, SOL_SOCKET, SOL_TCP, SOL_UDP, SOL_IPV6, SOL_NETLINK = 0, 1, 6, 17, 41, 270

LEVELS = {"SO": SOL_SOCKET, "IP": SOL_IP, "IPV6": SOL_IPV6, "TCP": SOL_TCP, "UDP": SOL_UDP, "NETLINK": SOL_NETLINK}

# What a row says: name; number; form; sockets; rule; the kernel that brought it ("" is older than 5.10, the oldest that Holdfast runs on).
# form:    int       4 bytes, signed
#          u64       8 bytes
#          time      struct timeval, kept as ns
#          pair      two ints
#          text      text without its end, at most 16 bytes
#          bytes     as many as the kernel gives
# sockets: a any, u unix, i inet and inet6 (SOL_IP works on both), 6 inet6, t TCP, d UDP, n netlink; accept gives a TCP socket its
#          packets' multicast interface and TTL, which no TCP socket can be given, so they are for UDP
# rule:    bind      before bind: it decides what bind does
#          set       at any time before a peer can see the socket
#          listen    after listen, which begins acknowledgements anew (net/ipv4/inet_connection_sock.c inet_csk_listen_start)
#          late      after queued data was written and the socket is as it was but for this
#          size      a buffer size: the setter doubles what it is given
#          linger    its setter forgets the time of an option that is off
#          refuse    other than default it means state that no interface reads
ROWS: tuple[tuple[str, int, str, str, str, str], ...] = (
    ("SO_REUSEADDR", 2, "int", "a", "bind", ""),
    ("SO_REUSEPORT", 15, "int", "a", "bind", ""),
    ("SO_BINDTODEVICE", 25, "text", "a", "bind", ""),
    ("IPV6_V6ONLY", 26, "int", "6", "bind", ""),
    ("IP_FREEBIND", 15, "int", "i", "bind", ""),
    ("IP_TRANSPARENT", 19, "int", "i", "bind", ""),
    ("IPV6_FREEBIND", 78, "int", "6", "bind", ""),
    ("IPV6_TRANSPARENT", 75, "int", "6", "bind", ""),
    ("IP_BIND_ADDRESS_NO_PORT", 24, "int", "i", "bind", ""),
    ("IP_LOCAL_PORT_RANGE", 51, "int", "i", "bind", "6.3"),
    ("IPV6_ADDR_PREFERENCES", 72, "int", "6", "bind", ""),
    ("SO_INCOMING_CPU", 49, "int", "a", "bind", ""),
    # --- any socket
    ("SO_DEBUG", 1, "int", "a", "set", ""),
    ("SO_DONTROUTE", 5, "int", "a", "set", ""),
    ("SO_BROADCAST", 6, "int", "a", "set", ""),
    ("SO_KEEPALIVE", 9, "int", "a", "set", ""),
    ("SO_OOBINLINE", 10, "int", "a", "set", ""),
    ("SO_NO_CHECK", 11, "int", "a", "set", ""),
    ("SO_LINGER", 13, "pair", "a", "linger", ""),
    ("SO_SNDBUF", 7, "int", "a", "size", ""),
    ("SO_RCVBUF", 8, "int", "a", "size", ""),
    ("SO_RCVLOWAT", 18, "int", "a", "set", ""),
    ("SO_BUF_LOCK", 72, "int", "a", "set", "5.14"),
    ("SO_RCVTIMEO", 20, "time", "a", "set", ""),
    ("SO_SNDTIMEO", 21, "time", "a", "set", ""),
    ("SO_TIMESTAMP", 29, "int", "a", "set", ""),
    ("SO_TIMESTAMPNS", 35, "int", "a", "set", ""),
    ("SO_TIMESTAMPING", 37, "pair", "a", "set", ""),
    ("SO_TIMESTAMP_NEW", 63, "int", "a", "set", ""),
    ("SO_TIMESTAMPNS_NEW", 64, "int", "a", "set", ""),
    ("SO_TIMESTAMPING_NEW", 65, "pair", "a", "set", ""),
    ("SO_MARK", 36, "int", "a", "set", ""),
    ("SO_RXQ_OVFL", 40, "int", "a", "set", ""),
    ("SO_WIFI_STATUS", 41, "int", "a", "set", ""),
    ("SO_NOFCS", 43, "int", "a", "set", ""),
    ("SO_SELECT_ERR_QUEUE", 45, "int", "a", "set", ""),
    ("SO_BUSY_POLL", 46, "int", "a", "set", ""),
    ("SO_PREFER_BUSY_POLL", 69, "int", "a", "set", "5.11"),
    ("SO_MAX_PACING_RATE", 47, "u64", "a", "set", ""),
    ("SO_ZEROCOPY", 60, "int", "a", "set", ""),
    ("SO_TXTIME", 61, "pair", "a", "set", ""),
    ("SO_RESERVE_MEM", 73, "int", "a", "set", "5.17"),
    ("SO_TXREHASH", 74, "int", "a", "set", "5.18"),
    ("SO_RCVMARK", 75, "int", "a", "set", "6.0"),
    ("SO_RCVPRIORITY", 82, "int", "a", "set", "6.14"),
    # --- IPv4, and the IPv4 side of an IPv6 socket
    ("IP_TOS", 1, "int", "i", "set", ""),  # sets SO_PRIORITY as well
    ("IP_TTL", 2, "int", "i", "set", ""),
    ("IP_OPTIONS", 4, "bytes", "i", "set", ""),
    ("IP_RECVOPTS", 6, "int", "i", "set", ""),
    ("IP_RETOPTS", 7, "int", "i", "set", ""),
    ("IP_PKTINFO", 8, "int", "i", "set", ""),
    ("IP_MTU_DISCOVER", 10, "int", "i", "set", ""),
    ("IP_RECVERR", 11, "int", "i", "set", ""),
    ("IP_RECVTTL", 12, "int", "i", "set", ""),
    ("IP_RECVTOS", 13, "int", "i", "set", ""),
    ("IP_PASSSEC", 18, "int", "i", "set", ""),
    ("IP_RECVORIGDSTADDR", 20, "int", "i", "set", ""),
    ("IP_MINTTL", 21, "int", "i", "set", ""),
    ("IP_CHECKSUM", 23, "int", "i", "set", ""),
    ("IP_RECVFRAGSIZE", 25, "int", "i", "set", ""),
    ("IP_RECVERR_RFC4884", 26, "int", "i", "set", ""),
    ("IP_MULTICAST_IF", 32, "bytes", "d", "set", ""),
    ("IP_MULTICAST_TTL", 33, "int", "d", "set", ""),
    ("IP_MULTICAST_LOOP", 34, "int", "i", "set", ""),
    ("IP_MULTICAST_ALL", 49, "int", "i", "set", ""),
    ("IP_UNICAST_IF", 50, "int", "i", "set", ""),
    # --- IPv6
    ("IPV6_2292PKTINFO", 2, "int", "6", "set", ""),
    ("IPV6_2292HOPOPTS", 3, "int", "6", "set", ""),
    ("IPV6_2292DSTOPTS", 4, "int", "6", "set", ""),
    ("IPV6_2292RTHDR", 5, "int", "6", "set", ""),
    ("IPV6_2292HOPLIMIT", 8, "int", "6", "set", ""),
    ("IPV6_FLOWINFO", 11, "int", "6", "set", ""),
    ("IPV6_UNICAST_HOPS", 16, "int", "6", "set", ""),
    ("IPV6_MULTICAST_IF", 17, "int", "d", "set", ""),
    ("IPV6_MULTICAST_HOPS", 18, "int", "d", "set", ""),
    ("IPV6_MULTICAST_LOOP", 19, "int", "6", "set", ""),
    ("IPV6_MTU_DISCOVER", 23, "int", "6", "set", ""),
    ("IPV6_RECVERR", 25, "int", "6", "set", ""),
    ("IPV6_MULTICAST_ALL", 29, "int", "6", "set", ""),
    ("IPV6_RECVERR_RFC4884", 31, "int", "6", "set", ""),
    ("IPV6_FLOWINFO_SEND", 33, "int", "6", "set", ""),
    ("IPV6_RECVPKTINFO", 49, "int", "6", "set", ""),
    ("IPV6_RECVHOPLIMIT", 51, "int", "6", "set", ""),
    ("IPV6_RECVHOPOPTS", 53, "int", "6", "set", ""),
    ("IPV6_HOPOPTS", 54, "bytes", "6", "set", ""),
    ("IPV6_RTHDRDSTOPTS", 55, "bytes", "6", "set", ""),
    ("IPV6_RECVRTHDR", 56, "int", "6", "set", ""),
    ("IPV6_RTHDR", 57, "bytes", "6", "set", ""),
    ("IPV6_RECVDSTOPTS", 58, "int", "6", "set", ""),
    ("IPV6_DSTOPTS", 59, "bytes", "6", "set", ""),
    ("IPV6_RECVPATHMTU", 60, "int", "6", "set", ""),
    ("IPV6_DONTFRAG", 62, "int", "6", "set", ""),
    ("IPV6_RECVTCLASS", 66, "int", "6", "set", ""),
    ("IPV6_TCLASS", 67, "int", "6", "set", ""),
    ("IPV6_AUTOFLOWLABEL", 70, "int", "6", "set", ""),
    ("IPV6_MINHOPCOUNT", 73, "int", "6", "set", ""),
    ("IPV6_RECVORIGDSTADDR", 74, "int", "6", "set", ""),
    ("IPV6_UNICAST_IF", 76, "int", "6", "set", ""),
    ("IPV6_RECVFRAGSIZE", 77, "int", "6", "set", ""),
    # --- TCP
    ("TCP_CONGESTION", 13, "text", "t", "set", ""),
    ("TCP_NODELAY", 1, "int", "t", "set", ""),
    ("TCP_MAXSEG", 2, "int", "t", "set", ""),
    ("TCP_CORK", 3, "int", "t", "set", ""),
    ("TCP_KEEPIDLE", 4, "int", "t", "set", ""),
    ("TCP_KEEPINTVL", 5, "int", "t", "set", ""),
    ("TCP_KEEPCNT", 6, "int", "t", "set", ""),
    ("TCP_SYNCNT", 7, "int", "t", "set", ""),
    ("TCP_LINGER2", 8, "int", "t", "set", ""),
    ("TCP_DEFER_ACCEPT", 9, "int", "t", "set", ""),
    ("TCP_WINDOW_CLAMP", 10, "int", "t", "set", ""),
    ("TCP_QUICKACK", 12, "int", "t", "listen", ""),
    ("TCP_THIN_LINEAR_TIMEOUTS", 16, "int", "t", "set", ""),
    ("TCP_USER_TIMEOUT", 18, "int", "t", "set", ""),
    ("TCP_REPAIR", 19, "int", "t", "refuse", ""),
    ("TCP_FASTOPEN", 23, "int", "t", "set", ""),
    ("TCP_NOTSENT_LOWAT", 25, "int", "t", "set", ""),
    ("TCP_SAVE_SYN", 27, "int", "t", "set", ""),
    ("TCP_FASTOPEN_CONNECT", 30, "int", "t", "set", ""),
    ("TCP_ULP", 31, "text", "t", "refuse", ""),
    ("TCP_FASTOPEN_KEY", 33, "bytes", "t", "set", ""),
    ("TCP_FASTOPEN_NO_COOKIE", 34, "int", "t", "set", ""),
    ("TCP_INQ", 36, "int", "t", "set", ""),
    ("TCP_TX_DELAY", 37, "int", "t", "set", ""),
    ("TCP_RTO_MAX_MS", 44, "int", "t", "set", "6.15"),
    ("TCP_RTO_MIN_US", 45, "int", "t", "set", "6.16"),
    ("TCP_DELACK_MAX_US", 46, "int", "t", "set", "6.16"),
    # --- UDP
    ("UDP_CORK", 1, "int", "d", "set", ""),
    ("UDP_ENCAP", 100, "int", "d", "refuse", ""),
    ("UDP_NO_CHECK6_TX", 101, "int", "d", "set", ""),
    ("UDP_NO_CHECK6_RX", 102, "int", "d", "set", ""),
    ("UDP_SEGMENT", 103, "int", "d", "set", ""),
    ("UDP_GRO", 104, "int", "d", "set", ""),
    # --- netlink
    ("NETLINK_PKTINFO", 3, "int", "n", "set", ""),
    ("NETLINK_BROADCAST_ERROR", 4, "int", "n", "set", ""),
    ("NETLINK_NO_ENOBUFS", 5, "int", "n", "set", ""),
    ("NETLINK_LISTEN_ALL_NSID", 8, "int", "n", "set", ""),
    ("NETLINK_CAP_ACK", 10, "int", "n", "set", ""),
    ("NETLINK_EXT_ACK", 11, "int", "n", "set", ""),
    ("NETLINK_GET_STRICT_CHK", 12, "int", "n", "set", ""),
    # --- after those that change them, or that they would change
    ("SO_PRIORITY", 12, "int", "a", "set", ""),
    ("SO_PASSCRED", 16, "int", "a", "late", ""),
    ("SO_PASSSEC", 34, "int", "a", "late", ""),
    ("SO_PASSPIDFD", 76, "int", "u", "late", "6.5"),
    ("SO_PASSRIGHTS", 83, "int", "u", "late", "6.16"),
    ("SO_INQ", 84, "int", "u", "late", "6.17"),
    ("SO_PEEK_OFF", 42, "int", "a", "late", ""),
    ("SO_LOCK_FILTER", 44, "int", "a", "late", ""),
)

# Numbers that are not in ROWS because they are no state of a socket: told once, read-only, or the twin of another.
# What answers above the highest known number is an option that came after this table.
KNOWN_TO = {SOL_SOCKET: 84, SOL_IP: 52, SOL_IPV6: 80, SOL_TCP: 46, SOL_UDP: 104, SOL_NETLINK: 12}


def level_of(name: str) -> int:
    """The level of an option, by its name."""
    return LEVELS[name.partition("_")[0]]
