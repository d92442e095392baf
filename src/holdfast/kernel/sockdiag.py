"""What the kernel tells about the sockets of one network namespace, through a NETLINK_SOCK_DIAG socket.

The caller gives the descriptor of such a socket: it answers for the namespace in which it was made, whoever holds it, so that a socket made
inside a target's namespace serves from outside. An unconnected netlink socket talks to the kernel by read and write, so no socket module is
needed (decisions/0016).
"""

from __future__ import annotations

import errno
import os
from struct import Struct

from holdfast.errors import KernelLacks, TargetChanged
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK, _AF_PACKET = 1, 2, 10, 16, 17
_SOCK_RAW_CLOEXEC = 3 | 0o2000000
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_NOOP, _NLMSG_ERROR, _NLMSG_DONE = 1, 2, 3
_NLM_F_REQUEST, _NLM_F_DUMP, _NLM_F_DUMP_INTR = 1, 0x300, 0x10
_ALL_STATES = 0xFFFFFFFF
_NO_COOKIE = (0xFFFFFFFF, 0xFFFFFFFF)
_TRIES = 8

# A dump fills at most 32 KiB a message, whatever room it is offered: af_netlink.c netlink_recvmsg.
_ROOM = 1 << 16

_HEADER = Struct("<IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ERRNO = Struct("<i")
_ATTRIBUTE = Struct("<HH")  # nlattr: length, type
_UNIX_REQUEST = Struct("<BBHIIIII")
_LIST_REQUEST = Struct("<BBHIIII")  # of netlink and packet alike
_UNIX = Struct("<BBBxIII")
_INET_REQUEST = Struct("<BBBxI")
_SOCKET_ID = Struct(">HH16s16s")  # ports and addresses are in network order
_INET = Struct("<BBBB36xIIIIIIII")  # the id's interface and cookie, then expires, rqueue, wqueue, uid, inode
_NETLINK = Struct("<BBBBIIIIII")
_PACKET = Struct("<BBHIII")

_sequence = 0


class UnixSocket(Record):
    """One AF_UNIX socket."""

    ino: int
    type: int  # SOCK_STREAM 1, SOCK_DGRAM 2, SOCK_SEQPACKET 5
    state: int  # TCP_ESTABLISHED 1, TCP_CLOSE 7, TCP_LISTEN 10
    name: bytes | None  # as bind takes it: a path, or an abstract name with its leading NUL; None if it has none
    file: tuple[int, int] | None  # inode and device of the path it is bound to; the device as procfs.fdinfo.device reads it
    peer: int | None  # the inode of the other end; None when there is none, or it is gone
    pending: tuple[int, ...]  # a listener's queue: inodes of the sockets that wait to be accepted, as their own side has them; 0 if closed
    rqueue: int  # bytes to read; of a listener the length of its queue
    wqueue: int  # bytes on their way; of a listener the backlog
    shutdown: int  # RCV_SHUTDOWN 1, SEND_SHUTDOWN 2
    uid: int | None
    cookie: int
    more: tuple[tuple[int, bytes], ...]  # attributes that are new


class InetSocket(Record):
    """One AF_INET or AF_INET6 socket."""

    family: int
    protocol: int
    state: int
    local: tuple[bytes, int]  # 4 or 16 bytes, and the port
    remote: tuple[bytes, int]
    ifindex: int  # SO_BINDTODEVICE, or the scope of a link-local address
    ino: int  # 0 when no descriptor holds it: TIME_WAIT, a request that was not accepted
    uid: int
    timer: int  # 0 none, 1 retransmit, 2 keep-alive, 3 TIME_WAIT, 4 zero window probe
    retransmits: int
    expires_ms: int
    rqueue: int  # bytes to read; of a listener the length of its queue
    wqueue: int  # bytes not yet acknowledged; of a listener the backlog
    cookie: int
    memory: tuple[int, ...]  # by SK_MEMINFO_*; empty when the kernel gives none
    shutdown: int | None
    tos: int | None
    tclass: int | None
    v6only: bool | None  # only of a listener, or of one that is not connected
    mark: int | None  # only for a caller with CAP_NET_ADMIN
    congestion: str
    info: bytes  # struct tcp_info as this kernel has it
    more: tuple[tuple[int, bytes], ...]  # attributes that nobody reads here


class NetlinkSocket(Record):
    """One AF_NETLINK socket."""

    ino: int
    type: int
    protocol: int
    state: int
    portid: int
    dst_portid: int
    dst_group: int
    groups: bytes  # a bitmap, bit N-1 is group N
    flags: int | None  # NDIAG_FLAG_*
    more: tuple[tuple[int, bytes], ...]


class PacketSocket(Record):
    """One AF_PACKET socket."""

    ino: int
    type: int
    protocol: int  # an Ethernet type
    more: tuple[tuple[int, bytes], ...]  # PACKET_DIAG_*


def open_socket() -> int:
    """The descriptor of a new NETLINK_SOCK_DIAG socket of the caller's network namespace.

    Raises:  OSError: the kernel has no such protocol, or the caller may not
    Source:  sock_diag(7)
    """
    import _socket  # the C module: 0.6 ms where socket takes 8; only who has no descriptor pays

    return _socket.socket(_AF_NETLINK, _SOCK_RAW_CLOEXEC, _NETLINK_SOCK_DIAG).detach()


# The payloads that answer one request. A dump that the kernel marks as interrupted is asked for again.
def _ask(fd: int, request: bytes, flags: int) -> list[bytes]:
    global _sequence
    for _ in range(_TRIES):
        _sequence = (_sequence + 1) & 0xFFFFFFFF
        sequence = _sequence
        os.write(fd, _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST | flags, sequence, 0) + request)
        out: list[bytes] = []
        if _answers(fd, sequence, flags, out):
            return out
    raise TargetChanged(
        "sockets",
        "the list of sockets changed each time that it was read",
        where="NETLINK_SOCK_DIAG",
        why=f"the kernel marked {_TRIES} dumps as interrupted (NLM_F_DUMP_INTR)",
        do="try again when fewer sockets come and go",
    )


# Reads until the answer is whole; False when it is not consistent.
def _answers(fd: int, sequence: int, flags: int, out: list[bytes]) -> bool:
    whole = True
    while True:
        data = os.read(fd, _ROOM)
        at = 0
        while at + _HEADER.size <= len(data):
            size, kind, marks, number, _ = _HEADER.unpack_from(data, at)
            if size < _HEADER.size or at + size > len(data):
                raise OSError(errno.EBADMSG, "netlink message longer than what was read")
            body = data[at + _HEADER.size : at + size]
            at += size + 3 & ~3
            if number != sequence or kind == _NLMSG_NOOP:
                continue  # what an earlier, interrupted request left behind
            if marks & _NLM_F_DUMP_INTR:
                whole = False
            if kind in {_NLMSG_ERROR, _NLMSG_DONE}:
                code = -_ERRNO.unpack_from(body)[0] if len(body) >= _ERRNO.size else 0
                if code:
                    raise OSError(code, os.strerror(code))
                return whole
            out.append(body)
            if not flags & _NLM_F_DUMP:
                return whole


def _dump(fd: int, request: bytes, family: str) -> list[bytes]:
    try:
        return _ask(fd, request, _NLM_F_DUMP)
    except OSError as cause:
        if cause.errno not in {errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP}:
            raise
        raise KernelLacks(
            "sock_diag",
            f"this kernel does not list {family} sockets",
            where="NETLINK_SOCK_DIAG",
            why=f"it answers {errno.errorcode[cause.errno]}: built without {family}_diag, or the module cannot be loaded",
            do=f"load the module {family}_diag",
        ) from cause


# Type to value; the two upper bits of a type say how the value is written.
def _attributes(body: bytes, at: int) -> dict[int, bytes]:
    out: dict[int, bytes] = {}
    while at + _ATTRIBUTE.size <= len(body):
        size, kind = _ATTRIBUTE.unpack_from(body, at)
        if size < _ATTRIBUTE.size or at + size > len(body):
            raise OSError(errno.EBADMSG, "netlink attribute longer than its message")
        out[kind & 0x3FFF] = body[at + _ATTRIBUTE.size : at + size]
        at += size + 3 & ~3
    return out


def _number(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value, "little")


def _words(value: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(value[i : i + 4], "little") for i in range(0, len(value), 4))


def _unix_request(ino: int, states: int) -> bytes:
    return _UNIX_REQUEST.pack(_AF_UNIX, 0, 0, states, ino, 0x5F, *_NO_COOKIE)  # all UDIAG_SHOW but memory


def _unix(body: bytes) -> UnixSocket:
    _, kind, state, ino, low, high = _UNIX.unpack_from(body)
    found = _attributes(body, _UNIX.size)
    name, file, queues = found.pop(0, None), found.pop(1, None), _words(found.pop(4, b"\0" * 8))
    if name and name[0]:
        name = name.removesuffix(b"\0")
    peer, pending = _number(found.pop(2, None)), _words(found.pop(3, b""))
    shutdown, uid = _number(found.pop(6, None)) or 0, _number(found.pop(7, None))
    place = None if file is None else (int.from_bytes(file[:4], "little"), int.from_bytes(file[4:8], "little"))
    return UnixSocket(
        ino, kind, state, name, place, peer, pending, queues[0], queues[1], shutdown, uid, high << 32 | low, tuple(found.items())
    )


def unix_sockets(fd: int) -> dict[int, UnixSocket]:
    """Every AF_UNIX socket of the namespace, by inode.

    Needs:   fd: a NETLINK_SOCK_DIAG socket that nobody else reads
    Raises:  kernel_lacks.sock_diag: no unix_diag; target_changed.sockets: the list would not hold still
    Source:  sock_diag(7), Linux net/unix/diag.c
    """
    sockets = map(_unix, _dump(fd, _unix_request(0, _ALL_STATES), "unix"))
    return {socket.ino: socket for socket in sockets}


def unix_socket(fd: int, ino: int) -> UnixSocket | None:
    """One AF_UNIX socket by its inode, or None; cheaper than the list where a host has many.

    Needs:   fd: a NETLINK_SOCK_DIAG socket that nobody else reads
    Raises:  OSError: no unix_diag
    Source:  sock_diag(7), Linux net/unix/diag.c unix_diag_get_exact
    """
    try:
        (body,) = _ask(fd, _unix_request(ino, 0), 0)
    except OSError as cause:
        if cause.errno == errno.ENOENT:
            return None
        raise
    return _unix(body)


def _inet(body: bytes, protocol: int) -> InetSocket:
    family, state, timer, retransmits, ifindex, low, high, expires, rqueue, wqueue, uid, ino = _INET.unpack_from(body)
    sport, dport, source, destination = _SOCKET_ID.unpack_from(body, 4)
    width = 4 if family == _AF_INET else 16
    found = _attributes(body, _INET.size)
    tos, tclass = _number(found.pop(5, None)), _number(found.pop(6, None))
    memory, shutdown = _words(found.pop(7, b"")), _number(found.pop(8, None))
    v6only, mark = found.pop(11, None), _number(found.pop(15, None))
    # INET_DIAG_PROTOCOL is there where the request's 8 bits do not hold the number.
    protocol = _number(found.pop(10, None)) or protocol
    congestion = found.pop(4, b"").rstrip(b"\0").decode("ascii", "backslashreplace")
    info = found.pop(2, b"")
    return InetSocket(
        family,
        protocol,
        state,
        (source[:width], sport),
        (destination[:width], dport),
        ifindex,
        ino,
        uid,
        timer,
        retransmits,
        expires,
        rqueue,
        wqueue,
        high << 32 | low,
        memory,
        shutdown,
        tos,
        tclass,
        None if v6only is None else v6only != b"\0",
        mark,
        congestion,
        info,
        tuple(found.items()),
    )


_INET_EXTENSIONS = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7  # INFO CONG TOS TCLASS SKMEMINFO SHUTDOWN


def inet_sockets(fd: int, family: int, protocol: int, states: int = _ALL_STATES) -> list[InetSocket]:
    """Every socket of an internet family and protocol in the namespace; a socket without descriptor has inode 0.

    Shape:   family AF_INET or AF_INET6; protocol IPPROTO_TCP, UDP, RAW ...; states: bit N is state N
    Needs:   fd: a NETLINK_SOCK_DIAG socket that nobody else reads
    Raises:  kernel_lacks.sock_diag: no inet_diag; target_changed.sockets: the list would not hold still
    Source:  sock_diag(7), Linux net/ipv4/inet_diag.c
    """
    request = _INET_REQUEST.pack(family, protocol, _INET_EXTENSIONS, states) + bytes(40) + b"\xff" * 8
    return [_inet(body, protocol) for body in _dump(fd, request, "inet")]


def inet_socket(
    fd: int, family: int, protocol: int, local: tuple[bytes, int], remote: tuple[bytes, int], ifindex: int = 0
) -> InetSocket | None:
    """The socket with these two ends, or None; a list walks the host's whole table, this does not.

    Shape:   an end: 4 or 16 bytes and a port; zeros for what is not connected
    Needs:   fd: a NETLINK_SOCK_DIAG socket that nobody else reads
    Raises:  OSError: no inet_diag
    Source:  sock_diag(7), Linux net/ipv4/inet_diag.c inet_diag_find_one_icsk
    """
    ends = _SOCKET_ID.pack(local[1], remote[1], local[0], remote[0])
    request = _INET_REQUEST.pack(family, protocol, _INET_EXTENSIONS, _ALL_STATES) + ends + ifindex.to_bytes(4, "little") + b"\xff" * 8
    try:
        (body,) = _ask(fd, request, 0)
    except OSError as cause:
        if cause.errno == errno.ENOENT:
            return None
        raise
    return _inet(body, protocol)


def netlink_sockets(fd: int) -> list[NetlinkSocket]:
    """Every AF_NETLINK socket of the namespace.

    Needs:   fd: a NETLINK_SOCK_DIAG socket that nobody else reads
    Raises:  kernel_lacks.sock_diag: no netlink_diag; target_changed.sockets: the list would not hold still
    Source:  Linux net/netlink/diag.c
    """
    request = _LIST_REQUEST.pack(_AF_NETLINK, 255, 0, 0, 2 | 8, *_NO_COOKIE)  # NDIAG_PROTO_ALL; NDIAG_SHOW_GROUPS, NDIAG_SHOW_FLAGS
    return list(_netlinks(_dump(fd, request, "netlink")))


def _netlinks(bodies: list[bytes]) -> Iterator[NetlinkSocket]:
    for body in bodies:
        _, kind, protocol, state, portid, dst_portid, dst_group, ino, _, _ = _NETLINK.unpack_from(body)
        found = _attributes(body, _NETLINK.size)
        groups, flags = found.pop(1, b""), _number(found.pop(4, None))
        yield NetlinkSocket(ino, kind, protocol, state, portid, dst_portid, dst_group, groups, flags, tuple(found.items()))


def packet_sockets(fd: int) -> list[PacketSocket]:
    """Every AF_PACKET socket of the namespace, with all that the kernel tells of it.

    Needs:   fd: a NETLINK_SOCK_DIAG socket that nobody else reads; CAP_NET_ADMIN for the filter
    Raises:  kernel_lacks.sock_diag: no packet_diag; target_changed.sockets: the list would not hold still
    Source:  Linux net/packet/diag.c
    """
    out = []
    for body in _dump(fd, _LIST_REQUEST.pack(_AF_PACKET, 0, 0, 0, 0x3F, *_NO_COOKIE), "packet"):  # all PACKET_SHOW
        _, kind, protocol, ino, _, _ = _PACKET.unpack_from(body)
        out.append(PacketSocket(ino, kind, protocol, tuple(_attributes(body, _PACKET.size).items())))
    return out
