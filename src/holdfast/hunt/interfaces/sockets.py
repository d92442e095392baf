"""Sockets as such: every family and type that can be made, those of the kernel's own, their ioctls, and whoever waits in a call.

Source:  socket(2), netlink(7), packet(7), raw(7), socket(7) "Ioctls", ioctl_fionbio(2), recv(2), accept(2); linux/socket.h (AF_*),
         linux/netlink.h (protocols), linux/in.h (IPPROTO_*), linux/if_xdp.h, linux/mroute.h, linux/if_alg.h
"""

from __future__ import annotations

import struct

from holdfast.hunt.interfaces.script import Row, Script
from holdfast.hunt.interfaces.sockobjects import (
    AREA,
    NOBODY,
    PAIR0,
    PAIR1,
    PLAIN,
    SERVER,
    SOCKETS,
    TCP4_CONNECTED,
    TCP4_LISTENING,
    UDP4,
    UDP4_BOUND,
    UNIX_NAME,
    UNIX_SIZE,
    got,
    in4,
    lit,
    named,
    pair,
    peer_named,
    put,
    un,
)  # fmt: skip
from holdfast.hunt.interfaces.sockvalues import NETLINK_FAMILIES
from holdfast.hunt.place import FOLDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

TYPES = ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW", "SOCK_RDM", "SOCK_SEQPACKET", "SOCK_DCCP", "SOCK_PACKET")
# Families of their own tables' options, or whose header names other things with the prefix
NO_FAMILIES = ("AF_UNSPEC", "AF_MAX", "AF_FILE", "AF_LOCAL", "AF_ROUTE", "AF_VSOCK_")
ANY, BYTES = "0.0.0.0", "b'hello'"
CHILD, THREAD = (
    "child = clone(SIGCHLD, 0, 0, 0, 0)",
    ("thread = clone(CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM, 0, 0, 0, 0)"),
)
LINGER_AT_ONCE = lit(struct.pack("<II", 1, 0))


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Every state of a socket that is not an option, one a recipe."""
    script = Script(constants)
    yield from script.recipes("socket", _families(script, ask))
    for interface, rows in (
        ("netlink", _netlink()),
        ("packet", _packet()),
        ("socket-ioctl", _ioctls()),
        ("recv", _waiting()),
    ):
        yield from script.recipes(interface, rows)


# --- what can be made at all


def _families(script: Script, ask: Ask) -> Iterator[Row]:
    told = " ; ".join((*(got("$made", "SOL_SOCKET", o, 4) for o in ("SO_DOMAIN", "SO_TYPE", "SO_PROTOCOL")), named("$made", 64)))
    first = script.lines("getpid()")[0]
    for family in script.names("AF_", but=NO_FAMILIES):
        number = script.value(family)
        made = [(kind, f"made = socket({family}={number}, {kind}, 0)") for kind in TYPES if script.constants.has(kind)]
        found = [(kind, text) for kind, text in made if ask(script.lines(text), first) is not None]
        for kind, text in found or made[:1]:  # one that says that there is none here
            yield Row(f"{family}.{kind}", state=text, get=told)
    for protocol in script.names(*NETLINK_FAMILIES):
        yield Row(f"AF_NETLINK.{protocol}", state=f"made = socket(AF_NETLINK, SOCK_RAW, {protocol})", get=told)
    for protocol in script.names("IPPROTO_", header="linux/in.h", but=("IPPROTO_MAX", "IPPROTO_IP")):
        for kind in ("SOCK_RAW", "SOCK_DGRAM", "SOCK_STREAM"):
            text = f"made = socket(AF_INET, {kind}, {protocol})"
            if kind == "SOCK_RAW" and protocol not in ("IPPROTO_ICMP", "IPPROTO_RAW", "IPPROTO_IGMP"):
                continue  # one number is as another to a raw socket
            if ask(script.lines(text), first) is not None:
                yield Row(f"AF_INET.{kind}.{protocol}", state=text, get=told)
    for flags in ("SOCK_NONBLOCK", "SOCK_CLOEXEC", "SOCK_NONBLOCK|SOCK_CLOEXEC"):
        for family in ("AF_INET", "AF_UNIX", "AF_NETLINK"):
            yield Row(
                f"{family}.{flags}",
                state=f"made = socket({family}, SOCK_DGRAM|{flags}, 0)",
                get="fcntl($made, F_GETFL, 0) ; fcntl($made, F_GETFD, 0)",
            )
    for name in ("tcp4", "unix", "udp4"):
        yield Row(f"{name}.dup", SOCKETS[name].make, "twin = dup($made)", "fcntl($twin, F_GETFD, 0)", "close($made) ; listen($twin, 1)")


# --- families of the kernel's own


def _netlink() -> Iterator[Row]:
    make = SOCKETS["netlink"].make
    told = named("$made", 12)
    # struct nlmsghdr and a family byte: RTM_GETLINK = 18, NLM_F_REQUEST = 1, NLM_F_DUMP = 0x300
    dump = lit(struct.pack("<IHHIIBxxx", 20, 18, 0x301, 7, 0, 0))
    bad = lit(struct.pack("<IHHII", 16, 200, 5, 8, 0))  # an unknown type with NLM_F_ACK: an error comes back
    for label, state, get, after in (
        ("port", "bind($made, {<2:AF_NETLINK> <2:0> <4:4711> <4:0>}, 12)", told, ""),
        (
            "groups",
            "bind($made, {<2:AF_NETLINK> <2:0> <4:4711> <4:0x51>}, 12)",
            f"{told} ; {got('$made', 'SOL_NETLINK', 'NETLINK_LIST_MEMBERSHIPS', 16)}",
            "",
        ),
        ("connected", "connect($made, {<2:AF_NETLINK> <2:0> <4:0> <4:0>}, 12)", peer_named("$made", 12), ""),
        ("connected-group", "connect($made, {<2:AF_NETLINK> <2:0> <4:99> <4:2>}, 12)", peer_named("$made", 12), ""),
        (
            "answer",
            f"sendto($made, {bad}, 16, 0, 0, 0)",
            "recvfrom($made, [32], 32, MSG_PEEK|MSG_DONTWAIT, 0, 0)",
            "recvfrom($made, [4], 4, MSG_DONTWAIT|MSG_TRUNC, 0, 0)",
        ),
        (
            "dump",
            f"sendto($made, {dump}, 20, 0, 0, 0)",
            "recvfrom($made, [16], 16, MSG_PEEK|MSG_DONTWAIT, 0, 0)",
            " ; ".join(["recvfrom($made, [8], 8, MSG_DONTWAIT|MSG_TRUNC, 0, 0)"] * 3),
        ),
        (
            "dump-half-read",
            f"sendto($made, {dump}, 20, 0, 0, 0) ; recvfrom($made, [8], 8, MSG_TRUNC, 0, 0)",
            "",
            "recvfrom($made, [8], 8, MSG_DONTWAIT|MSG_TRUNC, 0, 0)",
        ),
    ):
        yield Row(f"route.{label}", make, state, get, after)
    users = "made = socket(AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK) ; bind($made, {<2:AF_NETLINK> <2:0> <4:4711> <4:0>}, 12)"
    yield Row(
        "usersock.queued",
        f"{users} ; other = socket(AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK) ; bind($other, {{<2:AF_NETLINK> <2:0> <4:4712> <4:0>}}, 12)",
        "sendto($other, b'hello', 5, 0, {<2:AF_NETLINK> <2:0> <4:4711> <4:0>}, 12)",
        f"recvfrom($made, [64], 64, MSG_PEEK|MSG_DONTWAIT, [12], [4 {lit(bytes((12, 0, 0, 0)))}])",
        "recvfrom($made, [64], 64, MSG_DONTWAIT, 0, 0)",
    )


def _packet() -> Iterator[Row]:
    make, told = SOCKETS["packet-idle"].make, named("$made", 20)
    to_lo = "{<2:AF_PACKET> <2:0x300> <4:1> <8:0> <4:0>}"
    hears = f"other = {UDP4.split(' = ')[1]} ; sendto($other, b'heard', 5, 0, {in4(NOBODY)}, 16)"
    yield Row("bound-lo", make, f"bind($made, {to_lo}, 20)", told, f"{hears} ; recvfrom($made, [20], 20, MSG_DONTWAIT, 0, 0)")
    yield Row(
        "bound-all",
        make,
        "bind($made, {<2:AF_PACKET> <2:0x300> <4:0> <8:0> <4:0>}, 20)",
        told,
        f"{hears} ; recvfrom($made, [20], 20, MSG_DONTWAIT, 0, 0)",
    )
    yield Row(
        "heard",
        f"{make} ; bind($made, {to_lo}, 20)",
        hears,
        "ioctl($made, SIOCINQ, [4])",
        "recvfrom($made, [20], 20, MSG_DONTWAIT, 0, 0) ; recvfrom($made, [20], 20, MSG_DONTWAIT, 0, 0)",
    )
    ring = lit(struct.pack("<IIII", 4096, 4, 2048, 8))
    mapped = "map = mmap(0, 16384, PROT_READ|PROT_WRITE, MAP_SHARED, $made, 0)"
    yield Row("ring-mapped", make, f"{put('$made', 'SOL_PACKET', 'PACKET_RX_RING', ring, 16)} ; {mapped}", "peek($map, 8)")
    yield Row(
        "ring-heard",
        f"{make} ; {put('$made', 'SOL_PACKET', 'PACKET_RX_RING', ring, 16)} ; {mapped} ; bind($made, {to_lo}, 20)",
        hears,
        "peek($map, 8)",
    )
    yield Row(
        "fanout",
        f"{SOCKETS['packet'].make} ; second = socket(AF_PACKET, SOCK_RAW, 0x300)",
        " ; ".join(put(fd, "SOL_PACKET", "PACKET_FANOUT", 7) for fd in ("$made", "$second")),
        got("$second", "SOL_PACKET", "PACKET_FANOUT", 4),
    )
    yield Row("spkt", "", "made = socket(AF_INET, SOCK_PACKET, 0x300)", named("$made", 16))
    umem = "{$area, <8:16384> <4:4096> <4:0> <4:0> <4:0>}"
    rings = " ; ".join(
        put("$made", "SOL_XDP", option, 64) for option in ("XDP_UMEM_FILL_RING", "XDP_UMEM_COMPLETION_RING", "XDP_RX_RING", "XDP_TX_RING")
    )
    yield Row(
        "xdp.rings",
        f"{AREA} ; {SOCKETS['xdp'].make}",
        f"{put('$made', 'SOL_XDP', 'XDP_UMEM_REG', umem, 32)} ; {rings}",
        got("$made", "SOL_XDP", "XDP_MMAP_OFFSETS", 128),
    )
    yield Row(
        "xdp.bound",
        f"{AREA} ; {SOCKETS['xdp'].make}",
        f"{put('$made', 'SOL_XDP', 'XDP_UMEM_REG', umem, 32)} ; {rings} ; bind($made, {{<2:AF_XDP> <2:2> <4:1> <4:0> <4:0>}}, 16)",
        got("$made", "SOL_XDP", "XDP_OPTIONS", 4),
    )
    route = put("$made", "IPPROTO_IP", "MRT_INIT", 1)
    yield Row("mroute.init", "made = socket(AF_INET, SOCK_RAW, IPPROTO_IGMP)", route, got("$made", "IPPROTO_IP", "MRT_VERSION", 4))
    for kind, key in (("hash", "sha256"), ("skcipher", "cbc(aes)"), ("rng", "stdrng"), ("aead", "gcm(aes)")):
        address = lit(struct.pack("<H14sII64s", 38, kind.encode(), 0, 0, key.encode()))
        yield Row(
            f"alg.{kind}", SOCKETS["alg"].make, f"bind($made, {address}, 88) ; work = accept4($made, 0, 0, 0)", "fcntl($work, F_GETFL, 0)"
        )


# --- ioctls


def _ioctls() -> Iterator[Row]:
    for name in ("tcp4", "udp4", "unix-stream", "tcp4-connected", "netlink", "tcp4-listening"):
        made = SOCKETS[name]
        status = f"fcntl({made.fd}, F_GETFL, 0) ; fcntl({made.fd}, F_GETOWN, 0)"
        yield Row(f"{name}.FIONBIO", made.make, f"ioctl({made.fd}, FIONBIO, <4:1>)", status)
        yield Row(f"{name}.FIOASYNC", made.make, f"ioctl({made.fd}, FIOASYNC, <4:1>)", status)
        yield Row(f"{name}.FIOCLEX", made.make, f"ioctl({made.fd}, FIOCLEX, 0)", f"fcntl({made.fd}, F_GETFD, 0)")
        for request, reply in (("FIOSETOWN", "FIOGETOWN"), ("SIOCSPGRP", "SIOCGPGRP")):
            yield Row(
                f"{name}.{request}",
                f"{made.make} ; me = getpid()",
                f"ioctl({made.fd}, {request}, {{$me:4}})",
                f"ioctl({made.fd}, {reply}, [4])",
            )
    path, size = un(f"{FOLDER}/s".encode() + b"\0")
    yield Row(
        "unix.SIOCUNIXFILE",
        f"made = socket(AF_UNIX, SOCK_STREAM, 0) ; bind($made, {path}, {size})",
        "file = ioctl($made, 35296, 0)",
        "fcntl($file, F_GETFL, 0)",
    )


# --- whoever waits in a call


def _waiting() -> Iterator[Row]:
    quiet = "recvfrom({fd}, [8], 8, 0, 0, 0) blocks"
    for who, actor in (("child", CHILD), ("thread", THREAD)):
        for label, make, call, wake in (
            ("tcp4.recv", TCP4_CONNECTED, quiet.format(fd="$made"), "write($peer, b'wake', 4)"),
            ("tcp4.recv-all", TCP4_CONNECTED, "recvfrom($made, [8], 8, MSG_WAITALL, 0, 0) blocks", "write($peer, b'wakewake', 8)"),
            ("tcp4.recv-then-end", TCP4_CONNECTED, quiet.format(fd="$made"), "shutdown($peer, SHUT_WR)"),
            (
                "tcp4.accept",
                TCP4_LISTENING,
                "accept4($made, 0, 0, 0) blocks",
                f"caller = socket(AF_INET, SOCK_STREAM, 0) ; connect($caller, {in4(SERVER)}, 16)",
            ),
            ("udp4.recv", UDP4_BOUND, quiet.format(fd="$made"), f"sendto($made, b'wake', 4, 0, {in4(PLAIN)}, 16)"),
            ("unix.recv", pair("SOCK_STREAM"), quiet.format(fd=PAIR0), f"write({PAIR1}, b'wake', 4)"),
            ("unix.recv-dgram", pair("SOCK_DGRAM"), quiet.format(fd=PAIR0), f"write({PAIR1}, b'wake', 4)"),
            (
                "unix.accept",
                SOCKETS["unix-listening"].make,
                "accept4($made, 0, 0, 0) blocks",
                f"caller = socket(AF_UNIX, SOCK_STREAM, 0) ; connect($caller, {UNIX_NAME}, {UNIX_SIZE})",
            ),
            ("tcp4.poll", TCP4_CONNECTED, "poll({$made:4, <2:1> <2:0>}, 1, -1) blocks", "write($peer, b'wake', 4)"),
            (
                "tcp4.recv-lowat",
                f"{TCP4_CONNECTED} ; {put('$made', 'SOL_SOCKET', 'SO_RCVLOWAT', 8)} ; write($peer, b'part', 4)",
                quiet.format(fd="$made"),
                "write($peer, b'rest', 4)",
            ),
        ):
            yield Row(f"{label}.{who}", f"{make} ; {actor}", f"{who}: {call}", "", wake, inside=True)
