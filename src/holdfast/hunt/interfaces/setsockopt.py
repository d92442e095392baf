"""Every option of every level of sockets, as the headers name them, on the sockets that may have it.

The headers do not say what type an option has. One that is known to be more than a number, or to need a certain number, has values in
sockvalues.py; any other is tried as a number: on the first socket of its level that takes it every value that the getter then tells
apart, on the others one. An option that no socket takes is one recipe, so that a campaign counts it as unsettable.

Source:  asm-generic/socket.h, linux/in.h, linux/in6.h, linux/tcp.h, linux/udp.h, linux/netlink.h, linux/if_packet.h, linux/vm_sockets.h and
         others of LEVELS; setsockopt(2), socket(7), ip(7), ipv6(7), tcp(7), udp(7), unix(7), netlink(7), packet(7), vsock(7)
"""

from __future__ import annotations

from holdfast.hunt.interfaces import sockvalues
from holdfast.hunt.interfaces.script import Row, Script
from holdfast.hunt.interfaces.sockobjects import SOCKETS, Socket, got, put
from holdfast.hunt.interfaces.sockvalues import Try
from holdfast.hunt.interfaces.values import numbers, word
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

MOST = 4  # values of an option that nothing is known of
HIGHEST = 512  # no protocol numbers its options higher; what is above is a value and no option


class Level(Record):
    """Whose options the names with a prefix in a header are.

    Shape:   `sockets`: the first that takes an option gets every value, the others one; `but`: prefixes of names that are no options
    """

    name: str
    prefixes: tuple[str, ...]
    header: str
    sockets: tuple[str, ...]
    but: tuple[str, ...] = ()


LEVELS = (
    Level(
        "SOL_SOCKET",
        ("SO_",),
        "asm-generic/socket.h",
        ("tcp4", "unix-stream", "udp4", "tcp4-listening", "tcp4-connected", "unix-dgram", "netlink", "packet"),
    ),
    Level(
        "IPPROTO_IP",
        ("IP_", "MCAST_"),
        "linux/in.h",
        ("udp4", "raw4", "tcp4-listening", "tcp4-connected", "udp6"),
        ("IP_PMTUDISC_", "IP_DEFAULT_", "MCAST_EXCLUDE", "MCAST_INCLUDE"),
    ),
    Level(
        "IPPROTO_IPV6",
        ("IPV6_",),
        "linux/in6.h",
        ("udp6", "raw6", "raw6-own-header", "tcp6-listening", "tcp6-connected"),
        ("IPV6_FL_", "IPV6_PMTUDISC_", "IPV6_PRIORITY_", "IPV6_TLV_", "IPV6_PREFER_", "IPV6_FLOWINFO_F", "IPV6_FLOWINFO_P"),
    ),
    Level(
        "IPPROTO_TCP",
        ("TCP_",),
        "linux/tcp.h",
        ("tcp4", "tcp4-connected", "tcp4-listening", "tcp6", "mptcp4"),
        (
            "TCP_NLA_",
            "TCP_CA_",
            "TCP_ACCECN_",
            "TCP_AO_KEYF_",
            "TCP_MD5SIG_FLAG",
            "TCP_FLAG_",
            "TCP_NO_QUEUE",
            "TCP_RECV_QUEUE",
            "TCP_SEND_QUEUE",
            "TCP_QUEUES_NR",
            "TCP_REPAIR_O",
            "TCP_RECEIVE_ZEROCOPY_FLAG",
        ),
    ),
    Level("IPPROTO_UDP", ("UDP_",), "linux/udp.h", ("udp4", "udp6", "udp4-connected"), ("UDP_ENCAP_",)),
    Level("IPPROTO_UDPLITE", ("UDPLITE_",), "linux/udp.h", ("udplite4",)),
    Level(
        "SOL_NETLINK",
        ("NETLINK_",),
        "linux/netlink.h",
        ("netlink",),
        ("NETLINK_CONNECTED", "NETLINK_UNCONNECTED", *sockvalues.NETLINK_FAMILIES),
    ),
    Level(
        "SOL_PACKET",
        ("PACKET_",),
        "linux/if_packet.h",
        ("packet", "packet-idle"),
        (
            "PACKET_FANOUT_",
            "PACKET_MR_",
            "PACKET_HOST",
            "PACKET_BROADCAST",
            "PACKET_MULTICAST",
            "PACKET_OTHERHOST",
            "PACKET_OUTGOING",
            "PACKET_LOOPBACK",
            "PACKET_FASTROUTE",
            "PACKET_USER",
            "PACKET_KERNEL",
        ),
    ),
    Level("SOL_RAW", ("ICMP_FILTER",), "linux/icmp.h", ("raw4",)),
    Level("IPPROTO_ICMPV6", ("ICMPV6_FILTER",), "linux/icmpv6.h", ("raw6",), ("ICMPV6_FILTER_",)),
    Level("AF_VSOCK", ("SO_VM_SOCKETS_",), "linux/vm_sockets.h", ("vsock",)),
    Level(
        "SOL_MPTCP",
        ("MPTCP_INFO", "MPTCP_TCPINFO", "MPTCP_SUBFLOW_ADDRS", "MPTCP_FULL_INFO"),
        "linux/mptcp.h",
        ("mptcp4-connected",),
        ("MPTCP_INFO_",),
    ),
    Level(
        "SOL_XDP",
        ("XDP_",),
        "linux/if_xdp.h",
        ("xdp",),
        (
            "XDP_PGOFF",
            "XDP_UMEM_PGOFF",
            "XDP_OPTIONS_",
            "XDP_TX_METADATA",
            "XDP_TXMD_",
            "XDP_PKT_",
            "XDP_RING_",
            "XDP_SHARED",
            "XDP_COPY",
            "XDP_ZEROCOPY",
            "XDP_USE_",
            "XDP_UMEM_UNALIGNED",
            "XDP_UMEM_TX_",
        ),
    ),
    Level("SOL_ALG", ("ALG_SET_",), "linux/if_alg.h", ("alg",)),
    Level("IPPROTO_SCTP", ("SCTP_",), "linux/sctp.h", ("sctp4",)),
    Level("SOL_DCCP", ("DCCP_SOCKOPT_",), "linux/dccp.h", ("dccp4",)),
    Level("SOL_KCM", ("KCM_",), "linux/kcm.h", ("kcm",)),
    Level(
        "SOL_TLS",
        ("TLS_",),
        "linux/tls.h",
        ("tcp4-connected",),
        (
            "TLS_CIPHER_",
            "TLS_INFO_",
            "TLS_RECORD_",
            "TLS_CONF_",
            "TLS_1_",
            "TLS_ALERT_",
            "TLS_GET_",
            "TLS_SET_",
            "TLS_HANDSHAKE_",
            "TLS_DESC_",
            "TLS_VERSION_",
        ),
    ),
    Level("SOL_TIPC", ("TIPC_",), "linux/tipc.h", ("tipc",)),
    Level("SOL_LLC", ("LLC_OPT_",), "linux/llc.h", ("llc",)),
    Level("SOL_SMC", ("SMC_",), "linux/smc.h", ("smc4",)),
    Level("SOL_RDS", ("RDS_",), "linux/rds.h", ("rds",)),
    Level("SOL_CAN_RAW", ("CAN_RAW_",), "linux/can/raw.h", ("can",)),
    Level("SOL_X25", ("X25_",), "linux/x25.h", ("x25",)),
    Level("SOL_RXRPC", ("RXRPC_",), "linux/rxrpc.h", ("rxrpc",)),
    Level("SOL_MCTP", ("MCTP_OPT_",), "linux/mctp.h", ("mctp",)),
)


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Each option of each level with each value that is worth trying."""
    script = Script(constants)
    for level in LEVELS:
        if constants.has(level.name):
            yield from script.recipes("setsockopt", _level(script, ask, level))


def options(constants: Constants, level: Level) -> list[str]:
    """The names of a level's options, each number once: the name that values are known for, else the shortest."""
    by_number: dict[int, list[str]] = {}
    for constant in constants.prefixed(*level.prefixes, header=level.header):
        if 0 <= constant.value < HIGHEST and not constant.name.startswith(level.but or ("\0",)):
            by_number.setdefault(constant.value, []).append(constant.name)
    return [min(names, key=lambda n: (n not in sockvalues.KNOWN, len(n), n)) for names in by_number.values()]


def _level(script: Script, ask: Ask, level: Level) -> Iterator[Row]:
    there = [SOCKETS[name] for name in level.sockets]
    names = options(script.constants, level)
    if ask((), script.lines("getpid()")[0]) is not None and not any(_works(script, ask, socket, "") for socket in there):
        names = names[:1]  # this kernel makes no such socket: one recipe says so
    for option in names:
        yield from _option(script, ask, level, option, there)


def _option(script: Script, ask: Ask, level: Level, option: str, there: list[Socket]) -> Iterator[Row]:
    known = sockvalues.KNOWN.get(option)
    tried: tuple[Try, ...] = ()
    for socket in there:
        if socket.name in sockvalues.UNSUITED.get(option, ()):
            continue
        if tried:  # one value is enough here
            good = next((one for one in tried if _works(script, ask, socket, _set(level, option, socket, one))), None)
            if good is not None:
                yield row(level, option, socket, good)
            continue
        given = known or _numbers(script, ask, level, option, socket)
        tried = tuple(one for one in given if _works(script, ask, socket, _set(level, option, socket, one)))
        for one in tried:
            yield row(level, option, socket, one)
    if not tried:  # nobody takes it
        yield row(level, option, there[0], (known or (Try("1", 1),))[0])


def row(level: Level, option: str, socket: Socket, one: Try) -> Row:
    """The state of one option with one value on one socket."""
    after = "" if option.startswith(sockvalues.NOISY) else one.after.replace("FD", socket.fd) or socket.goes_on
    gets = [got(socket.fd, level.name, option)]
    gets += [one.gets.replace("FD", socket.fd)] if one.gets else []
    gets += [got(socket.fd, to.partition(".")[0], to.partition(".")[2]) for to in sockvalues.NEIGHBOURS.get(option, ())]
    return Row(
        f"{socket.name}.{level.name}.{option}={one.label}",
        socket.make,
        _set(level, option, socket, one),
        " ; ".join(gets + ([socket.gets] if socket.gets else [])),
        after,
        option in sockvalues.SECURITY,
    )


def _set(level: Level, option: str, socket: Socket, one: Try) -> str:
    before = one.before.replace("FD", socket.fd)
    return (f"{before} ; " if before else "") + put(socket.fd, level.name, option, one.value, one.size)


def _works(script: Script, ask: Ask, socket: Socket, state: str) -> bool:
    # whether these lines can be made; a script that names what the headers lack cannot
    try:
        lines = (*script.lines(socket.make), *script.lines(state))
        return ask(lines, script.lines(f"fcntl({socket.fd}, F_GETFD, 0)")[0]) is not None
    except KeyError:
        return False


def _read(script: Script, ask: Ask, level: Level, option: str, socket: Socket, state: str = "") -> int | None:
    lines = (*script.lines(socket.make), *script.lines(state))
    found = ask(lines, script.lines(got(socket.fd, level.name, option))[0])
    return int.from_bytes(found[:4], "little", signed=True) if isinstance(found, bytes) else None


def _numbers(script: Script, ask: Ask, level: Level, option: str, socket: Socket) -> tuple[Try, ...]:
    # of the numbers worth trying, those that the getter tells apart; where there is no getter, one that is and one that is not
    now = _read(script, ask, level, option, socket)
    if now is None:
        return (Try("1", 1), Try("0", 0))
    out: dict[int, Try] = {now: Try("", 0)}
    for value in numbers(now):
        one = Try(str(value) if value < 1 << 31 else str(value - (1 << 32)), int.from_bytes(word(value), "little"))
        then = _read(script, ask, level, option, socket, _set(level, option, socket, one))
        if then is not None:
            out.setdefault(then, one)
    return tuple(out.values())[1 : MOST + 1]
