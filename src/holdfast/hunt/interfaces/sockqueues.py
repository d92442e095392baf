"""What is on its way through sockets: bytes, datagrams, urgent bytes, passed descriptors and credentials, errors that wait.

Source:  send(2), recv(2), sendmsg(2), recvmsg(2), cmsg(3), tcp(7), udp(7), unix(7), ip(7), icmp(7), raw(7)
"""

from __future__ import annotations

from holdfast.hunt.interfaces.script import Row, Script
from holdfast.hunt.interfaces.sockobjects import (
    AREA,
    OTHER,
    PAIR0,
    PAIR1,
    PLAIN,
    SOCKETS,
    TCP4_CONNECTED,
    TCP6_CONNECTED,
    UDP4_BOUND,
    UDP4_CONNECTED,
    UDP6_BOUND,
    both_ways,
    got,
    in4,
    in6,
    lit,
    message,
    pair,
    put,
    ready,
    rights,
    sent,
    taken,
    un,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

BYTES = "b'hello'"


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Every state of a queue, one a recipe."""
    script = Script(constants)
    yield from script.recipes("send", _tcp_queues())
    yield from script.recipes("send", _datagrams())
    yield from script.recipes("sendmsg", _unix_queues())


# --- what is on its way


def _tcp_queues() -> Iterator[Row]:
    for name, make in (("tcp4", TCP4_CONNECTED), ("tcp6", TCP6_CONNECTED), ("mptcp4", SOCKETS["mptcp4-connected"].make)):
        told = "ioctl($made, SIOCINQ, [4]) ; ioctl($made, SIOCOUTQ, [4]) ; recvfrom($made, [64], 64, MSG_PEEK|MSG_DONTWAIT, 0, 0)"
        both = f"{taken('$made')} ; {taken('$peer')} ; {both_ways('$made', '$peer')}"
        rows = [
            ("in", "write($peer, b'hello', 5)"),
            ("out", "write($made, b'hello', 5)"),
            ("both", "write($peer, b'hello', 5) ; write($made, b'world', 5)"),
            ("pieces", "write($peer, b'one', 3) ; write($peer, b'two', 3) ; write($peer, b'three', 5)"),
            ("partly-read", "write($peer, b'hello', 5) ; read($made, [2], 2)"),
            ("read", "write($peer, b'hello', 5) ; read($made, [8], 8)"),
            ("peeked", "write($peer, b'hello', 5) ; recvfrom($made, [2], 2, MSG_PEEK, 0, 0)"),
            (
                "peek-offset",
                f"{put('$made', 'SOL_SOCKET', 'SO_PEEK_OFF', 0)} ; write($peer, b'hello', 5) ; recvfrom($made, [2], 2, MSG_PEEK, 0, 0)",
            ),
            ("lowat", f"{put('$made', 'SOL_SOCKET', 'SO_RCVLOWAT', 9)} ; write($peer, b'hello', 5)"),
        ]
        for label, state in rows if name != "mptcp4" else rows[:3]:
            get = told if label != "peek-offset" else got("$made", "SOL_SOCKET", "SO_PEEK_OFF", 4)
            yield Row(
                f"{name}.{label}",
                make,
                state,
                get,
                both if label != "peek-offset" else f"recvfrom($made, [2], 2, MSG_PEEK|MSG_DONTWAIT, 0, 0) ; {both}",
            )
    make = TCP4_CONNECTED
    mark = "ioctl($made, SIOCATMARK, [4]) ; ioctl($made, SIOCINQ, [4])"
    urgent = "recvfrom($made, [4], 4, MSG_OOB|MSG_DONTWAIT, 0, 0)"
    rest = f"{urgent} ; ioctl($made, SIOCATMARK, [4]) ; {taken('$made')} ; ioctl($made, SIOCATMARK, [4]) ; {taken('$made')}"
    yield Row("tcp4.urgent", make, "sendto($peer, b'abc!', 4, MSG_OOB, 0, 0)", mark, rest)
    yield Row("tcp4.urgent-alone", make, "sendto($peer, b'!', 1, MSG_OOB, 0, 0)", mark, rest)
    yield Row("tcp4.urgent-then-data", make, "sendto($peer, b'!', 1, MSG_OOB, 0, 0) ; write($peer, b'more', 4)", mark, rest)
    yield Row(
        "tcp4.urgent-inline",
        make,
        f"{put('$made', 'SOL_SOCKET', 'SO_OOBINLINE', 1)} ; sendto($peer, b'abc!', 4, MSG_OOB, 0, 0)",
        mark,
        rest,
    )
    yield Row("tcp4.urgent-taken", make, "sendto($peer, b'abc!', 4, MSG_OOB, 0, 0) ; recvfrom($made, [1], 1, MSG_OOB, 0, 0)", mark, rest)
    yield Row("tcp4.urgent-at-mark", make, "sendto($peer, b'abc!', 4, MSG_OOB, 0, 0) ; read($made, [3], 3)", mark, rest)
    held = f"{put('$made', 'IPPROTO_TCP', 'TCP_CORK', 0)} ; {ready('$peer')} ; {taken('$peer')}"
    out = "ioctl($made, SIOCOUTQ, [4]) ; ioctl($made, SIOCOUTQNSD, [4])"
    yield Row(
        "tcp4.corked",
        make,
        f"{put('$made', 'IPPROTO_TCP', 'TCP_CORK', 1)} ; write($made, b'held', 4)",
        got("$made", "IPPROTO_TCP", "TCP_CORK", 4),
        held,
    )
    yield Row(
        "tcp4.more",
        make,
        "sendto($made, b'held', 4, MSG_MORE, 0, 0)",
        got("$made", "IPPROTO_TCP", "TCP_CORK", 4),
        f"sendto($made, b'now', 3, 0, 0, 0) ; {ready('$peer')} ; {taken('$peer')}",
    )
    small = f"{put('$made', 'SOL_SOCKET', 'SO_SNDBUF', 20_000)} ; {put('$peer', 'SOL_SOCKET', 'SO_RCVBUF', 4_000)}"
    full = f"{small} ; sendto($made, $area, 60000, MSG_DONTWAIT, 0, 0)"
    yield Row("tcp4.unsent", f"{AREA} ; poke($area, b'begin') ; {make}", full, out, taken("$peer"))
    much = "sendto($peer, $area, 30000, MSG_DONTWAIT, 0, 0)"
    yield Row(
        "tcp4.much",
        f"{AREA} ; poke($area, b'begin') ; {make}",
        much,
        "ioctl($made, SIOCINQ, [4])",
        "recvfrom($made, [8], 8, MSG_DONTWAIT, 0, 0) ; recvfrom($made, $area, 65536, MSG_DONTWAIT, 0, 0)",
    )


def _datagrams() -> Iterator[Row]:
    for name, make, to, size in (("udp4", UDP4_BOUND, in4(PLAIN), 16), ("udp6", UDP6_BOUND, in6(PLAIN), 28)):
        family = "AF_INET" if name == "udp4" else "AF_INET6"
        other = f"other = socket({family}, SOCK_DGRAM, 0) ; bind($other, {in4(OTHER) if name == 'udp4' else in6(OTHER)}, {size})"
        told = "ioctl($made, SIOCINQ, [4]) ; recvfrom($made, [64], 64, MSG_PEEK|MSG_DONTWAIT, 0, 0)"
        all_of_it = f"{message('$made')} ; {message('$made')} ; {message('$made')} ; {message('$made')}"

        def give(data: str, count: int, by: str = "$made", to: str = to, size: int = size) -> str:
            return f"sendto({by}, {data}, {count}, 0, {to}, {size})"

        level, ttl, tos = (
            ("IPPROTO_IP", "IP_RECVTTL", "IP_RECVTOS") if name == "udp4" else ("IPPROTO_IPV6", "IPV6_RECVHOPLIMIT", "IPV6_RECVTCLASS")
        )
        for label, state in (
            ("one", give(BYTES, 5)),
            ("three", f"{give(BYTES, 5)} ; {give(lit(b'x'), 1)} ; {give(lit(b'two'), 3)}"),
            ("empty", give(BYTES, 0)),
            ("empty-between", f"{give(lit(b'a'), 1)} ; {give(BYTES, 0)} ; {give(lit(b'b'), 1)}"),
            ("of-two", f"{other} ; {give(BYTES, 5)} ; {give(lit(b'other'), 5, '$other')}"),
            ("of-closed", f"{other} ; {give(lit(b'other'), 5, '$other')} ; close($other)"),
            ("with-ttl", f"{put('$made', level, ttl, 1)} ; {put('$made', level, tos, 1)} ; {give(BYTES, 5)}"),
            ("ttl-later", f"{give(BYTES, 5)} ; {put('$made', level, ttl, 1)}"),
            ("peeked", f"{give(BYTES, 5)} ; recvfrom($made, [2], 2, MSG_PEEK, 0, 0)"),
            ("connected-later", f"{other} ; {give(lit(b'other'), 5, '$other')} ; {give(BYTES, 5)} ; connect($made, {to}, {size})"),
        ):
            yield Row(f"{name}.{label}", make, state, told, all_of_it)
        yield Row(
            f"{name}.large",
            f"{AREA} ; poke($area, b'begin') ; {make}",
            give("$area", 20_000),
            "ioctl($made, SIOCINQ, [4])",
            "recvfrom($made, [8], 8, MSG_DONTWAIT|MSG_TRUNC, 0, 0)",
        )
        corked = f"{put('$made', 'IPPROTO_UDP', 'UDP_CORK', 1)} ; {give(lit(b'he'), 2)} ; {give(lit(b'ld'), 2)}"
        yield Row(
            f"{name}.corked",
            make,
            corked,
            got("$made", "IPPROTO_UDP", "UDP_CORK", 4),
            f"{put('$made', 'IPPROTO_UDP', 'UDP_CORK', 0)} ; {ready('$made')} ; {message('$made')}",
        )
        yield Row(
            f"{name}.more",
            make,
            f"sendto($made, b'he', 2, MSG_MORE, {to}, {size})",
            "",
            f"{give(lit(b'ld'), 2)} ; {ready('$made')} ; {message('$made')}",
        )
    echo = SOCKETS["ping4"]
    yield Row(
        "ping4.answered",
        echo.make,
        echo.goes_on.split(" ; ", maxsplit=1)[0],
        "recvfrom($made, [4], 1, MSG_PEEK|MSG_DONTWAIT, 0, 0)",
        "recvfrom($made, [4], 4, MSG_DONTWAIT, 0, 0)",
    )
    request = "b'\\x08\\x00\\xe5\\xca\\x12\\x34\\x00\\x01'"
    yield Row(
        "raw4.heard",
        SOCKETS["raw4"].make,
        f"sendto($made, {request}, 8, 0, {in4(0)}, 16)",
        "ioctl($made, SIOCINQ, [4])",
        " ; ".join(["recvfrom($made, [4], 1, MSG_DONTWAIT, 0, 0)"] * 3),
    )
    zero = f"{put('$made', 'SOL_SOCKET', 'SO_ZEROCOPY', 1)} ; sendto($made, b'zero', 4, MSG_ZEROCOPY, 0, 0)"
    yield Row(
        "tcp4.zerocopy-told", TCP4_CONNECTED, zero, ready("$made", 9, 0), f"{message('$made', flags='MSG_ERRQUEUE|MSG_DONTWAIT', name=0)}"
    )
    yield Row(
        "udp4.stamped",
        UDP4_CONNECTED,
        f"{put('$made', 'SOL_SOCKET', 'SO_TIMESTAMPING', 0x92)} ; write($made, b'when', 4)",
        ready("$made", 9, 0),
    )


def _unix_queues() -> Iterator[Row]:
    for kind in ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET"):
        name = f"unix-{kind.removeprefix('SOCK_').lower()}"
        make = pair(kind)
        told = f"ioctl({PAIR1}, SIOCINQ, [4]) ; recvfrom({PAIR1}, [64], 64, MSG_PEEK|MSG_DONTWAIT, 0, 0)"
        rest = f"{taken(PAIR1)} ; {taken(PAIR1)} ; {taken(PAIR1)} ; {SOCKETS[name].goes_on}"
        rows = [
            ("one", f"write({PAIR0}, b'hello', 5)"),
            ("both", f"write({PAIR0}, b'hello', 5) ; write({PAIR1}, b'world', 5)"),
            ("three", f"write({PAIR0}, b'one', 3) ; write({PAIR0}, b'two', 3) ; write({PAIR0}, b'three', 5)"),
            ("partly-read", f"write({PAIR0}, b'hello', 5) ; recvfrom({PAIR1}, [2], 2, 0, 0, 0)"),
            ("of-closed", f"write({PAIR0}, b'hello', 5) ; close({PAIR0})"),
            ("unread-then-closed", f"write({PAIR1}, b'hello', 5) ; close({PAIR0})"),
        ]
        if kind != "SOCK_STREAM":
            rows += [
                ("empty", f"sendto({PAIR0}, b'', 0, 0, 0, 0)"),
                ("empty-between", f"write({PAIR0}, b'a', 1) ; sendto({PAIR0}, b'', 0, 0, 0, 0) ; write({PAIR0}, b'b', 1)"),
            ]
        for label, state in rows:
            gone = f"{taken(PAIR1)} ; {taken(PAIR1)} ; sendto({PAIR1}, b'x', 1, MSG_DONTWAIT|MSG_NOSIGNAL, 0, 0)"
            yield Row(
                f"{name}.{label}",
                make,
                state,
                ready(PAIR1, 5, 0) if label == "unread-then-closed" else told,
                gone if "closed" in label else rest,
            )
        peeking = f"{put(PAIR1, 'SOL_SOCKET', 'SO_PEEK_OFF', 1)} ; write({PAIR0}, b'hello', 5) ; recvfrom({PAIR1}, [2], 2, MSG_PEEK, 0, 0)"
        yield Row(
            f"{name}.peek-offset",
            make,
            peeking,
            got(PAIR1, "SOL_SOCKET", "SO_PEEK_OFF", 4),
            f"recvfrom({PAIR1}, [2], 2, MSG_PEEK|MSG_DONTWAIT, 0, 0) ; {taken(PAIR1)}",
        )
        for label, open_, fds, look in (
            ("file", f"memfd = memfd_create(b'm\\x00', 0) ; write($memfd, {BYTES}, 5)", ("$memfd",), "pread64($ctl@16:4, [8], 8, 0)"),
            (
                "file-only-there",
                f"memfd = memfd_create(b'm\\x00', 0) ; write($memfd, {BYTES}, 5)",
                ("$memfd",),
                "pread64($ctl@16:4, [8], 8, 0)",
            ),
            ("two-files", "memfd = memfd_create(b'm\\x00', 0) ; event = eventfd2(7, 0)", ("$memfd", "$event"), "read($ctl@20:4, [8], 8)"),
            ("pipe", "pipe2(ends:[8], 0) ; write($ends@4:4, b'in', 2)", ("$ends@0:4",), "read($ctl@16:4, [8], 2)"),
            (
                "socket",
                f"socketpair(AF_UNIX, SOCK_STREAM, 0, more:[8]) ; write($more@0:4, {BYTES}, 5)",
                ("$more@4:4",),
                "recvfrom($ctl@16:4, [8], 8, MSG_DONTWAIT, 0, 0)",
            ),
            ("itself", "", (PAIR0,), "write($ctl@16:4, b'loop', 4)"),
            ("other-end", "", (PAIR1,), "fcntl($ctl@16:4, F_GETFL, 0)"),
            ("same-twice", "memfd = memfd_create(b'm\\x00', 0)", ("$memfd", "$memfd"), "fcntl($ctl@20:4, F_GETFL, 0)"),
        ):
            text, size = rights(*fds)
            state = sent(PAIR0, b"fd", text, size)
            if label == "file-only-there":
                state += " ; close($memfd)"
            yield Row(
                f"{name}.passes-{label}",
                f"{make} ; {open_}" if open_ else make,
                state,
                told if kind != "SOCK_STREAM" else f"ioctl({PAIR1}, SIOCINQ, [4])",
                f"{message(PAIR1, control=64, kept='ctl', name=4)} ; {look}",
            )
        asked = put(PAIR1, "SOL_SOCKET", "SO_PASSCRED", 1)
        who = f"recvmsg({PAIR1}, {{<8:0> <8:0>, &{{&[64], <8:64>}}, <8:1>, &[32], <8:32>, <8:0>}}, MSG_DONTWAIT|MSG_PEEK)"
        claim = "<8:28> <4:SOL_SOCKET> <4:SCM_CREDENTIALS>, $me:4, <4:1000> <4:1001> <4:0>"
        yield Row(
            f"{name}.credentials",
            f"{make} ; {asked}",
            f"write({PAIR0}, b'who', 3)",
            f"ioctl({PAIR1}, SIOCINQ, [4]) ; {who}",
            security=True,
        )
        yield Row(
            f"{name}.credentials-claimed",
            f"{make} ; {asked} ; me = getpid()",
            sent(PAIR0, b"who", claim, 32),
            who,
            security=True,
        )
        yield Row(
            f"{name}.credentials-of-user",
            f"{make} ; {asked}",
            f"setresuid(-1, 1000, -1) ; write({PAIR0}, b'who', 3) ; setresuid(-1, 0, -1)",
            who,
            security=True,
        )
    make = pair("SOCK_STREAM")
    urgent = f"recvfrom({PAIR1}, [4], 4, MSG_OOB|MSG_DONTWAIT, 0, 0) ; {taken(PAIR1)} ; {taken(PAIR1)}"
    mark = f"ioctl({PAIR1}, SIOCATMARK, [4]) ; ioctl({PAIR1}, SIOCINQ, [4])"
    yield Row("unix-stream.urgent", make, f"sendto({PAIR0}, b'abc!', 4, MSG_OOB, 0, 0)", mark, urgent)
    yield Row("unix-stream.urgent-alone", make, f"sendto({PAIR0}, b'!', 1, MSG_OOB, 0, 0)", mark, urgent)
    yield Row("unix-stream.urgent-then-data", make, f"sendto({PAIR0}, b'!', 1, MSG_OOB, 0, 0) ; write({PAIR0}, b'more', 4)", mark, urgent)
    yield Row(
        "unix-stream.urgent-taken",
        make,
        f"sendto({PAIR0}, b'abc!', 4, MSG_OOB, 0, 0) ; recvfrom({PAIR1}, [1], 1, MSG_OOB, 0, 0)",
        mark,
        urgent,
    )
    first, size = un(b"\0first")
    second, _ = un(b"\0secon")
    bound = f"made = socket(AF_UNIX, SOCK_DGRAM, 0) ; bind($made, {first}, {size})"
    by = f"other = socket(AF_UNIX, SOCK_DGRAM, 0) ; bind($other, {second}, {size})"
    seen = f"recvfrom($made, [64], 64, MSG_PEEK|MSG_DONTWAIT, [110], [4 {lit(bytes((110, 0, 0, 0)))}])"
    yield Row("unix-dgram.sender", f"{bound} ; {by}", f"sendto($other, b'from', 4, 0, {first}, {size})", seen, message("$made", name=32))
    yield Row(
        "unix-dgram.sender-gone",
        f"{bound} ; {by}",
        f"sendto($other, b'from', 4, 0, {first}, {size}) ; close($other)",
        seen,
        message("$made", name=32),
    )
    yield Row(
        "unix-dgram.sender-nameless",
        f"{bound} ; other = socket(AF_UNIX, SOCK_DGRAM, 0)",
        f"sendto($other, b'from', 4, 0, {first}, {size})",
        seen,
        message("$made", name=32),
    )
    yield Row(
        "unix-dgram.several-senders",
        f"{bound} ; {by}",
        f"sendto($other, b'one', 3, 0, {first}, {size}) ; sendto($made, b'me', 2, 0, {first}, {size}) ; "
        f"sendto($other, b'two', 3, 0, {first}, {size})",
        seen,
        " ; ".join([message("$made", name=32)] * 3),
    )
    nobody = " ; ".join([f"sendto($other, b'n', 1, MSG_DONTWAIT, {first}, {size})"] * 3)
    yield Row("unix-dgram.full", f"{bound} ; {by}", nobody, ready("$other", 4, 0), message("$made", name=32))
