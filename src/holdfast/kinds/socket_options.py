"""The options of a socket beside the defaults, and how they are set again: shared by the kinds of sockets, which may not import each other.

An option counts as set where it differs from that of a new socket of the same sort in the same network namespace. What a program
set to the value that was the default already is not told apart from what it never touched.

No interface reads these, so no kind carries them, and each kind points here under Loses: SO_BUSY_POLL_BUDGET, SO_CNX_ADVICE, a negative
SO_RCVTIMEO or SO_SNDTIMEO (it means "never wait" and reads as none), SO_TXTIME with the real-time clock and no flags, the interface index
of IP_MULTICAST_IF, a sticky IPV6_PKTINFO, IPV6_NEXTHOP, IPSEC_POLICY and XFRM_POLICY; that SO_REUSEPORT was set after bind, so that
SO_ATTACH_REUSEPORT_CBPF fails until another socket shares the port. Nor do they carry SO_COOKIE, the cgroup and the security label that a
socket keeps of its maker, times finer than the restoring kernel's jiffies, or the times of its inode. IPV6_MTU, SO_INQ of a unix socket and
a program that chooses among the sockets of a port (SO_ATTACH_REUSEPORT_CBPF and _EBPF) have no getter either; they refuse where live kernel
structs may be read (decisions/0055-what-only-kernel-structs-show.md).
"""

from __future__ import annotations

from errno import EACCES, ENODEV, EPERM

from holdfast.kernel.uapi.sockopts import KNOWN_TO, ROWS, level_of
from holdfast.kinds import files, sockets
from holdfast.kinds.contract import Refusal, Unchecked
from holdfast.kinds.sockets import AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, SOL_SOCKET, number
from holdfast.model.record import Record
from holdfast.prog.call import ANY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket as Socket  # noqa: N812 - the class of the C module has this name
    from collections.abc import Iterable, Iterator

    from holdfast.kinds.contract import Part, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.prog.call import Arg

    Values = dict[str, int | bytes]

SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE, SO_RCVBUFFORCE = 7, 8, 32, 33
SO_ATTACH_FILTER = 26  # as a getter SO_GET_FILTER: how many instructions, or the instructions
OPT_ID = 1 << 7  # SOF_TIMESTAMPING_OPT_ID
SOCK_FILTER = 8  # bytes of struct sock_filter

LONGEST = 1024
_SIZES = {"u64": 8, "time": 16, "pair": 8, "text": 16, "bytes": LONGEST}
_FORMS = {row[0]: row[2] for row in ROWS}
_NUMBERS = {row[0]: row[1] for row in ROWS}
_RULES = {row[0]: row[4] for row in ROWS}
# name, level, number, bytes to ask for (0: an int), sockets
_QUESTIONS = tuple((row[0], level_of(row[0]), row[1], _SIZES.get(row[2], 0), row[3]) for row in ROWS)
# which of the table's letters apply: family and protocol
_SORTS = {(AF_UNIX, 0): "au", (AF_INET, 6): "ait", (AF_INET, 17): "aid", (AF_INET6, 6): "ai6t", (AF_INET6, 17): "ai6d"}
# an option that changes another: where the first is set, the second has to be told whatever its value
_COUPLED = {"IP_TOS": ("SO_PRIORITY",), "SO_SNDBUF": ("SO_BUF_LOCK",), "SO_RCVBUF": ("SO_BUF_LOCK",)}
# headers in every packet lower what the kernel says of a segment's size, whether or not a program set one
_SEGMENT = "TCP_MAXSEG"
_HEADERS = frozenset(("IP_OPTIONS", "IPV6_HOPOPTS", "IPV6_RTHDRDSTOPTS", "IPV6_RTHDR", "IPV6_DSTOPTS"))


class Option(Record):
    """One socket option that is not as in a new socket; times are in ns, buffer sizes as getsockopt gives them."""

    name: str
    values: tuple[int, ...] = ()
    data: bytes = b""


# --- read


def _socket(fd: int, sort: tuple[int, int, int]) -> Socket:
    import _socket  # the C module alone: 0.3 ms, where socket takes 8, and a question costs a fifth of what ctypes takes

    return _socket.socket(*sort, fileno=fd)


def _letters(sort: tuple[int, int, int]) -> str:
    domain, _, protocol = sort
    return "an" if domain == AF_NETLINK else _SORTS.get((domain, protocol), "au" if domain == AF_UNIX else "a")


def _read(sock: Socket, letters: str, only: Iterable[str] | None = None) -> Values:
    out: Values = {}
    ask = sock.getsockopt
    for name, level, option, size, where in _QUESTIONS:
        if where in letters and (only is None or name in only):
            try:
                out[name] = ask(level, option, size) if size else ask(level, option)
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
    def ask() -> tuple[Values, list[tuple[int, int]]]:
        import _socket  # see above

        fd = sockets.in_namespace(ev.process, lambda: _socket.socket(sort[0], sort[1] | sockets.CLOEXEC, sort[2]).detach())
        sock = _socket.socket(*sort, fileno=fd)
        try:
            return _read(sock, _letters(sort)), _unknown(sock, _letters(sort))
        finally:
            sock.close()

    return sockets.once_in(ev.tree, ("fresh", ev.process.namespace("net"), *sort), ask)


def _values(ev: FileEvidence, sort: tuple[int, int, int]) -> Values:
    # the options of this socket that are not as in a new one; the raw answers
    def ask() -> Values:
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
        if _HEADERS & changed.keys():
            changed.pop(_SEGMENT, None)
        return changed

    return sockets.once(ev, "options", ask)


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
    sort = sockets.identity(ev)
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
        return sockets.counted_getsockopt(ev, SOL_SOCKET, SO_ATTACH_FILTER, SOCK_FILTER)
    except OSError as e:
        if e.errno == EACCES:
            return None
        raise


def option_verdicts(ev: FileEvidence, kind: str) -> Iterator[Verdict]:
    """What stands against carrying the options of a socket."""
    sort = sockets.identity(ev)
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
        elif isinstance(raw, bytes) and len(raw) == LONGEST:
            yield Refusal(f"{kind}.option", f"{who} has an option {name} of more than {LONGEST} bytes", ev.where, "ipv6(7)", "shorten it")
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
    if _HEADERS & changed.keys() and sort[1] == sockets.STREAM:
        yield Unchecked(
            kind,
            f"{ev.where}: whether {_SEGMENT} was set",
            "with headers of its own in every packet the socket tells a smaller one by itself; Linux net/ipv4/tcp_output.c tcp_sync_mss",
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


# --- restore


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
