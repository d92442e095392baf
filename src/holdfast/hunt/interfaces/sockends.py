"""The ends of sockets: the names they are bound to, whom they are connected to, who calls and waits, halves that are shut.

Source:  bind(2), listen(2), accept(2), connect(2), shutdown(2), getsockname(2), unix(7), tcp(7), udp(7), ip(7), ipv6(7), vsock(7)
"""

from __future__ import annotations

import struct

from holdfast.hunt.interfaces.script import Row, Script
from holdfast.hunt.interfaces.sockobjects import (
    CLIENT,
    LO,
    NOBODY,
    PAIR0,
    PAIR1,
    PLAIN,
    SERVER,
    SOCKETS,
    TCP4,
    TCP4_CONNECTED,
    TCP4_LISTENING,
    TCP6,
    UDP4,
    UDP4_BOUND,
    UDP6,
    UDP6_BOUND,
    UNIX_NAME,
    UNIX_SIZE,
    both_ways,
    calls,
    got,
    in4,
    in6,
    lit,
    message,
    named,
    pair,
    peer_named,
    put,
    ready,
    rights,
    sent,
    taken,
    un,
)  # fmt: skip
from holdfast.hunt.place import FOLDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

BYTES = "b'hello'"
CHILD = "child = clone(SIGCHLD, 0, 0, 0, 0)"
LINGER_AT_ONCE = lit(struct.pack("<II", 1, 0))


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Every state of the ends of a socket, one a recipe."""
    script = Script(constants)
    for interface, rows in (
        ("bind", _names()),
        ("bind", _unix_names()),
        ("listen", _listeners()),
        ("connect", _connections()),
        ("shutdown", _halves()),
    ):
        yield from script.recipes(interface, rows)


# --- names


def _names() -> Iterator[Row]:
    mapped = f"::ffff:127.0.0.{1}"
    for name, make, size, addresses in (
        ("tcp4", TCP4, 16, (("loopback", in4(SERVER)), ("any", in4(SERVER, 0)), ("other", in4(SERVER, LO + 8)))),
        (
            "udp4",
            UDP4,
            16,
            (("loopback", in4(PLAIN)), ("any", in4(PLAIN, 0)), ("group", in4(PLAIN, 0xE0000001)), ("broadcast", in4(PLAIN, 0xFFFFFFFF))),
        ),
        ("tcp6", TCP6, 28, (("loopback", in6(SERVER)), ("any", in6(SERVER, "::")), ("mapped", in6(SERVER, mapped)))),
        (
            "udp6",
            UDP6,
            28,
            (
                ("loopback", in6(PLAIN)),
                ("any", in6(PLAIN, "::")),
                ("mapped", in6(PLAIN, mapped)),
                ("group", in6(PLAIN, "ff02::1", scope=1)),
            ),
        ),
        ("raw4", SOCKETS["raw4"].make, 16, (("loopback", in4(0)),)),
        ("raw6", SOCKETS["raw6"].make, 28, (("loopback", in6(0)),)),
        ("ping4", SOCKETS["ping4"].make, 16, (("id", in4(77)),)),
        ("udplite4", SOCKETS["udplite4"].make, 16, (("loopback", in4(PLAIN)),)),
        ("mptcp4", SOCKETS["mptcp4"].make, 16, (("loopback", in4(SERVER)),)),
    ):
        for label, address in addresses:
            after = (
                f"sendto($made, b'x', 1, MSG_DONTWAIT, {in4(PLAIN)}, 16) ; {ready('$made')} ; {taken('$made')}" if name == "udp4" else ""
            )
            yield Row(f"{name}.{label}", make, f"bind($made, {address}, {size})", named("$made", size), after)
    only = put("$made", "IPPROTO_IPV6", "IPV6_V6ONLY", 1)
    both = f"other = socket(AF_INET, SOCK_STREAM, 0) ; bind($other, {in4(SERVER, 0)}, 16)"
    yield Row(
        "tcp6.v6only",
        TCP6,
        f"{only} ; bind($made, {in6(SERVER, '::')}, 28)",
        f"{named('$made')} ; {got('$made', 'IPPROTO_IPV6', 'IPV6_V6ONLY')}",
        both,
    )
    yield Row(
        "tcp6.v6only-and-v4",
        TCP6,
        f"{only} ; bind($made, {in6(SERVER, '::')}, 28) ; {both} ; listen($made, 1) ; listen($other, 1)",
        named("$made"),
    )
    for option, text in (
        ("SO_REUSEADDR", f"{put('$made', 'SOL_SOCKET', 'SO_REUSEADDR', 1)} ; {put('$second', 'SOL_SOCKET', 'SO_REUSEADDR', 1)}"),
        ("SO_REUSEPORT", f"{put('$made', 'SOL_SOCKET', 'SO_REUSEPORT', 1)} ; {put('$second', 'SOL_SOCKET', 'SO_REUSEPORT', 1)}"),
    ):
        for name, kind, address in (("tcp4", "SOCK_STREAM", in4(SERVER)), ("udp4", "SOCK_DGRAM", in4(PLAIN))):
            make = f"made = socket(AF_INET, {kind}, 0) ; second = socket(AF_INET, {kind}, 0)"
            two = f"{text} ; bind($made, {address}, 16) ; bind($second, {address}, 16)"
            third = f"third = socket(AF_INET, {kind}, 0) ; {put('$third', 'SOL_SOCKET', option, 1)} ; bind($third, {address}, 16)"
            yield Row(f"{name}.two-by-{option}", make, two, f"{named('$made', 16)} ; {named('$second', 16)}", third)
            if name == "tcp4" and option == "SO_REUSEPORT":
                yield Row(
                    "tcp4.listening-by-SO_REUSEPORT", make, f"{two} ; listen($made, 2) ; listen($second, 2)", named("$second", 16), third
                )
    yield Row(
        "tcp4.no-port-yet",
        TCP4,
        f"{put('$made', 'IPPROTO_IP', 'IP_BIND_ADDRESS_NO_PORT', 1)} ; bind($made, {in4(0, LO + 3)}, 16)",
        named("$made", 16),
    )
    yield Row(
        "udp4.device",
        UDP4,
        f"{put('$made', 'SOL_SOCKET', 'SO_BINDTODEVICE', lit(b'lo'), 2)} ; bind($made, {in4(PLAIN, 0)}, 16)",
        f"{named('$made', 16)} ; {got('$made', 'SOL_SOCKET', 'SO_BINDTODEVICE')}",
        security=True,
    )
    yield Row(
        "tcp4.foreign",
        TCP4,
        f"{put('$made', 'IPPROTO_IP', 'IP_FREEBIND', 1)} ; bind($made, {in4(SERVER, 0x0A0B0C0D)}, 16)",
        named("$made", 16),
    )
    yield Row(
        "tcp4.transparent",
        TCP4,
        f"{put('$made', 'IPPROTO_IP', 'IP_TRANSPARENT', 1)} ; bind($made, {in4(SERVER, 0x0A0B0C0D)}, 16)",
        named("$made", 16),
    )
    yield Row("udp6.flow", UDP6, f"connect($made, {in6(NOBODY, flow=0x01200000)}, 28)", peer_named("$made"))
    yield Row("tcp4.low-port", TCP4, f"bind($made, {in4(81)}, 16)", named("$made", 16))
    vm = "b'\\x28\\x00\\x00\\x00{port}\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00'"
    yield Row(
        "vsock.local",
        SOCKETS["vsock"].make,
        f"bind($made, {vm.format(port=chr(92) + 'xd2' + chr(92) + 'x04' + (chr(92) + 'x00') * 2)}, 16)",
        named("$made", 16),
    )
    yield Row("vsock.any", SOCKETS["vsock"].make, "bind($made, {<2:AF_VSOCK> <2:0> <4:1235> <4:0xffffffff> <4:0>}, 16)", named("$made", 16))
    yield Row(
        "vsock.listening",
        SOCKETS["vsock"].make,
        "bind($made, {<2:AF_VSOCK> <2:0> <4:1236> <4:0xffffffff> <4:0>}, 16) ; listen($made, 3)",
        named("$made", 16),
    )


def _unix_names() -> Iterator[Row]:
    path = f"{FOLDER}/s".encode()
    own, _ = un(path + b"\0")
    full = f"{FOLDER}/".encode()
    full += b"n" * (108 - len(full))
    for kind in ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET"):
        make = f"made = socket(AF_UNIX, {kind}, 0)"
        call = f"second = socket(AF_UNIX, {kind}, 0) ; connect($second, ADDRESS) ; {peer_named('$second', 110)}"
        for label, name, more in (
            ("abstract", b"\0hunt", ""),
            ("abstract-zeros", b"\0a\0b\0\0", ""),
            ("abstract-longest", b"\0" + b"n" * 107, ""),
            ("path", path + b"\0", ""),
            ("path-no-end", path, ""),
            ("path-longest", full, ""),
            ("path-unlinked", path + b"\0", f"unlink({lit(path + bytes(1))})"),
            ("path-renamed", path + b"\0", f"rename({lit(path + bytes(1))}, {lit(path + b't' + bytes(1))})"),
            (
                "path-taken",
                path + b"\0",
                f"unlink({lit(path + bytes(1))}) ; other = socket(AF_UNIX, {kind}, 0) ; bind($other, {own}, {len(path) + 3})",
            ),
            ("path-mode", path + b"\0", f"chmod({lit(path + bytes(1))}, 448)"),
            ("path-owner", path + b"\0", f"chown({lit(path + bytes(1))}, 1000, 1001)"),
        ):
            if kind != "SOCK_STREAM" and label not in ("abstract", "path", "path-unlinked"):
                continue
            address, size = un(name)
            bound = f"bind($made, {address}, {size})" + (f" ; {more}" if more else "")
            if kind != "SOCK_DGRAM":
                bound += " ; listen($made, 2)"
            seen = (
                f"{named('$made', 110)} ; newfstatat(AT_FDCWD, {lit(path + bytes(1))}, [144], 0)"
                if label in ("path-mode", "path-owner")
                else named("$made", 110)
            )
            yield Row(f"unix.{kind}.{label}", make, bound, seen, call.replace("ADDRESS", f"{address}, {size}"))
        yield Row(f"unix.{kind}.autobind", make, "bind($made, <2:AF_UNIX>, 2)", named("$made", 110))
    relative, size = un(b"here\0")
    yield Row(
        "unix.relative",
        "made = socket(AF_UNIX, SOCK_STREAM, 0)",
        f"chdir({lit(FOLDER.encode() + bytes(1))}) ; bind($made, {relative}, {size}) ; chdir(b'/\\x00') ; listen($made, 2)",
        named("$made", 110),
    )
    yield Row(
        "unix.no-mode",
        "made = socket(AF_UNIX, SOCK_DGRAM, 0)",
        f"fchmod($made, 0) ; bind($made, {un(path + bytes(1))[0]}, {len(path) + 3})",
        f"newfstatat(AT_FDCWD, {lit(path + bytes(1))}, [144], 0) ; fstat($made, [144])",
    )
    yield Row("unix.inode-mode", "made = socket(AF_UNIX, SOCK_DGRAM, 0)", "fchmod($made, 384)", "fstat($made, [144])")
    yield Row("unix.inode-owner", "made = socket(AF_UNIX, SOCK_DGRAM, 0)", "fchown($made, 1000, 1001)", "fstat($made, [144])")


# --- listeners and who waits there


def _listeners() -> Iterator[Row]:
    unix = f"made = socket(AF_UNIX, SOCK_STREAM, 0) ; bind($made, {UNIX_NAME}, {UNIX_SIZE})"
    for name, make, family, address, size in (
        ("tcp4", f"{TCP4} ; bind($made, {in4(SERVER)}, 16)", "AF_INET", in4(SERVER), 16),
        ("tcp6", f"{TCP6} ; bind($made, {in6(SERVER)}, 28)", "AF_INET6", in6(SERVER), 28),
        ("unix", unix, "AF_UNIX", UNIX_NAME, UNIX_SIZE),
    ):
        told = got("$made", "SOL_SOCKET", "SO_ACCEPTCONN", 4)
        if name != "unix":
            told += f" ; getsockopt($made, IPPROTO_TCP, TCP_INFO, [32], [4 {lit(bytes((32, 0, 0, 0)))}])"  # tcpi_sacked is its backlog
        enough = " ; ".join(f"c{n} = socket({family}, SOCK_STREAM|SOCK_NONBLOCK, 0) ; connect($c{n}, {address}, {size})" for n in range(4))
        for backlog in (0, 1, 5, 4096, 0xFFFFFFFF):
            after = enough if backlog < 2 and name == "unix" else calls(family, address, size)
            yield Row(f"{name}.backlog={backlog}", make, f"listen($made, {backlog})", told, after)
        yield Row(f"{name}.twice", f"{make} ; listen($made, 5)", "listen($made, 2)", told)
        listening = f"{make} ; listen($made, 8)"
        one = f"c0 = socket({family}, SOCK_STREAM, 0) ; connect($c0, {address}, {size})"
        two = f"{one} ; c1 = socket({family}, SOCK_STREAM, 0) ; connect($c1, {address}, {size})"
        let_in = (
            f"{ready('$made')} ; fcntl($made, F_SETFL, O_RDWR|O_NONBLOCK) ; fresh = accept4($made, 0, 0, SOCK_NONBLOCK) ; {taken('$fresh')}"
        )
        talk = f"{let_in} ; sendto($fresh, b'yo', 2, MSG_DONTWAIT, 0, 0) ; {ready('$c0')} ; {taken('$c0')}"
        for label, state, after in (
            ("waiting-1", one, talk),
            ("waiting-2", two, f"{talk} ; next = accept4($made, 0, 0, SOCK_NONBLOCK)"),
            ("waiting-with-data", f"{one} ; write($c0, {BYTES}, 5)", talk),
            ("waiting-shut", f"{one} ; write($c0, {BYTES}, 5) ; shutdown($c0, SHUT_WR)", f"{talk} ; {taken('$fresh')}"),
            ("waiting-closed", f"{one} ; write($c0, {BYTES}, 5) ; close($c0)", f"{let_in} ; {taken('$fresh')}"),
        ):
            yield Row(f"{name}.{label}", listening, state, f"{ready('$made', wait_ms=0)}", after)
    caller = f"c0 = socket(AF_INET, SOCK_STREAM, 0) ; connect($c0, {in4(SERVER)}, 16)"
    yield Row(
        "tcp4.waiting-reset",
        TCP4_LISTENING,
        f"{caller} ; {put('$c0', 'SOL_SOCKET', 'SO_LINGER', LINGER_AT_ONCE, 8)} ; close($c0)",
        ready("$made", wait_ms=0),
        "fresh = accept4($made, 0, 0, SOCK_NONBLOCK) ; recvfrom($fresh, [8], 8, MSG_DONTWAIT, 0, 0)",
    )
    yield Row(
        "tcp4.deferred",
        TCP4_LISTENING,
        f"{put('$made', 'IPPROTO_TCP', 'TCP_DEFER_ACCEPT', 30)} ; {caller}",
        ready("$made", wait_ms=0),
        f"sendto($c0, b'now', 3, MSG_DONTWAIT, 0, 0) ; {ready('$made')}",
    )
    passed, size = rights("$memfd")
    yield Row(
        "unix.waiting-with-rights",
        f"{unix} ; listen($made, 8) ; memfd = memfd_create(b'm\\x00', 0) ; write($memfd, {BYTES}, 5)",
        f"c0 = socket(AF_UNIX, SOCK_STREAM, 0) ; connect($c0, {UNIX_NAME}, {UNIX_SIZE}) ; {sent('$c0', b'fd', passed, size)}",
        "",
        f"fresh = accept4($made, 0, 0, SOCK_NONBLOCK) ; {message('$fresh', control=64, kept='ctl')} ; pread64($ctl@16:4, [8], 8, 0)",
    )
    yield Row(
        "unix.shut-down",
        f"{unix} ; listen($made, 8)",
        "shutdown($made, SHUT_RD)",
        "",
        f"c0 = socket(AF_UNIX, SOCK_STREAM, 0) ; connect($c0, {UNIX_NAME}, {UNIX_SIZE})",
    )


# --- connections


def _connections() -> Iterator[Row]:
    nothing = "b'\\x00\\x00" + "\\x00" * 14 + "'"
    ends = f"{named('$made')} ; {peer_named('$made')}"
    yield Row("tcp4.listener-open", "", TCP4_CONNECTED.removesuffix(" ; close($server)"), ends, both_ways("$made", "$peer"))
    for name in (
        "tcp4-connected",
        "tcp6-connected",
        "mptcp4-connected",
        "udp4-connected",
        "udp6-connected",
        "unix-stream",
        "unix-dgram",
        "unix-seqpacket",
    ):
        made = SOCKETS[name]
        told = f"{named(made.fd)} ; {peer_named(made.fd)}"
        yield Row(f"{name}", "", made.make, told, made.goes_on)
        if not name.startswith(("unix", "mptcp")):
            yield Row(
                f"{name}.dissolved",
                made.make,
                f"connect($made, {nothing}, 16)",
                named("$made"),
                f"sendto($made, b'x', 1, MSG_DONTWAIT, 0, 0) ; {peer_named('$made')}",
            )
    yield Row(
        "tcp4.to-itself",
        f"{TCP4} ; bind($made, {in4(SERVER)}, 16)",
        f"connect($made, {in4(SERVER)}, 16)",
        ends,
        f"sendto($made, b'me', 2, MSG_DONTWAIT, 0, 0) ; {ready('$made')} ; {taken('$made')}",
    )
    mapped = in6(SERVER, "::ffff:127.0.0.1")
    yield Row(
        "tcp6.mapped",
        f"server = socket(AF_INET, SOCK_STREAM, 0) ; bind($server, {in4(SERVER)}, 16) ; listen($server, 3) ; {TCP6} ; "
        f"bind($made, {in6(CLIENT, '::ffff:127.0.0.1')}, 28)",
        f"connect($made, {mapped}, 28) ; peer = accept4($server, 0, 0, 0)",
        ends,
        both_ways("$made", "$peer"),
    )
    yield Row(
        "tcp4.fastopen-waiting",
        TCP4,
        f"{put('$made', 'IPPROTO_TCP', 'TCP_FASTOPEN_NO_COOKIE', 1)} ; "
        f"{put('$made', 'IPPROTO_TCP', 'TCP_FASTOPEN_CONNECT', 1)} ; connect($made, {in4(NOBODY)}, 16)",
        got("$made", "IPPROTO_TCP", "TCP_FASTOPEN_CONNECT", 4),
        "sendto($made, b'x', 1, MSG_DONTWAIT, 0, 0)",
    )
    yield Row(
        "udp4.refused",
        f"{UDP4_BOUND} ; connect($made, {in4(NOBODY)}, 16)",
        "write($made, b'x', 1)",
        ready("$made", 0xD, 0),
        f"{got('$made', 'SOL_SOCKET', 'SO_ERROR', 4)} ; {got('$made', 'SOL_SOCKET', 'SO_ERROR', 4)}",
    )
    yield Row(
        "udp4.refused-queued",
        f"{UDP4_BOUND} ; {put('$made', 'IPPROTO_IP', 'IP_RECVERR', 1)} ; connect($made, {in4(NOBODY)}, 16)",
        "write($made, b'lost', 4)",
        ready("$made", 0xD, 0),
        f"{message('$made', flags='MSG_ERRQUEUE|MSG_DONTWAIT')} ; {message('$made', flags='MSG_ERRQUEUE|MSG_DONTWAIT')}",
    )
    yield Row(
        "udp6.refused-queued",
        f"{UDP6_BOUND} ; {put('$made', 'IPPROTO_IPV6', 'IPV6_RECVERR', 1)} ; connect($made, {in6(NOBODY)}, 28)",
        "write($made, b'lost', 4)",
        ready("$made", 0xD, 0),
        f"{message('$made', flags='MSG_ERRQUEUE|MSG_DONTWAIT')} ; {message('$made', flags='MSG_ERRQUEUE|MSG_DONTWAIT')}",
    )
    yield Row(
        "tcp4.reset",
        TCP4_CONNECTED,
        f"{put('$peer', 'SOL_SOCKET', 'SO_LINGER', LINGER_AT_ONCE, 8)} ; close($peer)",
        ready("$made", 0xD, 0),
        f"{taken('$made')} ; {taken('$made')} ; {got('$made', 'SOL_SOCKET', 'SO_ERROR', 4)}",
    )
    yield Row(
        "tcp4.reset-by-unread",
        TCP4_CONNECTED,
        f"write($made, {BYTES}, 5) ; close($peer)",
        ready("$made", 0xD, 0),
        f"{taken('$made')} ; {taken('$made')}",
    )
    yield Row("raw4.connected", SOCKETS["raw4"].make, f"connect($made, {in4(0)}, 16)", ends)
    yield Row("ping4.connected", SOCKETS["ping4"].make, f"connect($made, {in4(0)}, 16)", peer_named("$made"))
    first, size = un(b"\0first")
    second, _ = un(b"\0secon")
    dgrams = (
        f"made = socket(AF_UNIX, SOCK_DGRAM, 0) ; bind($made, {first}, {size}) ; "
        f"other = socket(AF_UNIX, SOCK_DGRAM, 0) ; bind($other, {second}, {size})"
    )
    yield Row(
        "unix-dgram.to-bound",
        dgrams,
        f"connect($made, {second}, {size})",
        f"{named('$made', 110)} ; {peer_named('$made', 110)}",
        f"sendto($made, b'x', 1, MSG_DONTWAIT, 0, 0) ; {message('$other', name=32)}",
    )
    yield Row(
        "unix-dgram.to-gone",
        f"{dgrams} ; connect($made, {second}, {size})",
        "close($other)",
        ready("$made", 4, 0),
        "sendto($made, b'x', 1, MSG_DONTWAIT, 0, 0)",
    )
    yield Row(
        "unix-dgram.to-itself",
        dgrams,
        f"connect($made, {first}, {size})",
        peer_named("$made", 110),
        f"sendto($made, b'x', 1, MSG_DONTWAIT, 0, 0) ; {taken('$made')}",
    )
    yield Row(
        "unix-dgram.both-ways",
        dgrams,
        f"connect($made, {second}, {size}) ; connect($other, {first}, {size})",
        peer_named("$other", 110),
        f"sendto($other, b'x', 1, MSG_DONTWAIT, 0, 0) ; {taken('$made')}",
    )
    yield Row(
        "unix-dgram.dissolved",
        f"{dgrams} ; connect($made, {second}, {size})",
        f"connect($made, {nothing}, 2)",
        named("$made", 110),
        "sendto($made, b'x', 1, MSG_DONTWAIT, 0, 0)",
    )
    cred = got(PAIR0, "SOL_SOCKET", "SO_PEERCRED", 12)
    groups = got(PAIR0, "SOL_SOCKET", "SO_PEERGROUPS", 64)
    for label, before, back in (
        ("user", "setresuid(-1, 1000, -1)", "setresuid(-1, 0, -1)"),
        ("group", "setresgid(-1, 1001, -1)", "setresgid(-1, 0, -1)"),
        ("groups", "setgroups(2, <4:7> <4:8>)", "setgroups(0, 0)"),
    ):
        yield Row(f"unix-stream.of-{label}", "", f"{before} ; {pair('SOCK_STREAM')} ; {back}", f"{cred} ; {groups}", security=True)
    for label, line in (("user", "setresuid(-1, 1000, -1)"), ("group", "setresgid(-1, 1001, -1)")):
        yield Row(f"unix-stream.then-{label}", pair("SOCK_STREAM"), line, f"{cred} ; {groups}", security=True)
    yield Row(
        "unix-stream.of-child",
        f"{pair('SOCK_STREAM')} ; {CHILD}",
        f"child: close({PAIR0}) ; close({PAIR1})",
        cred,
        f"write({PAIR0}, b'hi', 2) ; child: {taken(PAIR1)}",
    )
    yield Row(
        "unix.listener-of-user",
        "",
        f"made = socket(AF_UNIX, SOCK_STREAM, 0) ; bind($made, {UNIX_NAME}, {UNIX_SIZE}) ; setresuid(-1, 1000, -1) ; listen($made, 3) ; "
        f"setresuid(-1, 0, -1) ; c0 = socket(AF_UNIX, SOCK_STREAM, 0) ; connect($c0, {UNIX_NAME}, {UNIX_SIZE})",
        got("$c0", "SOL_SOCKET", "SO_PEERCRED", 12),
        security=True,
    )
    vm = "{<2:AF_VSOCK> <2:0> <4:1236> <4:1> <4:0>}"
    yield Row(
        "vsock.connected",
        f"server = socket(AF_VSOCK, SOCK_STREAM, 0) ; bind($server, {vm}, 16) ; listen($server, 3) ; {SOCKETS['vsock'].make}",
        f"connect($made, {vm}, 16) ; peer = accept4($server, 0, 0, 0)",
        peer_named("$made", 16),
        both_ways("$made", "$peer"),
    )


# --- halves


def _halves() -> Iterator[Row]:
    for name in (
        "tcp4-connected",
        "tcp6-connected",
        "unix-stream",
        "unix-seqpacket",
        "unix-dgram",
        "udp4-connected",
        "udp6-connected",
        "mptcp4-connected",
    ):
        fd, peer = (PAIR0, PAIR1) if name.startswith("unix") else ("$made", "$peer")
        after = (
            f"sendto({fd}, b'a', 1, MSG_DONTWAIT|MSG_NOSIGNAL, 0, 0) ; sendto({peer}, b'b', 1, MSG_DONTWAIT|MSG_NOSIGNAL, 0, 0) ; "
            f"{ready(fd, 0x2005, 0)} ; {ready(peer, 0x2005, 0)} ; {taken(fd)} ; {taken(peer)} ; {taken(fd)} ; {taken(peer)}"
        )
        told = f"{ready(fd, 0x2005, 0)} ; {ready(peer, 0x2005, 0)}"
        # an acknowledgement that TCP delays (include/net/tcp.h TCP_ATO_MIN) comes before anybody looks
        quiet = " ; poll(0, 0, 50)" if "tcp" in name else ""
        for how in ("SHUT_RD", "SHUT_WR", "SHUT_RDWR"):
            yield Row(f"{name}.{how}", SOCKETS[name].make, f"shutdown({fd}, {how}){quiet}", told, after)
        for label, state in (
            ("both-WR", f"shutdown({fd}, SHUT_WR) ; shutdown({peer}, SHUT_WR)"),
            ("data-then-WR", f"write({peer}, {BYTES}, 5) ; shutdown({peer}, SHUT_WR)"),
            ("data-then-RD", f"write({peer}, {BYTES}, 5) ; shutdown({fd}, SHUT_RD)"),
            ("peer-closed", f"close({peer})"),
            ("peer-closed-after-data", f"write({peer}, {BYTES}, 5) ; close({peer})"),
        ):
            rest = (
                after
                if "closed" not in label
                else f"{ready(fd, 0x2005, 0)} ; {taken(fd)} ; {taken(fd)} ; sendto({fd}, b'a', 1, MSG_DONTWAIT|MSG_NOSIGNAL, 0, 0)"
            )
            yield Row(f"{name}.{label}", SOCKETS[name].make, state + quiet, told if "closed" not in label else ready(fd, 0x2005, 0), rest)
    yield Row("tcp4.bound", f"{TCP4_LISTENING}", "shutdown($made, SHUT_RD)", named("$made", 16), "listen($made, 1)")
