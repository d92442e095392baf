"""sock.tcp: a TCP socket that is not connected: closed, bound or listening, over IPv4 or IPv6.

Carries:  local address and port, backlog, every option that can be read and set (kernel/uapi/sockopts.py) at the socket, IP, IPv6 and
          TCP level, classic BPF filter, multicast memberships with their source filters, status flags, owner and mode; a connection
          that is over (closed by both sides, or reset and the error seen): reads give the end of file, writes EPIPE. With --reset-tcp a
          connection is restored as one that its peer has reset: the next call fails with ECONNRESET, then as above, and poll and epoll
          report it.
Loses:    the local address of a connection that is over or was reset (getsockname gives a loopback address) and its hold on the port, its
          unread and unsent data; with --reset-tcp connections that nobody has accepted; a handshake under way; whether the program or the
          kernel chose address and port (it matters to connect with AF_UNSPEC alone); MD5 keys (tcp(7) TCP_MD5SIG) where the
          dumper lacks CAP_NET_ADMIN in the network namespace; TCP_SAVED_SYN; counters of TCP_INFO; what IP_MULTICAST_TTL tells of a
          connection that was accepted, where it acts on nothing; by which of its addresses a multicast group's interface was named
          (kinds/multicast.py); IPV6_FLOWLABEL_MGR leases, where kernel structs may not be read; SO_COOKIE; what
          kinds/socket_options.py lists.
Sources:  tcp(7), ip(7), ipv6(7), socket(7), sock_diag(7), Linux net/ipv4/tcp.c, net/ipv4/inet_connection_sock.c.
"""

from __future__ import annotations

from stat import S_IMODE

from holdfast.kinds import files, multicast, ports, socket_options, sockets
from holdfast.kinds.contract import Claim, Kind, Link, Loss, Refusal, Struct, compare_fields, verbs
from holdfast.kinds.multicast import Membership  # noqa: TC001 - image.schema finds a field's class by its name here
from holdfast.kinds.socket_options import Option  # noqa: TC001 - image.schema finds a field's class by its name here
from holdfast.kinds.sockets import AF_INET, AF_INET6, Address
from holdfast.model.record import Record
from holdfast.prog.call import Out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Part, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Arg, Call

FAMILIES = {AF_INET: "AF_INET", AF_INET6: "AF_INET6"}
NUMBERS = {name: number for number, name in FAMILIES.items()}


class Tcp(Record):
    """A TCP socket. State: closed, listening, over (it was connected), reset (it was connected, and the next call says so)."""

    family: str
    state: str
    flags: tuple[str, ...] = ()
    local: Address | None = None
    backlog: int = 0
    options: tuple[Option, ...] = ()
    uid: int = 0
    gid: int = 0
    mode: int = 0o777
    groups: tuple[Membership, ...] = ()


WATCHES = (Struct("tcp_sock"), Struct("inet_connection_sock"), Struct("inet_sock"), Struct("ipv6_pinfo"), Struct("sock"), Link("socket:["))
IPPROTO_TCP, TCP_INFO = 6, 11
CLOSE, LISTEN = 7, 10
STATES = "? ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING NEW_SYN_RECV".split()
SO_LINGER = 13
INET_DIAG_MD5SIG = 18
TCP_AO_INFO = 40
LOOPBACK = {AF_INET: bytes((127, 0, 0, 1)), AF_INET6: bytes(10) + b"\xff\xff" + bytes((127, 0, 0, 1))}
EPOLLRDHUP = 0x2000
PATIENCE_MS = 10_000
ECONNRESET = 104
# what a connection changes by itself; a socket that was connected keeps the kernel's last values
MOVING = frozenset(("TCP_MAXSEG", "TCP_WINDOW_CLAMP", "TCP_QUICKACK", "SO_INCOMING_CPU", "SO_TXREHASH", "SO_SNDBUF", "SO_RCVBUF"))
LOCKS = (("SO_SNDBUF", 1), ("SO_RCVBUF", 2))  # SO_BUF_LOCK: set by the program, so it moves no more


def detect(ev: FileEvidence) -> Claim | None:
    sort = sockets.identity(ev)
    if sort is None or sort[0] not in FAMILIES or sort[1:] != (sockets.STREAM, IPPROTO_TCP) or files.inherited(ev):
        return None
    return Claim(f"tcp {_local(ev)}")


def _local(ev: FileEvidence) -> Address:
    return sockets.address(ev.borrowed.sockname())


def _info(ev: FileEvidence) -> tuple[int, int, int]:
    # state; of a listener how many wait to be accepted and the backlog: Linux net/ipv4/tcp.c tcp_get_info
    raw = ev.borrowed.getsockopt(IPPROTO_TCP, TCP_INFO, 32)
    return raw[0], int.from_bytes(raw[24:28], "little"), int.from_bytes(raw[28:32], "little")


def _state(ev: FileEvidence, state: int) -> str:
    if state == LISTEN:
        return "listening"
    if state != CLOSE:
        return "connected"
    events = ev.borrowed.poll(sockets.POLLRDHUP)
    if events & sockets.POLLERR:
        return "reset"
    # a socket that was never connected is not shut down: Linux net/ipv4/tcp.c tcp_poll
    return "over" if events & sockets.POLLRDHUP else "closed"


def _where(ev: FileEvidence) -> str:
    try:
        peer = str(sockets.address(ev.borrowed.peername()))
    except OSError:
        peer = "nobody"
    return f"{_local(ev)} to {peer}"


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    unreachable = list(sockets.unreachable_namespace(ev, "sock.tcp"))
    if unreachable:
        yield from unreachable
        return
    yield from files.unknown_flags(ev, "sock.tcp")
    yield from sockets.inode_verdicts(ev, "sock.tcp")
    yield from socket_options.option_verdicts(ev, "sock.tcp")
    yield from multicast.verdicts(ev, "sock.tcp")
    raw, waiting, _ = _info(ev)
    state = _state(ev, raw)
    if state == "connected":
        yield _connection(ev, raw)
    elif state == "reset":
        yield _error(ev)
    elif state == "over":
        yield Loss(
            "sock.tcp", ev.id, f"getsockname will not give {_local(ev)}", "the connection is over; TCP_INFO and its hold on the port go too"
        )
        if ev.borrowed.ioctl_int(sockets.FIONREAD):
            yield _unread(ev)
    elif waiting:
        yield _pending(ev, waiting)
    if state in ("closed", "listening"):
        yield from ports.verdicts(ev, "sock.tcp", _local(ev).port, _bound)
    if state == "listening":
        yield from _keys(ev)
    if _authenticates(ev):
        yield Refusal(
            "sock.tcp.ao",
            f"{files.who(ev)} has TCP-AO keys",
            ev.where,
            "keys and their counters are not carried; Linux Documentation/networking/tcp_ao.rst",
            "remove the keys and retry",
        )


def _bound(ev: FileEvidence) -> ports.Bound | None:
    state = _state(ev, _info(ev)[0])
    return ports.Bound(_local(ev).host, state == "listening") if state in ("closed", "listening") else None


def _connection(ev: FileEvidence, raw: int) -> Verdict:
    name = STATES[raw] if raw < len(STATES) else str(raw)
    if ev.tree.options.reset_tcp:
        return Loss("sock.tcp", ev.id, f"the connection {_where(ev)} is restored as reset", f"--reset-tcp; it was {name}")
    return Refusal(
        "sock.tcp.established",
        f"{files.who(ev)} is a TCP connection, {_where(ev)} ({name})",
        ev.where,
        "its peer would go on with sequence numbers that the restored end does not know; tcp(7)",
        "close it and retry, or use --reset-tcp: the program then sees ECONNRESET, as if the peer had broken the connection",
    )


def _error(ev: FileEvidence) -> Verdict:
    if ev.tree.options.reset_tcp:
        return Loss("sock.tcp", ev.id, "the error that the socket has to report becomes ECONNRESET", "--reset-tcp")
    return Refusal(
        "sock.tcp.error",
        f"{files.who(ev)} is a TCP connection that failed, and the program has not seen the error",
        ev.where,
        "which error it is cannot be read without taking it away; socket(7) SO_ERROR",
        "let the program see it and retry, or use --reset-tcp: the program then sees ECONNRESET",
    )


def _unread(ev: FileEvidence) -> Verdict:
    if ev.tree.options.reset_tcp:
        return Loss("sock.tcp", ev.id, "data that was received and not read is dropped", "--reset-tcp")
    return Refusal(
        "sock.tcp.unread",
        f"{files.who(ev)} is a TCP connection that is over, with data that the program has not read",
        ev.where,
        "it would be lost",
        "let the program read it and retry, or use --reset-tcp, which drops it",
    )


def _pending(ev: FileEvidence, waiting: int) -> Verdict:
    if ev.tree.options.reset_tcp:
        return Loss("sock.tcp", ev.id, f"{waiting} connections that wait to be accepted at {_local(ev)} are dropped", "--reset-tcp")
    return Refusal(
        "sock.tcp.pending",
        f"{files.who(ev)} listens at {_local(ev)} and has {waiting} connections that nobody has accepted",
        ev.where,
        "their peers hold established connections, which cannot be carried; tcp(7)",
        "let the program accept them and retry, or use --reset-tcp, which drops them",
    )


def _keys(ev: FileEvidence) -> Iterator[Verdict]:
    from holdfast.kernel import sockdiag  # a listener's keys have no other getter

    local = _local(ev)
    nobody = (bytes(len(local.host)), 0)
    seen = sockdiag.inet_socket(sockets.diag(ev.process), 2 if len(local.host) == 4 else 10, IPPROTO_TCP, (local.host, local.port), nobody)
    if seen is None or seen.ino != sockets.inode(ev):
        return  # one of several that share the port: sock_diag gives the first
    if any(kind == INET_DIAG_MD5SIG for kind, _ in seen.more):
        yield Refusal(
            "sock.tcp.md5",
            f"{files.who(ev)} listens at {local} with MD5 keys (TCP_MD5SIG)",
            ev.where,
            "only a caller with CAP_NET_ADMIN can read them, and Holdfast does not carry secrets of the kernel; tcp(7)",
            "remove the keys and retry",
        )


def _authenticates(ev: FileEvidence) -> bool:
    try:
        return bool(ev.borrowed.getsockopt(IPPROTO_TCP, TCP_AO_INFO, 64))
    except OSError:
        return False  # ENOENT: none; ENOPROTOOPT: a kernel without TCP-AO (6.7)


def dump(ev: FileEvidence) -> Tcp:
    sort = sockets.identity(ev)
    assert sort is not None
    raw, _, backlog = _info(ev)
    state = _state(ev, raw)
    local = _local(ev)
    alone = state in ("closed", "listening")
    uid, gid = files.owner(ev.process, ev.stat)
    return Tcp(
        family=FAMILIES[sort[0]],
        state="reset" if state == "connected" else state,
        flags=files.names(ev.flags),
        local=local if alone and local.is_set else None,
        backlog=backlog if state == "listening" else 0,
        options=socket_options.options(ev) if alone else _settled(ev),
        uid=uid,
        gid=gid,
        mode=S_IMODE(ev.stat.st_mode),
        groups=multicast.groups(ev),
    )


def _settled(ev: FileEvidence) -> tuple[Option, ...]:
    # without what moves by itself in a connection
    found = socket_options.options(ev)
    lock = next((o.values[0] for o in found if o.name == "SO_BUF_LOCK"), 0)
    kept = {name for name, bit in LOCKS if lock & bit}
    return tuple(o for o in found if (o.name not in MOVING or o.name in kept) and (lock or o.name != "SO_BUF_LOCK"))


# --- restore


def restore(rec: Tcp, steps: Steps) -> None:
    part = steps.part(needs=("born", "caps", "limits"))
    if rec.state in ("over", "reset"):
        fd: Arg = _was_connected(part, rec)
        socket_options.set_options(part, fd, rec.options, ("bind", "set", "size", "linger", "listen", "late"))
    else:
        fd = part.call("socket", NUMBERS[rec.family], sockets.STREAM | sockets.CLOEXEC, IPPROTO_TCP)
        # every option before the name: who connects as soon as it listens gets sockets with the right ones
        socket_options.set_options(part, fd, rec.options, ("bind", "set", "size", "linger", "late"))
        if rec.local is not None:
            # a port that a connection of the original holds in TIME_WAIT is free to who had SO_REUSEADDR, as to any restarted program
            address = rec.local.pack()
            part.call("bind", fd, address, len(address))
        if rec.state == "listening":
            part.call("listen", fd, rec.backlog)
        socket_options.set_options(part, fd, rec.options, ("listen",))
    multicast.join(part, fd, rec.groups)
    sockets.set_inode(part, fd, rec.uid, rec.gid, rec.mode)
    files.set_flags(part, fd, rec.flags)
    part.opened(fd)


def _was_connected(part: Part, rec: Tcp) -> Call:
    # A connection to ourselves over loopback, whose other end closes with a reset (SO_LINGER of 0 s, socket(7)). An IPv6 socket reaches
    # the IPv4 loopback by its mapped address, so that no IPv6 address is needed.
    family = NUMBERS[rec.family]
    loopback = Address(LOOPBACK[family], 0).pack()
    size = len(loopback)
    listener = part.call("socket", family, sockets.STREAM | sockets.CLOEXEC, IPPROTO_TCP)
    if family == AF_INET6:
        part.call("setsockopt", listener, 41, 26, bytes(4), 4)  # IPV6_V6ONLY, which a sysctl may have on
    part.call("bind", listener, loopback, size)
    part.call("listen", listener, 1)
    bound, length = Out(size), Out(4, size.to_bytes(4, "little"))
    part.call("getsockname", listener, bound, length)
    fd = part.call("socket", family, sockets.STREAM | sockets.CLOEXEC, IPPROTO_TCP)
    if family == AF_INET6:
        part.call("setsockopt", fd, 41, 26, bytes(4), 4)
    part.call("connect", fd, bound, size)
    other = part.call("accept4", listener, 0, 0, sockets.CLOEXEC)
    part.call("setsockopt", other, sockets.SOL_SOCKET, SO_LINGER, (1).to_bytes(4, "little") + bytes(4), 8)
    part.call("close", other)
    part.call("close", listener)
    if rec.state == "over":
        # waits for the reset and takes its error, as the program did
        part.call("recvfrom", fd, Out(1), 1, 0, 0, 0, check=-ECONNRESET)
        return fd
    # waits for the reset without taking the error
    epoll = part.call("epoll_create1", sockets.CLOEXEC)
    part.call("epoll_ctl", epoll, 1, fd, EPOLLRDHUP.to_bytes(4, "little") + bytes(8))
    part.call("epoll_wait", epoll, Out(12), 1, PATIENCE_MS, check=1)
    part.call("close", epoll)
    return fd


def compare(before: Tcp, after: Tcp, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("sock.tcp", where, before, after)


KIND = Kind("sock.tcp", record=Tcp, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
