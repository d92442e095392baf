"""What the kinds of sockets have in common: who a socket is, which others are in the tree, its inode, its address, and who made it.

Kinds may not import each other, and these questions are the same for all of them. What refuse and dump both ask of one tree is asked once.
"""

from __future__ import annotations

import os
from errno import EACCES, EPERM, ERANGE

from holdfast.kinds import files, tasks
from holdfast.kinds.contract import Refusal, Unchecked
from holdfast.model.record import Record
from holdfast.prog.call import ANY, Out, Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from holdfast.kinds.contract import Part
    from holdfast.kinds.evidence import FileEvidence, ProcessEvidence, TreeEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Arg

    T = TypeVar("T")

LINK = b"socket:["
SOL_SOCKET = 1
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
STREAM, DGRAM, RAW, SEQPACKET = 1, 2, 3, 5
SO_TYPE, SO_PROTOCOL, SO_DOMAIN = 3, 38, 39
SO_PEERCRED, SO_PEERGROUPS = 17, 59
TYPES = {STREAM: "SOCK_STREAM", DGRAM: "SOCK_DGRAM", SEQPACKET: "SOCK_SEQPACKET", RAW: "SOCK_RAW"}
NUMBERS = {name: number for number, name in TYPES.items()}
CLOEXEC = 0o2000000
POLLIN, POLLPRI, POLLERR, POLLHUP, POLLRDHUP = 1, 2, 8, 16, 0x2000
FIONREAD, SIOCOUTQ = 0x541B, 0x5411
NOBODY = 0xFFFFFFFF


class Maker(Record):
    """Whom a socket names as its other end: SO_PEERCRED and SO_PEERGROUPS, numbers as the tree sees them; process None if outside."""

    process: ObjectId | None
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


class Address(Record):
    """An internet address and port; flow label and scope are IPv6's."""

    host: bytes  # 4 or 16, in network order
    port: int
    flow: int = 0
    scope: int = 0

    def __str__(self) -> str:
        import _socket  # only messages pay for it

        if len(self.host) == 4:
            return f"{_socket.inet_ntop(AF_INET, self.host)}:{self.port}"
        scope = f"%{self.scope}" if self.scope else ""
        return f"[{_socket.inet_ntop(AF_INET6, self.host)}{scope}]:{self.port}"

    @property
    def is_set(self) -> bool:
        """Whether it is more than any address and no port."""
        return bool(self.port) or any(self.host)

    def pack(self) -> bytes:
        """The bytes of struct sockaddr_in or sockaddr_in6."""
        port = self.port.to_bytes(2, "big")
        if len(self.host) == 4:
            return AF_INET.to_bytes(2, "little") + port + self.host + bytes(8)
        return AF_INET6.to_bytes(2, "little") + port + self.flow.to_bytes(4, "big") + self.host + self.scope.to_bytes(4, "little")


def address(raw: bytes) -> Address:
    """The address in a struct sockaddr_in or sockaddr_in6."""
    port = int.from_bytes(raw[2:4], "big")
    if int.from_bytes(raw[:2], "little") == AF_INET:
        return Address(raw[4:8], port)
    return Address(raw[8:24], port, int.from_bytes(raw[4:8], "big"), int.from_bytes(raw[24:28], "little"))


# --- which socket is it


def identity(ev: FileEvidence) -> tuple[int, int, int] | None:
    """Domain, type and protocol of a socket; None of any other file."""
    if not ev.link.startswith(LINK):
        return None

    def ask() -> tuple[int, int, int]:
        get = ev.borrowed.getsockopt
        return number(get(SOL_SOCKET, SO_DOMAIN)), number(get(SOL_SOCKET, SO_TYPE)), number(get(SOL_SOCKET, SO_PROTOCOL))

    return once(ev, "identity", ask)


def number(raw: bytes) -> int:
    """The int that an option's bytes are."""
    return int.from_bytes(raw, "little", signed=True)


def getsockopt_filled(ev: FileEvidence, level: int, option: int, asked: bytes, room: int) -> bytes:
    """The answer of a getter that reads its buffer first, such as MCAST_MSFILTER.

    Raises:  OSError: as getsockopt(2)
    """
    import ctypes  # the tracer has it already; who only reads images does not

    buffer = ctypes.create_string_buffer(asked, room)
    length = ctypes.c_uint32(room)
    if _libc().getsockopt(ev.borrowed.fd, level, option, buffer, ctypes.byref(length)) < 0:
        raise last_error()
    return buffer.raw[: length.value]


def counted_getsockopt(ev: FileEvidence, level: int, option: int, unit: int) -> bytes:
    """The answer of a getter whose length counts units of several bytes, such as SO_GET_FILTER.

    Raises:  OSError: as getsockopt(2)
    """
    import ctypes  # as above

    length = ctypes.c_uint32(0)
    if _libc().getsockopt(ev.borrowed.fd, level, option, None, ctypes.byref(length)) < 0:
        raise last_error()
    if not length.value:
        return b""
    buffer = ctypes.create_string_buffer(length.value * unit)
    if _libc().getsockopt(ev.borrowed.fd, level, option, buffer, ctypes.byref(length)) < 0:
        raise last_error()
    return buffer.raw


_c: Any = None


def _libc() -> Any:
    global _c
    if _c is None:
        import ctypes  # opening the C library takes longer than all questions of a small tree

        _c = ctypes.CDLL(None, use_errno=True)
    return _c


def last_error() -> OSError:
    """What the last call into the C library failed with."""
    import ctypes  # as above

    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))


def inode(ev: FileEvidence) -> int:
    """The inode number of a socket, from what /proc/PID/fd/FD leads to."""
    return int(ev.link[len(LINK) : -1])


def by_inode(tree: TreeEvidence) -> dict[int, FileEvidence]:
    """The sockets of a tree; a socket has one open file description.

    Source:  Linux net/socket.c sock_alloc_file
    """
    return once_in(tree, ("by inode",), lambda: {inode(f): f for f in tree.files if f.link.startswith(LINK)})


def once(ev: FileEvidence, word: str, make: Callable[[], T]) -> T:
    """What `make` gives, asked once for each socket of a tree: refuse and dump need the same answers."""
    return once_in(ev.tree, (word, ev.id), make)


def once_in(tree: TreeEvidence, key: tuple[object, ...], make: Callable[[], T]) -> T:
    """What `make` gives, asked once for each tree."""
    memo = _kept(tree).memo
    if key not in memo:
        memo[key] = make()
    found: T = memo[key]
    return found


def leads_out(ev: FileEvidence) -> bool:
    """Whether a socket is connected to one that the tree does not hold."""
    sort = identity(ev)
    if sort is None:
        return False
    if sort[0] != AF_UNIX:
        try:
            ev.borrowed.peername()
        except OSError:
            return False
        return sort[0] in (AF_INET, AF_INET6)
    from holdfast.kernel import sockdiag  # see diag

    seen = sockdiag.unix_socket(diag(ev.process), inode(ev))
    return seen is not None and bool(seen.peer) and seen.peer not in by_inode(ev.tree)


def stopped(ev: FileEvidence) -> bool:
    """Whether the target is stopped by us, so that nothing changes between two looks."""
    return ev.process.leader.stopped is not None


class _Kept:
    # what was read about one tree: detect, refuse and dump of several kinds ask the same
    __slots__ = ("diags", "memo", "tree")

    def __init__(self, tree: TreeEvidence) -> None:
        self.tree = tree
        self.memo: dict[tuple[object, ...], Any] = {}
        self.diags: dict[int, int] = {}


_last: _Kept | None = None


def _kept(tree: TreeEvidence) -> _Kept:
    global _last
    if _last is None or _last.tree is not tree:
        if _last is not None:
            for fd in _last.diags.values():
                os.close(fd)
        _last = _Kept(tree)
    return _last


# --- network namespaces

CLONE_NEWNET = 0x40000000


def in_namespace(process: ProcessEvidence, make: Callable[[], int]) -> int:
    """A descriptor that `make` makes in the process's network namespace: a socket belongs to the one it was made in, whoever holds it.

    Raises:  OSError: another namespace, and we may not enter it
    """
    if process.namespace("net") in (tasks.own_namespace(process.tree, "net"), 0):
        return make()
    back = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/proc/{int(process.pid)}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc().setns(there, CLONE_NEWNET) < 0:
                raise last_error()
        finally:
            os.close(there)
        try:
            return make()
        finally:
            if _libc().setns(back, CLONE_NEWNET) < 0:
                raise last_error()
    finally:
        os.close(back)


def diag(process: ProcessEvidence) -> int:
    """A NETLINK_SOCK_DIAG socket of the process's network namespace, for kernel.sockdiag; ours to keep.

    Raises:  OSError: another namespace, and we may not enter it
    """
    from holdfast.kernel import sockdiag  # only trees with sockets pay for it

    diags = _kept(process.tree).diags
    space = process.namespace("net")
    if space not in diags:
        diags[space] = in_namespace(process, sockdiag.open_socket)
    return diags[space]


def unreachable_namespace(ev: FileEvidence, kind: str) -> Iterator[Refusal | Unchecked]:
    """A refusal where the socket's network namespace is another than ours and may not be entered; of a running target an open question."""
    try:
        diag(ev.process)
    except OSError as e:
        if e.errno not in (EPERM, EACCES):
            raise
        what, why = f"{ev.where}: its network namespace may not be entered", "setns(2) needs CAP_SYS_ADMIN there"
        yield Refusal(f"{kind}.namespace", what, ev.where, why, "dump as root") if stopped(ev) else Unchecked(kind, what, why)


# --- its inode


def inode_verdicts(ev: FileEvidence, kind: str) -> Iterator[Refusal]:
    """What stands against carrying the inode of a socket: owner, extended attributes."""
    if -1 in files.owner(ev.process, ev.stat):
        yield Refusal(
            f"{kind}.owner",
            f"{files.who(ev)} belongs to user {ev.stat.st_uid}, group {ev.stat.st_gid}, which its user namespace does not know",
            ev.where,
            "user_namespaces(7)",
            "dump it from the user namespace that made it",
        )
    strange = [name for name in os.listxattr(ev.borrowed.fd) if name != "system.sockprotoname" and not name.startswith("security.")]
    if strange:
        yield Refusal(
            f"{kind}.xattr",
            f"{files.who(ev)} has extended attributes: {', '.join(strange)}",
            ev.where,
            "only the protocol's name and security labels are known on sockets; Linux net/socket.c sockfs_listxattr",
            "remove them (setfattr -x) and retry",
        )


def set_inode(part: Part, fd: Arg, uid: int, gid: int, mode: int) -> None:
    """Owner and mode of a socket's inode; the owner is also whom routing by user sees.

    Source:  Linux net/socket.c sockfs_setattr
    """
    files.set_owner(part, fd, uid, gid, mode)


# --- who made it


def maker(ev: FileEvidence) -> Maker | None:
    """SO_PEERCRED as the tree sees it, or None where the socket was never given any.

    Source:  unix(7) SO_PEERCRED, SO_PEERGROUPS; Linux net/core/sock.c sk_getsockopt
    """
    return once(ev, "maker", lambda: _maker(ev))


def _maker(ev: FileEvidence) -> Maker | None:
    raw = ev.borrowed.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)
    pid, uid, gid = number(raw[:4]), int.from_bytes(raw[4:8], "little"), int.from_bytes(raw[8:], "little")
    if uid == NOBODY and pid == 0:
        return None
    process = next((p for p in ev.tree.processes if int(p.pid) == pid and not p.zombie), None)
    listed = _peer_groups(ev)
    groups = tuple(inner(ev.process, "gid_map", int.from_bytes(listed[i : i + 4], "little")) for i in range(0, len(listed), 4))
    return Maker(None if process is None else process.id, inner(ev.process, "uid_map", uid), inner(ev.process, "gid_map", gid), groups)


def _peer_groups(ev: FileEvidence) -> bytes:
    for size in (256, 1 << 18):  # a process has at most 65536 groups
        try:
            return ev.borrowed.getsockopt(SOL_SOCKET, SO_PEERGROUPS, size)
        except OSError as e:
            if e.errno != ERANGE:
                break  # ENODATA: none
    return b""


def inner(process: ProcessEvidence, table: str, outer: int) -> int:
    """A user or group number as we see it, as the process's user namespace numbers it; 65534 where it has no number for it.

    Source:  user_namespaces(7): that is what the kernel shows there, unless fs.overflowuid was changed
    """
    found = files.inner(process, table, outer)
    return found if found >= 0 else 65534


PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE = 1, 2, 3, 4
KEEP = (1 << 32) - 1
MAX_GROUPS = 1024


def act_as(part: Part, who: Maker) -> Callable[[], None]:
    """Take the effective user, group and supplementary groups of a maker; the returned function gives the own ones back.

    The kernel copies them into a socket when it is made, connected or made to listen. A change of user clears the parent-death signal
    and makes a process undumpable, so both are put back.

    Needs:   part needs `caps`
    Source:  Linux net/unix/af_unix.c init_peercred, kernel/cred.c commit_creds
    """
    parent_signal, groups = Out(8), Out(4 * MAX_GROUPS)
    dumpable = part.call("prctl", PR_GET_DUMPABLE, 0, 0, 0, 0)
    part.call("prctl", PR_GET_PDEATHSIG, parent_signal, 0, 0, 0)
    count = part.call("getgroups", MAX_GROUPS, groups)
    gid, uid = part.call("getegid"), part.call("geteuid")
    wanted = b"".join(g.to_bytes(4, "little") for g in who.groups)
    # in a user namespace made without privilege setgroups is denied for good (user_namespaces(7)); the groups there never differ
    part.call("setgroups", len(who.groups), wanted or bytes(4), check=ANY)
    part.call("setresgid", KEEP, who.gid, KEEP)
    part.call("setresuid", KEEP, who.uid, KEEP)

    def back() -> None:
        part.call("setresuid", KEEP, uid, KEEP)
        part.call("setresgid", KEEP, gid, KEEP)
        part.call("setgroups", count, groups, check=ANY)  # as above
        part.call("prctl", PR_SET_PDEATHSIG, Word(parent_signal), 0, 0, 0)
        # 2, "readable by root only", cannot be set; the kind that carries dumpable sets what the image says
        part.call("prctl", PR_SET_DUMPABLE, dumpable, 0, 0, 0, check=ANY)

    return back
