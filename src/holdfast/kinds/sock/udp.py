"""sock.udp: a UDP socket over IPv4 or IPv6: unbound, bound or connected, with nothing in its queues.

Carries:  local and remote address and port, every option that can be read and set (kernel/uapi/sockopts.py) at the socket, IP, IPv6
          and UDP level, classic BPF filter, multicast memberships with their source filters, what it is shut down for, status flags,
          owner and mode; of a connection over IPv6 that connect with AF_UNSPEC has dissolved the host whose datagrams alone come in.
Loses:    shut down writing, and a dissolved connection, of a socket that has no port; whether the program or the kernel chose address
          and port (it matters to connect with AF_UNSPEC alone); the counters of SO_RXQ_OVFL; which CPU a connected socket's last
          datagram came in on (SO_INCOMING_CPU); by which of its addresses a group's interface was named (kinds/multicast.py); anycast
          memberships; SO_COOKIE; what kinds/socket_options.py lists.
Sources:  udp(7), ip(7), ipv6(7), socket(7), RFC 3678, Linux net/ipv4/udp.c, net/ipv4/igmp.c, net/ipv6/mcast.c.
"""

from __future__ import annotations

from errno import ENOTCONN
from stat import S_IMODE

from holdfast.errors import KernelLacks
from holdfast.kinds import files, multicast, ports, socket_options, sockets
from holdfast.kinds.contract import Claim, Kind, Link, Refusal, Struct, Unchecked, compare_fields, verbs
from holdfast.kinds.multicast import Membership  # noqa: TC001 - image.schema finds a field's class by its name here
from holdfast.kinds.socket_options import Option  # noqa: TC001 - image.schema finds a field's class by its name here
from holdfast.kinds.sockets import AF_INET, AF_INET6, Address
from holdfast.model.record import Record
from holdfast.prog.call import ANY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kernel.sockdiag import InetSocket
    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId

FAMILIES = {AF_INET: "AF_INET", AF_INET6: "AF_INET6"}
NUMBERS = {name: number for number, name in FAMILIES.items()}


class Udp(Record):
    """A UDP socket."""

    family: str
    flags: tuple[str, ...] = ()
    local: Address | None = None
    remote: Address | None = None
    groups: tuple[Membership, ...] = ()
    shutdown: tuple[str, ...] = ()  # read, write
    options: tuple[Option, ...] = ()
    uid: int = 0
    gid: int = 0
    mode: int = 0o777
    dissolved: bytes = b""  # the host that it was connected to, whose datagrams alone still come in; empty where that is nobody


WATCHES = (Struct("udp_sock"), Struct("inet_sock"), Struct("ipv6_pinfo"), Struct("sock"), Link("socket:["))
IPPROTO_UDP = 17
AF_UNSPEC = bytes(16)
DISCARD = 9  # a port: connect(2) sends nothing to it
SO_BINDTOIFINDEX = 62
SEND_SHUTDOWN = 2
V6ONLY = "IPV6_V6ONLY"
MAPPED = bytes(10) + b"\xff\xff"
MOVING = ("SO_INCOMING_CPU",)  # of a connected socket: Linux net/ipv4/udp.c sk_incoming_cpu_update


def detect(ev: FileEvidence) -> Claim | None:
    sort = sockets.identity(ev)
    if sort is None or sort[0] not in FAMILIES or sort[1:] != (sockets.DGRAM, IPPROTO_UDP) or files.inherited(ev):
        return None
    return Claim(f"udp {sockets.address(ev.borrowed.sockname())}")


def _remote(ev: FileEvidence) -> Address | None:
    try:
        return sockets.address(ev.borrowed.peername())
    except OSError as e:
        if e.errno == ENOTCONN:
            return None
        raise


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    unreachable = list(sockets.unreachable_namespace(ev, "sock.udp"))
    if unreachable:
        yield from unreachable
        return
    yield from files.unknown_flags(ev, "sock.udp")
    yield from sockets.inode_verdicts(ev, "sock.udp")
    yield from socket_options.option_verdicts(ev, "sock.udp")
    yield from _queues(ev)
    if any(o.name == "SO_ZEROCOPY" for o in socket_options.options(ev)):
        yield _no(
            ev,
            "zerocopy",
            "sends without copying (SO_ZEROCOPY)",
            "the number of its next notification cannot be read or set; Linux Documentation/networking/msg_zerocopy.rst",
            "switch it off",
        )
    yield from multicast.verdicts(ev, "sock.udp")
    yield from ports.verdicts(ev, "sock.udp", sockets.address(ev.borrowed.sockname()).port, _bound)
    yield from _leases(ev)
    yield from _listing(ev)


def _bound(ev: FileEvidence) -> ports.Bound:
    local = sockets.address(ev.borrowed.sockname())
    if _remote(ev) is not None and len(local.host) == 16:
        only = sockets.number(ev.borrowed.getsockopt(ports.IPPROTO_IPV6, ports.IPV6_V6ONLY))
        return ports.Bound(local.host if only or local.host.startswith(MAPPED) else bytes(16))  # as _chosen
    return ports.Bound(local.host)


def _no(ev: FileEvidence, code: str, what: str, why: str, do: str) -> Refusal:
    return Refusal(f"sock.udp.{code}", f"{files.who(ev)} {what}", ev.where, why, do)


def _queues(ev: FileEvidence) -> Iterator[Refusal]:
    events = ev.borrowed.poll(sockets.POLLIN | sockets.POLLRDHUP)
    if events & sockets.POLLERR:
        yield _no(
            ev,
            "error",
            "has an error or an error message to report",
            "which error it is cannot be read without taking it away; socket(7) SO_ERROR, ip(7) IP_RECVERR",
            "let the program see it and retry",
        )
    shut = events & sockets.POLLRDHUP
    if (events & sockets.POLLIN and not shut) or ev.borrowed.ioctl_int(sockets.FIONREAD):
        yield _no(
            ev,
            "queued",
            "has datagrams that the program has not read",
            "a datagram from that sender can only be made by that sender; udp(7)",
            "let the program read them and retry",
        )
    if ev.borrowed.ioctl_int(sockets.SIOCOUTQ):
        yield _no(
            ev,
            "corked",
            "holds data that it has not sent (UDP_CORK or MSG_MORE), or that the device has not taken yet",
            "what a corked socket holds cannot be read; udp(7)",
            "let the program send it and retry",
        )


# --- what sock_diag alone shows: shut down writing, and whose datagrams a dissolved connection still takes


def _diag(ev: FileEvidence) -> InetSocket | None:
    return sockets.once(ev, "diag", lambda: _ask_diag(ev))


def _ask_diag(ev: FileEvidence) -> InetSocket | None:
    from holdfast.kernel import sockdiag  # see sockets.diag

    sort, local, remote = sockets.identity(ev), sockets.address(ev.borrowed.sockname()), _remote(ev)
    assert sort is not None
    if not local.port:
        return None  # it is in no table
    there = (bytes(len(local.host)), 0) if remote is None else (remote.host, remote.port)
    interface = sockets.number(ev.borrowed.getsockopt(sockets.SOL_SOCKET, SO_BINDTOIFINDEX, 4))
    fd = sockets.diag(ev.process)
    # the ends are swapped, "for historical reasons": Linux net/ipv4/udp_diag.c udp_dump_one
    seen = sockdiag.inet_socket(fd, sort[0], IPPROTO_UDP, there, (local.host, local.port), interface)
    if seen is not None and seen.ino == sockets.inode(ev):
        return seen
    # one of several of that name, or one that takes datagrams of nobody but the host it was connected to
    key = ("udp", ev.process.namespace("net"), sort[0])
    listed = sockets.once_in(ev.tree, key, lambda: {s.ino: s for s in sockdiag.inet_sockets(fd, sort[0], IPPROTO_UDP)})
    return listed.get(sockets.inode(ev))


def _listing(ev: FileEvidence) -> Iterator[Verdict]:
    try:
        seen = _diag(ev)
    except KernelLacks as e:
        yield Unchecked("sock.udp", f"{ev.where}: whether it is shut down for writing", e.why)
        return
    if seen is not None and (once := _dissolved(ev)) and once[:2] == b"\xfe\x80":
        yield _no(
            ev,
            "dissolved",
            "was connected to a link-local address and still takes the datagrams of that host alone",
            "on which interface cannot be read, and without one it cannot be connected there again; ipv6(7)",
            "close it and retry",
        )


def _shut(ev: FileEvidence) -> tuple[str, ...]:
    events = ev.borrowed.poll(sockets.POLLRDHUP)
    if events & sockets.POLLHUP:
        return ("read", "write")
    if events & sockets.POLLRDHUP:
        return ("read",)
    seen = _listed(ev)
    return ("write",) if seen is not None and (seen.shutdown or 0) & SEND_SHUTDOWN else ()


def _listed(ev: FileEvidence) -> InetSocket | None:
    try:
        return _diag(ev)
    except KernelLacks:
        return None  # refuse has said so


def _dissolved(ev: FileEvidence) -> bytes:
    # connect with AF_UNSPEC clears the other end, but not sk_v6_daddr, which a lookup goes by: Linux net/ipv4/udp.c __udp_disconnect,
    # net/ipv6/udp.c compute_score
    seen = _listed(ev)
    return seen.remote[0] if seen is not None and any(seen.remote[0]) and _remote(ev) is None else b""


def _leases(ev: FileEvidence) -> Iterator[Unchecked]:
    sort = sockets.identity(ev)
    if sort is None or sort[0] != AF_INET6:
        return
    if len(multicast.text(ev, "net/ip6_flowlabel").splitlines()) > 1:
        yield Unchecked(
            "sock.udp", f"{ev.where}: IPv6 flow labels", "some are leased in this namespace, and no interface says by which socket"
        )
    # the addresses of routers' own anycast groups stand there as well, on a machine that forwards
    if multicast.text(ev, "net/anycast6").strip():
        yield Unchecked("sock.udp", f"{ev.where}: IPv6 anycast groups", "some are joined in this namespace, and no interface says by whom")


def dump(ev: FileEvidence) -> Udp:
    sort = sockets.identity(ev)
    assert sort is not None
    local, remote = sockets.address(ev.borrowed.sockname()), _remote(ev)
    # over IPv6 it tells who chose the address: see _chosen
    also = (V6ONLY,) if remote is not None and len(local.host) == 16 else ()
    uid, gid = files.owner(ev.process, ev.stat)
    return Udp(
        family=FAMILIES[sort[0]],
        flags=files.names(ev.flags),
        local=local if local.is_set else None,
        remote=remote,
        groups=multicast.groups(ev),
        shutdown=_shut(ev),
        options=socket_options.options(ev, skip=MOVING if remote is not None else (), also=also),
        uid=uid,
        gid=gid,
        mode=S_IMODE(ev.stat.st_mode),
        dissolved=_dissolved(ev),
    )


def restore(rec: Udp, steps: Steps) -> None:
    part = steps.part(needs=("born", "caps", "limits"))
    fd = part.call("socket", NUMBERS[rec.family], sockets.DGRAM | sockets.CLOEXEC, IPPROTO_UDP)
    if rec.dissolved:
        once = Address(rec.dissolved, DISCARD).pack()
        part.call("connect", fd, once, len(once))
        part.call("connect", fd, AF_UNSPEC, len(AF_UNSPEC))
    # every option and group before the name: what comes in from then on is taken or dropped as it was
    socket_options.set_options(part, fd, rec.options, ("bind", "set", "size", "linger", "late"))
    multicast.join(part, fd, rec.groups)
    if rec.local is not None:
        address = _chosen(rec, rec.local).pack()
        part.call("bind", fd, address, len(address))
    if rec.remote is not None:
        address = rec.remote.pack()
        part.call("connect", fd, address, len(address))
    for how, word in enumerate(("read", "write")):
        if word in rec.shutdown:
            # ENOTCONN where it is not connected, and done all the same: Linux net/ipv4/af_inet.c inet_shutdown
            part.call("shutdown", fd, how, check=ANY)
    sockets.set_inode(part, fd, rec.uid, rec.gid, rec.mode)
    files.set_flags(part, fd, rec.flags)
    part.opened(fd)


def _chosen(rec: Udp, local: Address) -> Address:
    # Binding to one IPv6 address makes a socket IPV6_V6ONLY for good (Linux net/ipv6/af_inet6.c __inet6_bind). A connected one that is not
    # had its address from the route, and only its port from the kernel or the program.
    only = any(o.name == V6ONLY and o.values == (1,) for o in rec.options)
    if rec.remote is None or len(local.host) == 4 or only or local.host.startswith(MAPPED):
        return local
    return Address(bytes(16), local.port)


def compare(before: Udp, after: Udp, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("sock.udp", where, before, after)


KIND = Kind("sock.udp", record=Udp, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
