"""The multicast groups that an internet socket is in: shared by the kinds of sockets, which may not import each other.

/proc lists the groups of an interface, whoever joined; each socket is asked about each. The address by which a program named the
interface (struct ip_mreq) has no getter; it tells groups apart only for IP_DROP_MEMBERSHIP with an address that is no address of this
machine any more, and each kind points here under Loses.
"""

from __future__ import annotations

from errno import EADDRNOTAVAIL, ENODEV

from holdfast.kinds import files, sockets
from holdfast.kinds.contract import Refusal
from holdfast.kinds.sockets import AF_INET, Address
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.kinds.contract import Part
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.prog.call import Arg

IPPROTO_IP, IPPROTO_IPV6 = 0, 41
MCAST_JOIN_GROUP, MCAST_MSFILTER = 42, 48
MCAST_EXCLUDE, MCAST_INCLUDE = 0, 1
STORAGE = 128  # bytes of struct sockaddr_storage
FEW, MAX_SOURCES = 4, 128
ALL_HOSTS = bytes((224, 0, 0, 1))  # every interface is in it by itself


class Membership(Record):
    """One multicast group that a socket is in, on one interface, and from whom it takes datagrams there."""

    group: bytes  # 4 or 16 bytes
    interface: int
    exclude: bool = True  # all sources but these; else these alone
    sources: tuple[bytes, ...] = ()


def groups(ev: FileEvidence) -> tuple[Membership, ...]:
    """The groups that a socket is in, by group and interface, without those that filter too many sources."""
    return _asked(ev)[0]


def verdicts(ev: FileEvidence, kind: str) -> Iterator[Refusal]:
    """What stands against carrying the groups of a socket."""
    for group, interface in _asked(ev)[1]:
        yield Refusal(
            f"{kind}.sources",
            f"{files.who(ev)} filters more than {MAX_SOURCES} sources of multicast group {group.hex()} on interface {interface}",
            ev.where,
            "RFC 3678 MCAST_MSFILTER",
            "leave the group",
        )


def join(part: Part, fd: Arg, wanted: Iterable[Membership]) -> None:
    """Join the groups, with their source filters."""
    for one in wanted:
        level = IPPROTO_IP if len(one.group) == 4 else IPPROTO_IPV6
        joined = one.interface.to_bytes(8, "little") + _storage(one.group)
        part.call("setsockopt", fd, level, MCAST_JOIN_GROUP, joined, len(joined))
        if one.sources or not one.exclude:
            mode = MCAST_EXCLUDE if one.exclude else MCAST_INCLUDE
            data = joined + mode.to_bytes(4, "little") + len(one.sources).to_bytes(4, "little")
            data += b"".join(_storage(source) for source in one.sources)
            part.call("setsockopt", fd, level, MCAST_MSFILTER, data, len(data))


# --- read


def _asked(ev: FileEvidence) -> tuple[tuple[Membership, ...], list[tuple[bytes, int]]]:
    return sockets.once(ev, "groups", lambda: _ask(ev))


def _ask(ev: FileEvidence) -> tuple[tuple[Membership, ...], list[tuple[bytes, int]]]:
    sort = sockets.identity(ev)
    assert sort is not None
    joined, unreadable = [], []
    for level, group, interface in sockets.once_in(ev.tree, ("groups", ev.process.namespace("net")), lambda: _listed(ev)):
        if level == IPPROTO_IPV6 and sort[0] == AF_INET:
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
    for line in text(ev, "net/igmp").splitlines()[1:]:
        words = line.split()
        if not line[:1].isspace():
            index = int(words[0])  # an interface; its groups follow, each a word in the machine's byte order
        else:
            group = int(words[0], 16).to_bytes(4, "little")
            if group != ALL_HOSTS:
                out.append((IPPROTO_IP, group, index))
    for line in text(ev, "net/igmp6").splitlines():
        words = line.split()
        out.append((IPPROTO_IPV6, bytes.fromhex(words[2].decode()), int(words[0])))
    return out


def text(ev: FileEvidence, name: str) -> bytes:
    """A list of the network namespace, empty where this kernel has none: no IPv6, or no multicast."""
    try:
        return ev.process.read(name)
    except FileNotFoundError:
        return b""


def _membership(ev: FileEvidence, level: int, group: bytes, interface: int, most: int = FEW) -> Membership | None:
    # struct group_filter: interface, group, mode, number of sources, sources; EADDRNOTAVAIL where the socket is not in the group
    asked = interface.to_bytes(8, "little") + _storage(group) + bytes(4) + most.to_bytes(4, "little")
    try:
        raw = sockets.getsockopt_filled(ev, level, MCAST_MSFILTER, asked, len(asked) + most * STORAGE)
    except OSError as e:
        if e.errno in (EADDRNOTAVAIL, ENODEV):
            return None
        raise
    at = 8 + STORAGE
    mode, count = int.from_bytes(raw[at : at + 4], "little"), int.from_bytes(raw[at + 4 : at + 8], "little")
    if count > most == FEW:
        return _membership(ev, level, group, interface, MAX_SOURCES + 1)
    sources = tuple(_plain(raw[at + 8 + i * STORAGE : at + 8 + (i + 1) * STORAGE]) for i in range(min(count, most)))
    return Membership(group, interface, mode == MCAST_EXCLUDE, tuple(sorted(sources)))


def _storage(host: bytes) -> bytes:
    return Address(host, 0).pack().ljust(STORAGE, b"\0")


def _plain(storage: bytes) -> bytes:
    return sockets.address(storage).host
