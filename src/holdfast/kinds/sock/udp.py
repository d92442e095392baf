"""sock.udp: a UDP socket over IPv4 or IPv6: unbound, bound or connected, with nothing in its queues.

Carries:  local and remote address and port, every option that can be read and set (kernel/uapi/sockopts.py) at the socket, IP, IPv6
          and UDP level, classic BPF filter, multicast memberships with their source filters, shut down reading, status flags,
          owner and mode.
Loses:    shut down writing of a socket that is not shut down for reading; whether the program or the kernel chose address and port
          (it matters to connect with AF_UNSPEC alone); the counters of SO_RXQ_OVFL; which CPU a connected socket's last datagram came in
          on (SO_INCOMING_CPU); anycast memberships; SO_COOKIE; what kinds/socket_options.py lists.
Sources:  udp(7), ip(7), ipv6(7), socket(7), RFC 3678, Linux net/ipv4/udp.c, net/ipv4/igmp.c, net/ipv6/mcast.c.
"""

from __future__ import annotations

from errno import EADDRNOTAVAIL, ENODEV, ENOTCONN
from stat import S_IMODE

from holdfast.kinds import files, socket_options, sockets
from holdfast.kinds.contract import Claim, Kind, Link, Refusal, Struct, Unchecked, compare_fields, verbs
from holdfast.kinds.socket_options import Option  # noqa: TC001 - image.schema finds a field's class by its name here
from holdfast.kinds.sockets import AF_INET, AF_INET6, Address
from holdfast.model.record import Record
from holdfast.prog.call import ANY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId

FAMILIES = {AF_INET: "AF_INET", AF_INET6: "AF_INET6"}
NUMBERS = {name: number for number, name in FAMILIES.items()}


class Membership(Record):
    """One multicast group that a socket is in, on one interface, and from whom it takes datagrams there."""

    group: bytes  # 4 or 16 bytes
    interface: int
    exclude: bool = True  # all sources but these; else these alone
    sources: tuple[bytes, ...] = ()


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


WATCHES = (Struct("udp_sock"), Struct("inet_sock"), Struct("ipv6_pinfo"), Struct("sock"), Link("socket:["))
IPPROTO_UDP = 17
MCAST_JOIN_GROUP, MCAST_MSFILTER = 42, 48
MCAST_EXCLUDE, MCAST_INCLUDE = 0, 1
STORAGE = 128  # bytes of struct sockaddr_storage
MAX_SOURCES = 128
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
    _, unreadable = _groups(ev)
    for group, interface in unreadable:
        yield _no(
            ev,
            "sources",
            f"filters more than {MAX_SOURCES} sources of multicast group {group.hex()} on interface {interface}",
            "RFC 3678 MCAST_MSFILTER",
            "leave the group",
        )
    yield from _leases(ev)


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


# --- multicast: /proc lists the groups of an interface, whoever joined; each socket is asked about each


def _groups(ev: FileEvidence) -> tuple[tuple[Membership, ...], list[tuple[bytes, int]]]:
    return sockets.once(ev, "groups", lambda: _ask_groups(ev))


def _ask_groups(ev: FileEvidence) -> tuple[tuple[Membership, ...], list[tuple[bytes, int]]]:
    sort = sockets.identity(ev)
    assert sort is not None
    joined, unreadable = [], []
    for level, group, interface in sockets.once_in(ev.tree, ("groups", ev.process.namespace("net")), lambda: _listed(ev)):
        if level == 41 and sort[0] == AF_INET:
            continue
        found = _membership(ev, level, group, interface)
        if found is None:
            continue
        if len(found.sources) > MAX_SOURCES:
            unreadable.append((group, interface))
        else:
            joined.append(found)
    return tuple(sorted(joined, key=lambda m: (m.group, m.interface))), unreadable


def _listed(ev: FileEvidence) -> list[tuple[int, bytes, int]]:
    # level, group, interface
    out = []
    index = 0
    for line in _text(ev, "net/igmp").splitlines()[1:]:
        words = line.split()
        if not line[:1].isspace():
            index = int(words[0])  # an interface; its groups follow, each a word in the machine's byte order
        else:
            group = int(words[0], 16).to_bytes(4, "little")
            if group != bytes((224, 0, 0, 1)):  # all hosts: every interface is in it by itself
                out.append((0, group, index))
    for line in _text(ev, "net/igmp6").splitlines():
        words = line.split()
        out.append((41, bytes.fromhex(words[2].decode()), int(words[0])))
    return out


def _text(ev: FileEvidence, name: str) -> bytes:
    try:
        return ev.process.read(name)
    except FileNotFoundError:
        return b""  # no IPv6, or no multicast


def _membership(ev: FileEvidence, level: int, group: bytes, interface: int) -> Membership | None:
    # struct group_filter: interface, group, mode, number of sources, sources; EADDRNOTAVAIL where the socket is not in the group
    room = 8 + STORAGE + 8 + (MAX_SOURCES + 1) * STORAGE
    asked = interface.to_bytes(8, "little") + _storage(group) + bytes(4) + (MAX_SOURCES + 1).to_bytes(4, "little")
    try:
        raw = sockets.getsockopt_filled(ev, level, MCAST_MSFILTER, asked, room)
    except OSError as e:
        if e.errno in (EADDRNOTAVAIL, ENODEV):
            return None
        raise
    at = 8 + STORAGE
    mode, count = int.from_bytes(raw[at : at + 4], "little"), int.from_bytes(raw[at + 4 : at + 8], "little")
    sources = tuple(_plain(raw[at + 8 + i * STORAGE : at + 8 + (i + 1) * STORAGE]) for i in range(min(count, MAX_SOURCES + 1)))
    return Membership(group, interface, mode == MCAST_EXCLUDE, tuple(sorted(sources)))


def _storage(host: bytes) -> bytes:
    return Address(host, 0).pack().ljust(STORAGE, b"\0")


def _plain(storage: bytes) -> bytes:
    return sockets.address(storage).host


def _leases(ev: FileEvidence) -> Iterator[Unchecked]:
    sort = sockets.identity(ev)
    if sort is None or sort[0] != AF_INET6:
        return
    if len(_text(ev, "net/ip6_flowlabel").splitlines()) > 1:
        yield Unchecked(
            "sock.udp", f"{ev.where}: IPv6 flow labels", "some are leased in this namespace, and no interface says by which socket"
        )
    # the addresses of routers' own anycast groups stand there as well, on a machine that forwards
    if _text(ev, "net/anycast6").strip():
        yield Unchecked("sock.udp", f"{ev.where}: IPv6 anycast groups", "some are joined in this namespace, and no interface says by whom")


def dump(ev: FileEvidence) -> Udp:
    sort = sockets.identity(ev)
    assert sort is not None
    local, remote = sockets.address(ev.borrowed.sockname()), _remote(ev)
    events = ev.borrowed.poll(sockets.POLLRDHUP)
    read, both = bool(events & sockets.POLLRDHUP), bool(events & sockets.POLLHUP)
    uid, gid = files.owner(ev.process, ev.stat)
    return Udp(
        family=FAMILIES[sort[0]],
        flags=files.names(ev.flags),
        local=local if local.is_set else None,
        remote=remote,
        groups=_groups(ev)[0],
        shutdown=("read", "write") if both else ("read",) if read else (),
        options=socket_options.options(ev, skip=MOVING if remote is not None else ()),
        uid=uid,
        gid=gid,
        mode=S_IMODE(ev.stat.st_mode),
    )


def restore(rec: Udp, steps: Steps) -> None:
    part = steps.part(needs=("born", "caps", "limits"))
    fd = part.call("socket", NUMBERS[rec.family], sockets.DGRAM | sockets.CLOEXEC, IPPROTO_UDP)
    # every option and group before the name: what comes in from then on is taken or dropped as it was
    socket_options.set_options(part, fd, rec.options, ("bind", "set", "size", "linger", "late"))
    for one in rec.groups:
        level = 0 if len(one.group) == 4 else 41
        joined = one.interface.to_bytes(8, "little") + _storage(one.group)
        part.call("setsockopt", fd, level, MCAST_JOIN_GROUP, joined, len(joined))
        if one.sources or not one.exclude:
            mode = MCAST_EXCLUDE if one.exclude else MCAST_INCLUDE
            data = joined + mode.to_bytes(4, "little") + len(one.sources).to_bytes(4, "little")
            data += b"".join(_storage(source) for source in one.sources)
            part.call("setsockopt", fd, level, MCAST_MSFILTER, data, len(data))
    if rec.local is not None:
        address = rec.local.pack()
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


def compare(before: Udp, after: Udp, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("sock.udp", where, before, after)


KIND = Kind("sock.udp", record=Udp, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
