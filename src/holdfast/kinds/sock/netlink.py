"""sock.netlink: a netlink socket that asks the kernel about routes, sockets or device events, with nothing in its queue.

Carries:  protocol (NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_KOBJECT_UEVENT), type, port number, multicast groups, the port it is
          connected to, every option that can be read and set (kernel/uapi/sockopts.py), classic BPF filter, status flags, owner, mode;
          that it was in groups and left them all; where the kernel has netlink_diag, that it is connected to the kernel's own port.
Loses:    what the kernel sends to its groups between the dump and the restore, as in an overrun that goes unreported; SO_COOKIE; what
          kinds/socket_options.py lists.
Sources:  netlink(7), rtnetlink(7), sock_diag(7), Linux net/netlink/af_netlink.c, net/netlink/diag.c.
"""

from __future__ import annotations

from stat import S_IMODE

from holdfast.kinds import files, socket_options, sockets
from holdfast.kinds.contract import Claim, Kind, Link, Loss, Refusal, Struct, compare_fields, verbs
from holdfast.kinds.socket_options import Option  # noqa: TC001 - image.schema finds a field's class by its name here
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kernel.sockdiag import NetlinkSocket
    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId


class Netlink(Record):
    """A netlink socket; port 0 where it was not bound."""

    protocol: str
    type: str
    flags: tuple[str, ...] = ()
    port: int = 0
    groups: tuple[int, ...] = ()  # numbers, from 1
    peer_port: int = 0
    peer_groups: int = 0
    options: tuple[Option, ...] = ()
    uid: int = 0
    gid: int = 0
    mode: int = 0o777
    to_kernel: bool = False  # connected to port 0
    left_groups: bool = False  # it is in none and was in some: NETLINK_LIST_MEMBERSHIPS answers with as many bytes as there are groups


WATCHES = (Struct("netlink_sock"), Struct("sock"), Link("socket:["))
# protocols that keep nothing about a port but what is here; the others register listeners, queues or daemons in their family
PROTOCOLS = {0: "NETLINK_ROUTE", 4: "NETLINK_SOCK_DIAG", 15: "NETLINK_KOBJECT_UEVENT"}
NUMBERS = {name: number for number, name in PROTOCOLS.items()}
NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP, NETLINK_LIST_MEMBERSHIPS = 1, 2, 9
AF_NETLINK, SOL_NETLINK = 16, 270
SILENT = 14  # a group that nothing is sent to: RTNLGRP_NOP2, and none of the other protocols
CB_RUNNING = 1  # NDIAG_FLAG_CB_RUNNING
CONNECTED = 1  # NETLINK_CONNECTED


def detect(ev: FileEvidence) -> Claim | None:
    sort = sockets.identity(ev)
    if sort is None or sort[0] != AF_NETLINK or sort[2] not in PROTOCOLS:
        return None
    return Claim(f"netlink {PROTOCOLS[sort[2]]}")


def _address(raw: bytes) -> tuple[int, int]:
    # struct sockaddr_nl: port, groups as bits
    return int.from_bytes(raw[4:8], "little"), int.from_bytes(raw[8:12], "little")


def _listed(ev: FileEvidence) -> bytes:
    return ev.borrowed.getsockopt(SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, 512)


def _groups(raw: bytes) -> tuple[int, ...]:
    bits = int.from_bytes(raw, "little")
    return tuple(n + 1 for n in range(bits.bit_length()) if bits >> n & 1)


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    unreachable = list(sockets.unreachable_namespace(ev, "sock.netlink"))
    if unreachable:
        yield from unreachable
        return
    yield from files.unknown_flags(ev, "sock.netlink")
    yield from sockets.inode_verdicts(ev, "sock.netlink")
    yield from socket_options.option_verdicts(ev, "sock.netlink")
    events = ev.borrowed.poll(sockets.POLLIN)
    if events & (sockets.POLLIN | sockets.POLLERR) or _answering(ev):
        yield Refusal(
            "sock.netlink.queued",
            f"{files.who(ev)} waits for an answer of the kernel, or has one that it has not read",
            ev.where,
            "an answer cannot be put back into the queue, nor a listing be taken up in its middle; netlink(7)",
            "let the program read it and retry",
        )
    groups = _groups(_listed(ev))
    if groups:
        yield Loss("sock.netlink", ev.id, f"messages to groups {', '.join(map(str, groups))} while nobody listens", "netlink(7)")


def _answering(ev: FileEvidence) -> bool:
    # a listing that the kernel is in the middle of
    seen = _seen(ev)
    return seen is not None and bool((seen.flags or 0) & CB_RUNNING)


def _seen(ev: FileEvidence) -> NetlinkSocket | None:
    # what netlink_diag says of it, where the kernel has that
    from holdfast.errors import KernelLacks  # netlink sockets are rare
    from holdfast.kernel import sockdiag

    try:
        every = sockets.once_in(
            ev.tree, ("netlink", ev.process.namespace("net")), lambda: sockdiag.netlink_sockets(sockets.diag(ev.process))
        )
    except KernelLacks:
        return None
    return next((s for s in every if s.ino == sockets.inode(ev)), None)


def dump(ev: FileEvidence) -> Netlink:
    sort = sockets.identity(ev)
    assert sort is not None
    port, _ = _address(ev.borrowed.sockname())
    peer_port, peer_groups = _address(ev.borrowed.peername())
    uid, gid = files.owner(ev.process, ev.stat)
    listed, seen = _listed(ev), _seen(ev)
    groups = _groups(listed)
    return Netlink(
        protocol=PROTOCOLS[sort[2]],
        type=sockets.TYPES[sort[1]],
        flags=files.names(ev.flags),
        port=port,
        groups=groups,
        peer_port=peer_port,
        peer_groups=peer_groups,
        options=socket_options.options(ev),
        uid=uid,
        gid=gid,
        mode=S_IMODE(ev.stat.st_mode),
        to_kernel=not (peer_port or peer_groups) and seen is not None and seen.state == CONNECTED,
        left_groups=bool(listed) and not groups,
    )


def restore(rec: Netlink, steps: Steps) -> None:
    part = steps.part(needs=("born", "caps", "limits"))
    fd = part.call("socket", AF_NETLINK, sockets.NUMBERS[rec.type] | sockets.CLOEXEC, NUMBERS[rec.protocol])
    socket_options.set_options(part, fd, rec.options, ("bind", "set", "size", "linger", "late"))
    if rec.port:
        part.call("bind", fd, _pack(rec.port, 0), 12)
    if rec.left_groups:
        for option in (NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP):
            part.call("setsockopt", fd, SOL_NETLINK, option, SILENT.to_bytes(4, "little"), 4)
    for group in rec.groups:
        part.call("setsockopt", fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group.to_bytes(4, "little"), 4)
    if rec.to_kernel or rec.peer_port or rec.peer_groups:
        part.call("connect", fd, _pack(rec.peer_port, rec.peer_groups), 12)
    sockets.set_inode(part, fd, rec.uid, rec.gid, rec.mode)
    files.set_flags(part, fd, rec.flags)
    part.opened(fd)


def _pack(port: int, groups: int) -> bytes:
    return AF_NETLINK.to_bytes(4, "little") + port.to_bytes(4, "little") + groups.to_bytes(4, "little")


def compare(before: Netlink, after: Netlink, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("sock.netlink", where, before, after)


KIND = Kind("sock.netlink", record=Netlink, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
