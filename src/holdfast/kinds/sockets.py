"""What the kinds of sockets have in common: who a socket is, its options beside the defaults, its filter, and how they are set again.

Kinds may not import each other, and an option such as SO_KEEPALIVE means the same to all of them; so the reading of
kernel/uapi/sockopts.py, the sockets of a tree by inode, and the credentials that a socket keeps of its maker stand here.

An option counts as set where it differs from that of a new socket of the same sort in the same network namespace. What a program
set to the value that was the default already is not told apart from what it never touched.

No interface reads these, so no kind carries them, and each kind points here under Loses: SO_BUSY_POLL_BUDGET, SO_CNX_ADVICE, a negative
SO_RCVTIMEO or SO_SNDTIMEO (it means "never wait" and reads as none), SO_TXTIME with the real-time clock and no flags, the interface index
of IP_MULTICAST_IF, IPV6_MTU, a sticky IPV6_PKTINFO, IPV6_NEXTHOP, IPSEC_POLICY and XFRM_POLICY. Nor do they carry SO_COOKIE, the cgroup
and the security label that a socket keeps of its maker, times finer than the restoring kernel's jiffies, or the times of its inode.
"""

from __future__ import annotations

import ctypes
import os
from errno import EACCES, ENODEV, EPERM

from holdfast.kernel.uapi.sockopts import KNOWN_TO, ROWS, level_of
from holdfast.kinds import files
from holdfast.kinds.contract import Refusal, Unchecked
from holdfast.model.record import Record
from holdfast.prog.call import ANY, Out, Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket as Socket  # noqa: N812 - the class of the C module has this name
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeVar

    from holdfast.kinds.contract import Part, Verdict
    from holdfast.kinds.evidence import FileEvidence, ProcessEvidence, TreeEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Arg

    T = TypeVar("T")
    Values = dict[str, int | bytes]

LINK = b"socket:["
SOL_SOCKET = 1
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
STREAM, DGRAM, RAW, SEQPACKET = 1, 2, 3, 5
SO_TYPE, SO_PROTOCOL, SO_DOMAIN = 3, 38, 39
SO_PEERCRED, SO_PEERGROUPS = 17, 59
SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE, SO_RCVBUFFORCE = 7, 8, 32, 33
SO_ATTACH_FILTER = 26  # as a getter SO_GET_FILTER: how many instructions, or the instructions
TYPES = {STREAM: "SOCK_STREAM", DGRAM: "SOCK_DGRAM", SEQPACKET: "SOCK_SEQPACKET", RAW: "SOCK_RAW"}
NUMBERS = {name: number for number, name in TYPES.items()}
CLOEXEC = 0o2000000
POLLIN, POLLPRI, POLLERR, POLLHUP, POLLRDHUP = 1, 2, 8, 16, 0x2000
FIONREAD, SIOCOUTQ = 0x541B, 0x5411
OPT_ID = 1 << 7  # SOF_TIMESTAMPING_OPT_ID
SOCK_FILTER = 8  # bytes of struct sock_filter
NOBODY = 0xFFFFFFFF

_SIZES = {"u64": 8, "time": 16, "pair": 8, "text": 16, "bytes": 64}
_FORMS = {row[0]: row[2] for row in ROWS}
_NUMBERS = {row[0]: row[1] for row in ROWS}
_RULES = {row[0]: row[4] for row in ROWS}
# which of the table's letters apply: family and protocol
_SORTS = {(AF_UNIX, 0): "au", (AF_INET, 6): "ait", (AF_INET, 17): "aid", (AF_INET6, 6): "ai6t", (AF_INET6, 17): "ai6d"}
# an option that changes another: where the first is set, the second has to be told whatever its value
_COUPLED = {"IP_TOS": ("SO_PRIORITY",), "SO_SNDBUF": ("SO_BUF_LOCK",), "SO_RCVBUF": ("SO_BUF_LOCK",)}


class Option(Record):
    """One socket option that is not as in a new socket; times are in ns, buffer sizes as getsockopt gives them."""

    name: str
    values: tuple[int, ...] = ()
    data: bytes = b""


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
    kept = _kept(ev.tree)
    found = kept.identities.get(ev.id)
    if found is None:
        ask = ev.borrowed.getsockopt
        found = kept.identities[ev.id] = (
            number(ask(SOL_SOCKET, SO_DOMAIN)),
            number(ask(SOL_SOCKET, SO_TYPE)),
            number(ask(SOL_SOCKET, SO_PROTOCOL)),
        )
    return found


def number(raw: bytes) -> int:
    """The int that an option's bytes are."""
    return int.from_bytes(raw, "little", signed=True)


def inode(ev: FileEvidence) -> int:
    """The inode number of a socket, from what /proc/PID/fd/FD leads to."""
    return int(ev.link[len(LINK) : -1])


def by_inode(tree: TreeEvidence) -> dict[int, FileEvidence]:
    """The sockets of a tree; a socket has one open file description.

    Source:  Linux net/socket.c sock_alloc_file
    """
    kept = _kept(tree)
    if kept.files is None:
        kept.files = {inode(f): f for f in tree.files if f.link.startswith(LINK)}
    return kept.files


def once(ev: FileEvidence, word: str, make: Callable[[], T]) -> T:
    """What `make` gives, asked once for each socket of a tree: refuse and dump need the same answers."""
    memo = _kept(ev.tree).memo
    key = (word, ev.id)
    if key not in memo:
        memo[key] = make()
    found: T = memo[key]
    return found


def stopped(ev: FileEvidence) -> bool:
    """Whether the target is stopped by us, so that nothing changes between two looks."""
    return ev.process.leader.stopped is not None


class _Kept:
    # what was read about one tree: detect, refuse and dump of several kinds ask the same
    __slots__ = ("diags", "files", "fresh", "identities", "memo", "options", "tree")

    def __init__(self, tree: TreeEvidence) -> None:
        self.tree = tree
        self.files: dict[int, FileEvidence] | None = None
        self.identities: dict[ObjectId, tuple[int, int, int]] = {}
        self.options: dict[ObjectId, Values] = {}
        self.fresh: dict[tuple[int, int, int, int], tuple[Values, list[tuple[int, int]]]] = {}
        self.diags: dict[int, int] = {}
        self.memo: dict[tuple[str, ObjectId], Any] = {}


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

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def _in_namespace(process: ProcessEvidence, make: Callable[[], int]) -> int:
    # a descriptor made in the process's network namespace; a socket belongs to the one that it was made in, whoever holds it
    own = int(process.tree.host.readlink("self/ns/net").rpartition(b"[")[2].rstrip(b"]"))
    if process.namespace("net") in (own, 0):
        return make()
    back = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/proc/{int(process.pid)}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.setns(there, CLONE_NEWNET) < 0:
                number_ = ctypes.get_errno()
                raise OSError(number_, os.strerror(number_), f"/proc/{int(process.pid)}/ns/net")
        finally:
            os.close(there)
        try:
            return make()
        finally:
            if _libc.setns(back, CLONE_NEWNET) < 0:
                raise OSError(ctypes.get_errno(), "cannot return to the own network namespace")
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
        diags[space] = _in_namespace(process, sockdiag.open_socket)
    return diags[space]


def unreachable_namespace(ev: FileEvidence, kind: str) -> Iterator[Unchecked]:
    """Unchecked where the socket's network namespace is another than ours and may not be entered."""
    try:
        diag(ev.process)
    except OSError as e:
        if e.errno not in (EPERM, EACCES):
            raise
        yield Unchecked(kind, f"{ev.where}: its network namespace may not be entered", "setns(2) needs CAP_SYS_ADMIN there")


# --- options


def _socket(fd: int, sort: tuple[int, int, int]) -> Socket:
    import _socket  # the C module alone: 0.3 ms, where socket takes 8, and a question costs a fifth of what ctypes takes

    return _socket.socket(*sort, fileno=fd)


def _letters(sort: tuple[int, int, int]) -> str:
    domain, _, protocol = sort
    return "an" if domain == AF_NETLINK else _SORTS.get((domain, protocol), "au" if domain == AF_UNIX else "a")


def _read(sock: Socket, letters: str, only: Iterable[str] | None = None) -> Values:
    out: Values = {}
    ask = sock.getsockopt
    for name, option, form, where, _, _ in ROWS:
        if where in letters and (only is None or name in only):
            try:
                out[name] = ask(level_of(name), option) if form == "int" else ask(level_of(name), option, _SIZES[form])
            except OSError as e:
                if e.errno in (EPERM, EACCES, ENODEV):
                    out[name] = b"unreadable"
    return out


def _unknown(sock: Socket, letters: str) -> list[tuple[int, int]]:
    # options above the highest number of the table that this kernel answers: they came after it
    out = []
    levels = {level_of(name) for name, _, _, where, _, _ in ROWS if where in letters}
    for level in sorted(levels):
        for option in range(KNOWN_TO[level] + 1, KNOWN_TO[level] + 13):
            try:
                sock.getsockopt(level, option)
            except OSError:
                continue
            out.append((level, option))
    return out


def _defaults(ev: FileEvidence, sort: tuple[int, int, int]) -> tuple[Values, list[tuple[int, int]]]:
    # of a socket that nobody has touched, made where the target's was
    fresh = _kept(ev.tree).fresh
    key = (ev.process.namespace("net"), *sort)
    if key not in fresh:
        import _socket  # see above

        fd = _in_namespace(ev.process, lambda: _socket.socket(sort[0], sort[1] | CLOEXEC, sort[2]).detach())
        sock = _socket.socket(*sort, fileno=fd)
        letters = _letters(sort)
        fresh[key] = _read(sock, letters), _unknown(sock, letters)
        sock.close()
    return fresh[key]


def _values(ev: FileEvidence, sort: tuple[int, int, int]) -> Values:
    # the options of this socket that are not as in a new one; the raw answers
    kept = _kept(ev.tree).options
    if ev.id not in kept:
        default, _ = _defaults(ev, sort)
        sock = _socket(ev.borrowed.fd, sort)
        try:
            now = _read(sock, _letters(sort))
        finally:
            sock.detach()
        changed = {name: value for name, value in now.items() if value != default.get(name)}
        for name in tuple(changed):
            for other in _COUPLED.get(name, ()):
                if other in now:
                    changed[other] = now[other]
        kept[ev.id] = changed
    return kept[ev.id]


def _option(name: str, raw: int | bytes) -> Option:
    form = _FORMS[name]
    if isinstance(raw, int):
        return Option(name, (raw,))
    if form == "u64":
        return Option(name, (int.from_bytes(raw, "little"),))
    if form == "time":
        seconds, micros = (int.from_bytes(raw[i : i + 8], "little", signed=True) for i in (0, 8))
        return Option(name, (seconds * 10**9 + micros * 1000,))
    if form == "pair":
        return Option(name, (number(raw[:4]), number(raw[4:])))
    return Option(name, (), raw.rstrip(b"\0") if form == "text" else raw)


def options(ev: FileEvidence, skip: Iterable[str] = (), also: Iterable[str] = ()) -> tuple[Option, ...]:
    """The options that are not as in a new socket, in the order of setting; `also` are told whatever their value.

    Shape:   the classic BPF filter is SO_ATTACH_FILTER, its data an array of struct sock_filter
    """
    sort = identity(ev)
    assert sort is not None
    left = frozenset(skip)
    found = {name: raw for name, raw in _values(ev, sort).items() if name not in left}
    wanted = [name for name in also if name not in found]
    if wanted:
        sock = _socket(ev.borrowed.fd, sort)
        try:
            found.update(_read(sock, _letters(sort), wanted))
        finally:
            sock.detach()
    out = [_option(name, found[name]) for name in _FORMS if name in found]
    program = packet_filter(ev)
    if program:
        out.append(Option("SO_ATTACH_FILTER", (), program))
    return tuple(out)


def packet_filter(ev: FileEvidence) -> bytes | None:
    """The classic BPF filter of a socket, empty where it has none, None where it is an eBPF program.

    Source:  socket(7) SO_GET_FILTER, Linux net/core/filter.c sk_get_filter: EACCES where there is no original program
    """
    try:
        # the length is counted in instructions, not bytes, and nothing is copied where it is 0
        count = _filter_length(ev.borrowed.fd)
        return _filter(ev.borrowed.fd, count) if count else b""
    except OSError as e:
        if e.errno == EACCES:
            return None
        raise


def _filter_length(fd: int) -> int:
    length = ctypes.c_uint32(0)
    if _libc.getsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, None, ctypes.byref(length)) < 0:
        number_ = ctypes.get_errno()
        raise OSError(number_, os.strerror(number_))
    return length.value


def _filter(fd: int, count: int) -> bytes:
    room = ctypes.create_string_buffer(count * SOCK_FILTER)
    length = ctypes.c_uint32(count)
    if _libc.getsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, room, ctypes.byref(length)) < 0:
        number_ = ctypes.get_errno()
        raise OSError(number_, os.strerror(number_))
    return room.raw


def option_verdicts(ev: FileEvidence, kind: str) -> Iterator[Verdict]:
    """What stands against carrying the options of a socket."""
    sort = identity(ev)
    assert sort is not None
    who = files.who(ev)
    changed = _values(ev, sort)
    for name, raw in changed.items():
        if raw == b"unreadable":
            yield Refusal(
                f"{kind}.option",
                f"{who} has an option {name} that cannot be read",
                ev.where,
                "the interface that it is bound to is gone, or this user may not ask; socket(7)",
                "close the socket and retry",
            )
        elif _RULES[name] == "refuse":
            yield Refusal(
                f"{kind}.option",
                f"{who} has {name} in use",
                ev.where,
                f"{name} means protocol state inside the kernel that no interface reads back; tcp(7), udp(7)",
                "close the socket and retry",
            )
    for name in ("SO_TIMESTAMPING", "SO_TIMESTAMPING_NEW"):
        raw = changed.get(name, b"")
        if isinstance(raw, bytes) and raw != b"unreadable" and number(raw[:4]) & OPT_ID:
            yield Refusal(
                f"{kind}.option",
                f"{who} numbers its time stamps (SOF_TIMESTAMPING_OPT_ID)",
                ev.where,
                "the next number (sk_tskey) cannot be read or set; Linux Documentation/networking/timestamping.rst",
                "close the socket and retry",
            )
            break
    if packet_filter(ev) is None:
        yield Refusal(
            f"{kind}.filter",
            f"{who} has an eBPF filter",
            ev.where,
            "a socket tells which classic filter it has (SO_GET_FILTER), not which eBPF program; Linux net/core/filter.c sk_get_filter",
            "detach it (SO_DETACH_BPF) and retry",
        )
    if "SO_REUSEPORT" in changed and sort[0] != AF_UNIX:
        yield Unchecked(
            kind,
            f"{ev.where}: a program may choose among the sockets of its port",
            "SO_ATTACH_REUSEPORT_CBPF and _EBPF have no getter; socket(7)",
        )
    yield from _new_options(ev, kind, sort)


def _new_options(ev: FileEvidence, kind: str, sort: tuple[int, int, int]) -> Iterator[Unchecked]:
    _, unknown = _defaults(ev, sort)
    for level, option in unknown:
        yield Unchecked(
            kind,
            f"{ev.where}: this kernel has socket option {option} at level {level}, which nobody here knows",
            "kernel/uapi/sockopts.py is older than the kernel",
        )


def inode_verdicts(ev: FileEvidence, kind: str) -> Iterator[Refusal]:
    """What stands against carrying the inode of a socket: owner, extended attributes."""
    if -1 in files.owner(ev.process, ev.stat):
        yield Refusal(
            f"{kind}.owner",
            f"{files.who(ev)} belongs to user {ev.stat.st_uid}, group {ev.stat.st_gid}, which its user namespace does not know",
            ev.where,
            "user_namespaces(7)",
            "",
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


# --- restore


def set_inode(part: Part, fd: Arg, uid: int, gid: int, mode: int) -> None:
    """Owner and mode of a socket's inode; the owner is also whom routing by user sees.

    Source:  Linux net/socket.c sockfs_setattr
    """
    files.set_owner(part, fd, uid, gid, mode)


def set_options(part: Part, fd: Arg, wanted: Iterable[Option], rules: Iterable[str]) -> None:
    """Set those options whose rule (kernel/uapi/sockopts.py) is among `rules`, in order."""
    chosen = frozenset(rules)
    lock = None
    for option in wanted:
        if option.name == "SO_LOCK_FILTER":
            lock = option  # after the filter: it forbids to attach one
        elif _RULES.get(option.name, "late") in chosen:
            _set(part, fd, option)
    if lock is not None and "late" in chosen:
        _set(part, fd, lock)


def _set(part: Part, fd: Arg, option: Option) -> None:
    name, values = option.name, option.values
    if name == "SO_ATTACH_FILTER":
        count = len(option.data) // SOCK_FILTER
        part.call("setsockopt", fd, SOL_SOCKET, SO_ATTACH_FILTER, _pointer(count, option.data), 16)
        return
    level, option_number, form = level_of(name), _NUMBERS[name], _FORMS[name]
    if _RULES[name] == "size":
        set_size(part, fd, option_number, values[0] // 2)
        return
    if form == "int":
        data = values[0].to_bytes(4, "little", signed=values[0] < 1 << 31)
    elif form == "u64":
        data = values[0].to_bytes(8, "little")
    elif form == "time":
        data = (values[0] // 10**9).to_bytes(8, "little", signed=True) + (values[0] % 10**9 // 1000).to_bytes(8, "little")
    elif form == "pair":
        data = b"".join(v.to_bytes(4, "little", signed=True) for v in values)
        if _RULES[name] == "linger" and not values[0]:
            # Linux net/core/sock.c: the time is taken only with the option on, and stays when it goes off
            part.call("setsockopt", fd, level, option_number, (1).to_bytes(4, "little") + data[4:], 8)
    else:
        data = option.data
        if form == "text":
            data += b"\0"
    part.call("setsockopt", fd, level, option_number, data, len(data))


def _pointer(count: int, program: bytes) -> Arg:
    from holdfast.prog.call import Block, Struct  # a filter is rare

    return Struct(count.to_bytes(8, "little"), Block(program))  # struct sock_fprog


def set_size(part: Part, fd: Arg, option: int, half: int) -> None:
    """Set SO_SNDBUF or SO_RCVBUF: the kernel doubles what it is given (socket(7))."""
    value = half.to_bytes(4, "little")
    part.call("setsockopt", fd, SOL_SOCKET, option, value, 4)
    # past net.core.wmem_max and rmem_max only with CAP_NET_ADMIN of the first user namespace; where it is missing
    # and was needed, the size stays smaller, and the comparison after the restore says so
    force = SO_SNDBUFFORCE if option == SO_SNDBUF else SO_RCVBUFFORCE
    part.call("setsockopt", fd, SOL_SOCKET, force, value, 4, check=ANY)


# --- who made it


def maker(ev: FileEvidence) -> Maker | None:
    """SO_PEERCRED as the tree sees it, or None where the socket was never given any.

    Source:  unix(7) SO_PEERCRED, SO_PEERGROUPS; Linux net/core/sock.c sk_getsockopt
    """
    raw = ev.borrowed.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)
    pid, uid, gid = number(raw[:4]), int.from_bytes(raw[4:8], "little"), int.from_bytes(raw[8:], "little")
    if uid == NOBODY and pid == 0:
        return None
    process = next((p for p in ev.tree.processes if int(p.pid) == pid and not p.zombie), None)
    try:
        listed = ev.borrowed.getsockopt(SOL_SOCKET, SO_PEERGROUPS, 1 << 18)
    except OSError:
        listed = b""  # ENODATA: none
    groups = tuple(inner(ev.process, "gid_map", int.from_bytes(listed[i : i + 4], "little")) for i in range(0, len(listed), 4))
    return Maker(None if process is None else process.id, inner(ev.process, "uid_map", uid), inner(ev.process, "gid_map", gid), groups)


def inner(process: ProcessEvidence, table: str, outer: int) -> int:
    """A user or group number as we see it, as the process's user namespace numbers it; 65534 where it has no number for it.

    Source:  user_namespaces(7)
    """
    for line in process.read(table).splitlines():
        inside, outside, count = map(int, line.split())
        if outside <= outer < outside + count:
            return inside + outer - outside
    return 65534


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
