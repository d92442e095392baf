"""Sockets of a tree that hold one port, and whether they can be bound to it again: shared by the kinds of TCP and UDP sockets.

They are bound one by one, each with its options as they are and a TCP listener listening at once, in any order. A program may have bound
them in another order, or have cleared afterwards what let them share the port.

Source:  socket(7) SO_REUSEADDR, SO_REUSEPORT; Linux net/ipv4/inet_connection_sock.c inet_csk_bind_conflict, net/ipv4/udp.c
         udp_lib_lport_inuse
"""

from __future__ import annotations

from holdfast.kinds import files, sockets
from holdfast.kinds.contract import Refusal
from holdfast.kinds.sockets import SOL_SOCKET, number
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.kinds.evidence import FileEvidence

    Where = Callable[[FileEvidence], "Bound | None"]

SO_REUSEADDR, SO_REUSEPORT, SO_BINDTODEVICE = 2, 15, 25
IPPROTO_IPV6, IPV6_V6ONLY = 41, 26
MAPPED = bytes(10) + b"\xff\xff"


class Bound(Record):
    """What a restore binds a socket to: 4 or 16 bytes, and whether it listens."""

    host: bytes
    listening: bool = False


def verdicts(ev: FileEvidence, kind: str, port: int, where: Where) -> Iterator[Refusal]:
    """A refusal of a socket that another one of the tree keeps from being bound again; `where` tells of each what it is bound to."""
    if not port:
        return
    mates = sockets.once_in(ev.tree, ("ports", kind), lambda: _by_port(ev)).get((ev.process.namespace("net"), port), [])
    mine = where(ev) if len(mates) > 1 else None
    if mine is None:
        return
    for mate in mates:
        theirs = where(mate) if mate is not ev else None
        if theirs is not None and _overlap(ev, mine, mate, theirs) and not _may_share(ev, mine, mate, theirs):
            yield Refusal(
                f"{kind}.shared",
                f"{files.who(ev)} shares port {port} with fd {int(mate.fd)}, and the two could not be bound again in any order",
                ev.where,
                "one of them listens, or has not the option (SO_REUSEADDR, SO_REUSEPORT) that let them share the port; socket(7)",
                "close one of the two and retry",
            )
            return


def _by_port(ev: FileEvidence) -> dict[tuple[int, int], list[FileEvidence]]:
    # sockets of the same protocol in the same network namespace, whichever their family
    sort = sockets.identity(ev)
    out: dict[tuple[int, int], list[FileEvidence]] = {}
    for file in sockets.by_inode(ev.tree).values():
        other = sockets.identity(file)
        if sort is not None and other is not None and other[0] in (sockets.AF_INET, sockets.AF_INET6) and other[1:] == sort[1:]:
            at = sockets.address(file.borrowed.sockname()).port
            if at:
                out.setdefault((file.process.namespace("net"), at), []).append(file)
    return out


def _overlap(one: FileEvidence, first: Bound, two: FileEvidence, second: Bound) -> bool:
    devices = [ev.borrowed.getsockopt(SOL_SOCKET, SO_BINDTODEVICE, 16) for ev in (one, two)]
    families, host = _reach(one, first.host)
    others, other = _reach(two, second.host)
    return devices[0] == devices[1] and bool(families & others) and (host == other or not (any(host) and any(other)))


def _reach(ev: FileEvidence, host: bytes) -> tuple[frozenset[int], bytes]:
    # the families whose packets come in, and the address in its own family
    if len(host) == 4:
        return frozenset((4,)), host
    if host.startswith(MAPPED):
        return frozenset((4,)), host[12:]
    both = not any(host) and not _on(ev, IPV6_V6ONLY, IPPROTO_IPV6)
    return frozenset((4, 6) if both else (6,)), host


def _may_share(one: FileEvidence, first: Bound, two: FileEvidence, second: Bound) -> bool:
    if _on(one, SO_REUSEPORT) and _on(two, SO_REUSEPORT):
        return True
    return _on(one, SO_REUSEADDR) and _on(two, SO_REUSEADDR) and not (first.listening or second.listening)


def _on(ev: FileEvidence, option: int, level: int = SOL_SOCKET) -> bool:
    return bool(number(ev.borrowed.getsockopt(level, option)))
