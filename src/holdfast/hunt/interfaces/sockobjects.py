"""The sockets that states are set on, as text for `interfaces.script`: addresses, ready objects, and lines that show what a socket does.

Ports are fixed, because a twin must return what its subject returns: every subject is alone in its network namespace, and the sandbox
keeps no connection that has ended (net.ipv4.tcp_max_tw_buckets).

Source:  socket(7), ip(7), ipv6(7), unix(7), netlink(7), packet(7), vsock(7), recvmsg(2), cmsg(3)
"""

from __future__ import annotations

import socket
import struct

from holdfast.model.record import Record

LO = 0x7F000001
SERVER, CLIENT, PLAIN, OTHER, NOBODY = 4001, 4002, 4003, 4004, 4009  # ports; nobody listens on the last
NAME = b"\0hunt"  # an abstract one
AREA = "area = mmap(0, 1048576, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)"


def lit(data: bytes) -> str:
    """Bytes as text of a line."""
    return "b'" + "".join(chr(c) if chr(c).isascii() and chr(c).isalnum() else f"\\x{c:02x}" for c in data) + "'"


def in4(port: int, host: int = LO) -> str:
    """A struct sockaddr_in: 16 bytes."""
    return lit(socket.AF_INET.to_bytes(2, "little") + struct.pack(">HI8x", port, host))


def in6(port: int, host: str = "::1", flow: int = 0, scope: int = 0) -> str:
    """A struct sockaddr_in6: 28 bytes."""
    packed = struct.pack(">HI", port, flow) + socket.inet_pton(socket.AF_INET6, host) + struct.pack("<I", scope)
    return lit(socket.AF_INET6.to_bytes(2, "little") + packed)


def un(path: bytes) -> tuple[str, int]:
    """A struct sockaddr_un, and its length: that of the path as it is."""
    return lit(b"\x01\0" + path), 2 + len(path)


def word4(fd: str) -> str:
    """A descriptor as a word inside a structure."""
    return fd if "@" in fd else f"{fd}:4"


def got(fd: str, level: str, option: str, size: int = 64) -> str:
    """A getsockopt(2) of at most so many bytes: what came, and how much."""
    return f"getsockopt({fd}, {level}, {option}, [{size}], [4 {lit(size.to_bytes(4, 'little'))}])"


def put(fd: str, level: str, option: str, value: int | str, size: int = 4) -> str:
    """A setsockopt(2) of a number, or of an argument as text with its size."""
    return f"setsockopt({fd}, {level}, {option}, {f'<4:{value}>' if isinstance(value, int) else value}, {size})"


def named(fd: str, size: int = 28) -> str:
    """A getsockname(2)."""
    return f"getsockname({fd}, [{size}], [4 {lit(size.to_bytes(4, 'little'))}])"


def peer_named(fd: str, size: int = 28) -> str:
    """A getpeername(2)."""
    return f"getpeername({fd}, [{size}], [4 {lit(size.to_bytes(4, 'little'))}])"


def ready(fd: str, events: int = 1, wait_ms: int = 50) -> str:
    """A poll(2) that waits a little where there is nothing: what can be read or written, and what went wrong."""
    return f"poll({{{word4(fd)}, <2:{events}> <2:0>}}, 1, {wait_ms})"


def taken(fd: str, size: int = 64, flags: str = "MSG_DONTWAIT") -> str:
    """What can be received without waiting."""
    return f"recvfrom({fd}, [{size}], {size}, {flags}, 0, 0)"


def message(fd: str, size: int = 64, control: int = 128, flags: str = "MSG_DONTWAIT", name: int = 28, kept: str = "") -> str:
    """A recvmsg(2): who sent it, the data, and what came with it, in a buffer that can have a name."""
    parts = f"&[{name}], <4:{name}> <4:0>, &{{&[{size}], <8:{size}>}}, <8:1>"
    return (
        f"recvmsg({fd}, {{{parts}, "
        + (f"&{kept and kept + chr(58)}[{control}], <8:{control}>" if control else "<8:0> <8:0>")
        + f", <8:0>}}, {flags})"
    )


def sent(fd: str, data: bytes, control: str = "", size: int = 0, flags: str = "0") -> str:
    """A sendmsg(2) with control messages, which are the text of a structure of so many bytes."""
    iov = f"&{{&{lit(data)}, <8:{len(data)}>}}"
    return (
        f"sendmsg({fd}, {{<8:0> <8:0>, {iov}, <8:1>, "
        + (f"&{{{control}}}, <8:{size}>" if control else "<8:0> <8:0>")
        + f", <8:0>}}, {flags})"
    )


def rights(*fds: str) -> tuple[str, int]:
    """A control message that passes descriptors, and its size."""
    body = ", ".join(word4(fd) for fd in fds)
    room = -(-4 * len(fds) // 8) * 8
    pad = room - 4 * len(fds)
    return f"<8:{16 + 4 * len(fds)}> <4:SOL_SOCKET> <4:SCM_RIGHTS>, {body}" + (f", {lit(bytes(pad))}" if pad else ""), 16 + room


class Socket(Record):
    """A socket in some state, and the descriptor that options are set on.

    Shape:   `goes_on` shows what the socket does, without waiting and without anything that differs between two subjects; `gets` tells
             more about it than the option that is tried
    """

    name: str
    make: str
    fd: str = "$made"
    goes_on: str = ""
    gets: str = ""


def _new(family: str, kind: str, protocol: str = "0", result: str = "made") -> str:
    return f"{result} = socket({family}, {kind}, {protocol})"


def _stream(family: str, to: str, mine: str, size: int, protocol: str = "0") -> str:
    # both ends of a connection: $made called, $peer was called; the listener is gone. At the end of a process $peer is closed first, as the
    # lower one: it ends at once whatever $made was told, where the other way round it would wait for an answer
    return (
        f"{_new(family, 'SOCK_STREAM', protocol, 'server')} ; bind($server, {to}, {size}) ; listen($server, 8) ; "
        f"{_new(family, 'SOCK_STREAM', protocol, 'caller')} ; bind($caller, {mine}, {size}) ; connect($caller, {to}, {size}) ; "
        "peer = accept4($server, 0, 0, 0) ; made = fcntl($caller, F_DUPFD, 9) ; close($caller) ; close($server)"
    )


def both_ways(fd: str, peer: str) -> str:
    """A message in each direction, and the end."""
    return (
        f"sendto({fd}, b'ping', 4, MSG_DONTWAIT, 0, 0) ; {ready(peer)} ; {taken(peer)} ; sendto({peer}, b'pong', 4, MSG_DONTWAIT, 0, 0) ; "
        f"{ready(fd)} ; {taken(fd)} ; shutdown({fd}, SHUT_WR) ; {ready(peer)} ; {taken(peer)}"
    )


def calls(family: str, address: str, size: int, fd: str = "$made", protocol: str = "0") -> str:
    """Somebody calls a listener and is let in; nothing here waits, whatever the listener was told."""
    return (
        f"fcntl({fd}, F_SETFL, O_RDWR|O_NONBLOCK) ; {_new(family, 'SOCK_STREAM|SOCK_NONBLOCK', protocol, 'caller')} ; "
        f"connect($caller, {address}, {size}) ; {ready(fd)} ; fresh = accept4({fd}, 0, 0, SOCK_NONBLOCK) ; "
        f"sendto($caller, b'hi', 2, MSG_DONTWAIT, 0, 0) ; {ready('$fresh')} ; {taken('$fresh')}"
    )


def _to_itself(fd: str, address: str, size: int) -> str:
    return f"sendto({fd}, b'echo', 4, MSG_DONTWAIT, {address}, {size}) ; {ready(fd)} ; {message(fd)}"


TCP4, TCP6 = _new("AF_INET", "SOCK_STREAM"), _new("AF_INET6", "SOCK_STREAM")
UDP4, UDP6 = _new("AF_INET", "SOCK_DGRAM"), _new("AF_INET6", "SOCK_DGRAM")
TCP4_CONNECTED = _stream("AF_INET", in4(SERVER), in4(CLIENT), 16)
TCP6_CONNECTED = _stream("AF_INET6", in6(SERVER), in6(CLIENT), 28)
TCP4_LISTENING = f"{TCP4} ; bind($made, {in4(SERVER)}, 16) ; listen($made, 8)"
TCP6_LISTENING = f"{TCP6} ; bind($made, {in6(SERVER)}, 28) ; listen($made, 8)"
UDP4_BOUND = f"{UDP4} ; bind($made, {in4(PLAIN)}, 16)"
UDP6_BOUND = f"{UDP6} ; bind($made, {in6(PLAIN)}, 28)"
UDP4_CONNECTED = (
    f"{UDP4_BOUND} ; {_new('AF_INET', 'SOCK_DGRAM', result='peer')} ; bind($peer, {in4(OTHER)}, 16) ; "
    f"connect($made, {in4(OTHER)}, 16) ; connect($peer, {in4(PLAIN)}, 16)"
)
UDP6_CONNECTED = (
    f"{UDP6_BOUND} ; {_new('AF_INET6', 'SOCK_DGRAM', result='peer')} ; bind($peer, {in6(OTHER)}, 28) ; "
    f"connect($made, {in6(OTHER)}, 28) ; connect($peer, {in6(PLAIN)}, 28)"
)
UNIX_NAME, UNIX_SIZE = un(NAME)
PAIR0, PAIR1 = "$both@0:4", "$both@4:4"


def pair(kind: str) -> str:
    """Two connected sockets of the UNIX family: PAIR0 and PAIR1."""
    return f"socketpair(AF_UNIX, {kind}, 0, both:[8])"


def _paired(kind: str) -> str:
    return f"write({PAIR0}, b'ping', 4) ; {taken(PAIR1)} ; write({PAIR1}, b'pong', 4) ; {taken(PAIR0)}"


_UNIX_LISTENING = f"{_new('AF_UNIX', 'SOCK_STREAM')} ; bind($made, {UNIX_NAME}, {UNIX_SIZE}) ; listen($made, 4)"
_ECHO4 = "b'\\x08\\x00\\x00\\x00\\x12\\x34\\x00\\x01hunt'"  # an ICMP echo request without its checksum, which ping sockets fill in
_NAMES = f"{named('$made')}"
_ENDS = f"{named('$made')} ; {peer_named('$made')}"

SOCKETS: dict[str, Socket] = {
    s.name: s
    for s in (
        Socket("tcp4", TCP4, goes_on=f"bind($made, {in4(SERVER)}, 16) ; listen($made, 4) ; {calls('AF_INET', in4(SERVER), 16)}"),
        Socket("tcp4-bound", f"{TCP4} ; bind($made, {in4(SERVER)}, 16)", gets=_NAMES),
        Socket("tcp4-listening", TCP4_LISTENING, goes_on=calls("AF_INET", in4(SERVER), 16), gets=_NAMES),
        Socket("tcp4-connected", TCP4_CONNECTED, goes_on=both_ways("$made", "$peer"), gets=_ENDS),
        Socket("tcp4-accepted", TCP4_CONNECTED, "$peer", both_ways("$peer", "$made"), _ENDS),
        Socket("tcp6", TCP6, goes_on=f"bind($made, {in6(SERVER)}, 28) ; listen($made, 4) ; {calls('AF_INET6', in6(SERVER), 28)}"),
        Socket("tcp6-listening", TCP6_LISTENING, goes_on=calls("AF_INET6", in6(SERVER), 28), gets=_NAMES),
        Socket("tcp6-connected", TCP6_CONNECTED, goes_on=both_ways("$made", "$peer"), gets=_ENDS),
        Socket("udp4", UDP4, goes_on=f"bind($made, {in4(PLAIN)}, 16) ; {_to_itself('$made', in4(PLAIN), 16)}"),
        Socket("udp4-bound", UDP4_BOUND, goes_on=_to_itself("$made", in4(PLAIN), 16), gets=_NAMES),
        Socket(
            "udp4-connected",
            UDP4_CONNECTED,
            goes_on=f"sendto($made, b'one', 3, MSG_DONTWAIT, 0, 0) ; {ready('$peer')} ; {message('$peer')}",
            gets=_ENDS,
        ),
        Socket("udp6", UDP6, goes_on=f"bind($made, {in6(PLAIN)}, 28) ; {_to_itself('$made', in6(PLAIN), 28)}"),
        Socket("udp6-bound", UDP6_BOUND, goes_on=_to_itself("$made", in6(PLAIN), 28), gets=_NAMES),
        Socket(
            "udp6-connected",
            UDP6_CONNECTED,
            goes_on=f"sendto($made, b'one', 3, MSG_DONTWAIT, 0, 0) ; {ready('$peer')} ; {message('$peer')}",
            gets=_ENDS,
        ),
        Socket("unix", _new("AF_UNIX", "SOCK_STREAM")),
        Socket("unix-stream", pair("SOCK_STREAM"), PAIR0, _paired("SOCK_STREAM")),
        Socket("unix-dgram", pair("SOCK_DGRAM"), PAIR0, _paired("SOCK_DGRAM")),
        Socket("unix-seqpacket", pair("SOCK_SEQPACKET"), PAIR0, _paired("SOCK_SEQPACKET")),
        Socket("unix-listening", _UNIX_LISTENING, goes_on=calls("AF_UNIX", UNIX_NAME, UNIX_SIZE), gets=_NAMES),
        Socket("netlink", _new("AF_NETLINK", "SOCK_RAW", "NETLINK_ROUTE")),
        Socket("packet", _new("AF_PACKET", "SOCK_RAW", "0x300")),  # htons(ETH_P_ALL)
        Socket("packet-idle", _new("AF_PACKET", "SOCK_DGRAM", "0")),
        Socket("raw4", _new("AF_INET", "SOCK_RAW", "IPPROTO_ICMP")),
        Socket("raw6", _new("AF_INET6", "SOCK_RAW", "IPPROTO_ICMPV6")),
        Socket("raw6-own-header", _new("AF_INET6", "SOCK_RAW", "IPPROTO_RAW")),
        Socket("raw4-own-header", _new("AF_INET", "SOCK_RAW", "IPPROTO_RAW")),
        Socket(
            "ping4",
            _new("AF_INET", "SOCK_DGRAM", "IPPROTO_ICMP"),
            goes_on=f"sendto($made, {_ECHO4}, 12, MSG_DONTWAIT, {in4(0)}, 16) ; {ready('$made')}",
        ),
        Socket("ping6", _new("AF_INET6", "SOCK_DGRAM", "IPPROTO_ICMPV6")),
        Socket("udplite4", _new("AF_INET", "SOCK_DGRAM", "IPPROTO_UDPLITE")),
        Socket("mptcp4", _new("AF_INET", "SOCK_STREAM", "IPPROTO_MPTCP")),
        Socket("mptcp4-connected", _stream("AF_INET", in4(SERVER), in4(CLIENT), 16, "IPPROTO_MPTCP"), gets=_ENDS),
        Socket("sctp4", _new("AF_INET", "SOCK_STREAM", "IPPROTO_SCTP")),
        Socket("dccp4", _new("AF_INET", "SOCK_DCCP", "IPPROTO_DCCP")),
        Socket("vsock", _new("AF_VSOCK", "SOCK_STREAM")),
        Socket("xdp", _new("AF_XDP", "SOCK_RAW")),
        Socket("alg", _new("AF_ALG", "SOCK_SEQPACKET")),
        Socket("kcm", _new("AF_KCM", "SOCK_DGRAM", "0")),
        Socket("tipc", _new("AF_TIPC", "SOCK_SEQPACKET")),
        Socket("llc", _new("AF_LLC", "SOCK_STREAM")),
        Socket("smc4", _new("AF_SMC", "SOCK_STREAM")),
        Socket("rds", _new("AF_RDS", "SOCK_SEQPACKET")),
        Socket("can", _new("AF_CAN", "SOCK_RAW", "1")),
        Socket("x25", _new("AF_X25", "SOCK_SEQPACKET")),
        Socket("rxrpc", _new("AF_RXRPC", "SOCK_DGRAM", "2")),
        Socket("mctp", _new("AF_MCTP", "SOCK_DGRAM")),
    )
}
