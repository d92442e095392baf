"""Options of sockets: each that this kernel lets us change is read, set on a new socket, and read again."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.kernel.uapi.sockopts import KNOWN_TO, ROWS, level_of
from holdfast.kinds import socket_options, sockets
from holdfast.kinds.contract import Entry, Unchecked
from holdfast.kinds.socket_options import Option
from holdfast.model.ids import ObjectId
from holdfast.model.record import Record
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = ("bind", "set", "size", "linger", "listen", "late")
SORTS = {
    "unix": (socket.AF_UNIX, socket.SOCK_STREAM, 0, "au"),
    "tcp": (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "ait"),
    "tcp6": (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "ai6t"),
    "udp": (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP, "aid"),
    "udp6": (socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_UDP, "ai6d"),
    "netlink": (socket.AF_NETLINK, socket.SOCK_RAW, 0, "an"),
}
# how many of its options an ordinary user of an old kernel can change at least; a row that is lost shows here
AT_LEAST = {"unix": 15, "tcp": 50, "tcp6": 65, "udp": 40, "udp6": 55, "netlink": 20}
DEVICE = b"lo\0"


class Empty(Record):
    """A record for parts that have none."""


def made(sort: str) -> socket.socket:
    try:
        return socket.socket(*SORTS[sort][:3])
    except OSError as error:
        if sort.endswith("6"):
            pytest.skip(f"machine cannot: it has no IPv6 ({error})")
        raise


@pytest.fixture
def pool() -> Iterator[list[socket.socket]]:
    kept: list[socket.socket] = []
    yield kept
    for sock in kept:
        sock.close()


def seen(sock: socket.socket, **kind: Any) -> tuple[Option, ...]:
    evidence = native.tree(sock.fileno())
    try:
        return socket_options.options(evidence.files[0], **kind)
    finally:
        native.close(evidence)


def verdicts(sock: socket.socket) -> list[Any]:
    evidence = native.tree(sock.fileno())
    try:
        return list(socket_options.option_verdicts(evidence.files[0], "sock.test"))
    finally:
        native.close(evidence)


def apply(sock: socket.socket, options: tuple[Option, ...]) -> None:
    part = native.NativeSteps([Entry(ObjectId("file:0"), Empty())]).part(needs=())
    socket_options.set_options(part, sock.fileno(), options, RULES)


def candidates(form: str, name: str) -> list[bytes | int]:
    if name == "SO_BINDTODEVICE":
        return [DEVICE]
    if name == "TCP_CONGESTION":
        return [b"reno", b"cubic"]
    if name in ("IP_MULTICAST_IF", "IP_OPTIONS"):
        return [socket.inet_aton("127.0.0.1"), bytes((1, 1, 1, 1))]
    if name == "TCP_FASTOPEN_KEY":
        return [bytes(range(16))]
    if name in ("IP_UNICAST_IF", "IPV6_UNICAST_IF"):
        return [struct.pack(">I", 1)]
    if name in ("IPV6_HOPOPTS", "IPV6_DSTOPTS", "IPV6_RTHDRDSTOPTS"):
        return [bytes((0, 0, 1, 4, 0, 0, 0, 0)), bytes((0, 9, 1, 76)) + bytes(76)]
    if form == "u64":
        return [struct.pack("<Q", 1 << 33)]
    if form == "time":
        return [struct.pack("<qq", 3, 0)]
    if form == "pair":
        return [struct.pack("<ii", 1, 7), struct.pack("<ii", 1, 1), struct.pack("<ii", 24, 0)]
    if form == "int":
        return [0, 1, 2, 3, 5, 16, 32, 600, 4000, 70_000, struct.pack("<I", 40_000 << 16 | 30_000)]
    return []


def change(sock: socket.socket, name: str, number: int, form: str) -> bool:
    level = level_of(name)

    def now() -> int | bytes:
        return sock.getsockopt(level, number) if form == "int" else sock.getsockopt(level, number, 1024)

    try:
        before = now()
    except OSError:
        return False  # this kernel does not have it
    for value in candidates(form, name):
        try:
            sock.setsockopt(level, number, value)
        except OSError:
            continue
        if now() != before:
            return True
    return False


@pytest.mark.parametrize("sort", SORTS)
def test_every_option_that_can_be_changed_comes_back(sort: str, pool: list[socket.socket]) -> None:
    letters = SORTS[sort][3]
    changed = []
    for name, number, form, where, rule, _ in ROWS:
        if where not in letters or rule == "refuse":
            continue
        one, two = made(sort), made(sort)
        pool += [one, two]
        if not change(one, name, number, form):
            continue
        wanted = seen(one)
        assert name in [o.name for o in wanted]
        apply(two, wanted)
        assert seen(two) == wanted, name
        changed.append(name)
    assert len(changed) >= AT_LEAST[sort], changed


@pytest.mark.parametrize("sort", SORTS)
def test_a_new_socket_has_no_option_set(sort: str, pool: list[socket.socket]) -> None:
    pool.append(made(sort))
    assert seen(pool[0]) == ()


def test_a_priority_that_was_put_back_after_the_type_of_service_stays_put_back(pool: list[socket.socket]) -> None:
    one, two = made("udp"), made("udp")
    pool += [one, two]
    one.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x10)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 0)
    apply(two, seen(one))
    assert two.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY) == 0
    assert two.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x10


def test_the_time_of_a_linger_that_is_off_comes_back(pool: list[socket.socket]) -> None:
    one, two = made("tcp"), made("tcp")
    pool += [one, two]
    for on in (1, 0):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 9))
    apply(two, seen(one))
    assert two.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 0, 9)


def test_a_size_that_the_kernel_chose_leaves_no_lock(pool: list[socket.socket]) -> None:
    one, two = made("tcp"), made("tcp")
    pool += [one, two]
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000)
    try:
        one.setsockopt(socket.SOL_SOCKET, 72, 0)  # SO_BUF_LOCK
    except OSError:
        pytest.skip("machine cannot: this kernel has no SO_BUF_LOCK (5.14)")
    apply(two, seen(one))
    assert (two.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF), two.getsockopt(socket.SOL_SOCKET, 72)) == (100_000, 0)


RETURN_ALL = struct.pack("<HBBI", 6, 0, 0, 0xFFFF)


def attach(sock: socket.socket) -> None:
    apply(sock, (Option("SO_ATTACH_FILTER", (), RETURN_ALL), Option("SO_LOCK_FILTER", (1,))))


def test_a_classic_filter_and_its_lock_come_back(pool: list[socket.socket]) -> None:
    one, two = made("udp"), made("udp")
    pool += [one, two]
    attach(one)
    wanted = seen(one)
    assert wanted == (Option("SO_LOCK_FILTER", (1,)), Option("SO_ATTACH_FILTER", (), RETURN_ALL))
    apply(two, wanted)
    assert seen(two) == wanted


def test_options_are_told_whatever_their_value_where_asked(pool: list[socket.socket]) -> None:
    pool.append(made("unix"))
    size = pool[0].getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    assert seen(pool[0], also=("SO_SNDBUF",)) == (Option("SO_SNDBUF", (size,)),)


def test_options_are_left_out_where_asked(pool: list[socket.socket]) -> None:
    pool.append(made("tcp"))
    pool[0].setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert seen(pool[0], skip=("SO_KEEPALIVE",)) == ()


def test_numbered_time_stamps_are_refused(pool: list[socket.socket]) -> None:
    pool.append(made("udp"))
    pool[0].setsockopt(socket.SOL_SOCKET, 37, 0b10010010)  # SO_TIMESTAMPING with SOF_TIMESTAMPING_OPT_ID
    assert [v.code for v in verdicts(pool[0])] == ["sock.test.option"]


def test_a_shared_port_alone_is_no_question(pool: list[socket.socket]) -> None:
    # whether a program chooses among its sockets, only live kernel structs show
    pool.append(made("tcp"))
    pool[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    assert verdicts(pool[0]) == []


def test_encapsulation_is_refused(pool: list[socket.socket]) -> None:
    pool.append(made("udp"))
    try:
        pool[0].setsockopt(17, 100, 2)  # UDP_ENCAP, UDP_ENCAP_ESPINUDP
    except OSError as error:
        pytest.skip(f"machine cannot: this kernel has no ESP in UDP ({error})")
    assert [v.code for v in verdicts(pool[0])] == ["sock.test.option"]


def test_an_option_that_came_after_the_table_is_told(pool: list[socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    # as if SO_INCOMING_NAPI_ID, which this kernel answers, were newer than the table
    monkeypatch.setitem(KNOWN_TO, socket.SOL_SOCKET, 55)
    pool.append(made("tcp"))
    told = [v for v in verdicts(pool[0]) if isinstance(v, Unchecked)]
    assert [v.what.split("socket option ")[1].split()[0] for v in told][:1] == ["56"]


def test_a_namespace_without_the_option_is_asked_in_that_namespace(pool: list[socket.socket]) -> None:
    pool.append(made("tcp"))
    evidence = native.tree(pool[0].fileno())
    try:
        fd = sockets.in_namespace(evidence.processes[0], lambda: made("tcp").detach())
        fresh = socket.socket(fileno=fd)
        pool.append(fresh)
        assert fresh.family == socket.AF_INET
    finally:
        native.close(evidence)
