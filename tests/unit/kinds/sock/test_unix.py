"""sock.unix, on sockets of this process: what is dumped is made again here, without a tracer."""

from __future__ import annotations

import array
import ctypes
import os
import select
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.image import codec
from holdfast.kinds.contract import Entry
from holdfast.kinds.sock.unix import KIND, Unix, compare
from holdfast.kinds.socket_options import Option
from holdfast.kinds.sockets import Maker
from holdfast.kinds.unix_steps import Message, Name
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Socket = socket.socket

STREAM, DGRAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET
ME = ObjectId(f"process:{os.getpid()}")


class Pool:
    """Sockets that a test made or restored; all are closed after it."""

    def __init__(self) -> None:
        self.all: list[Socket] = []

    def keep(self, *socks: Socket) -> tuple[Socket, ...]:
        """Remember sockets."""
        self.all += socks
        return socks

    def pair(self, kind: int = STREAM) -> tuple[Socket, Socket]:
        """A socketpair."""
        one, two = socket.socketpair(socket.AF_UNIX, kind)
        self.keep(one, two)
        return one, two

    def one(self, kind: int = STREAM, name: str | bytes = b"") -> Socket:
        """A socket, bound if there is a name."""
        sock = socket.socket(socket.AF_UNIX, kind)
        self.keep(sock)
        if name:
            sock.bind(name)
        return sock

    def again(self, *socks: Socket) -> list[Socket]:
        """What the sockets, which are closed, become: dumped, made again, and equal when dumped once more."""
        first = native.records(KIND, *(s.fileno() for s in socks))
        for sock in socks:
            sock.close()
        made = self.of(first)
        assert native.records(KIND, *(s.fileno() for s in made)) == first
        return made

    def of(self, recs: list[Unix]) -> list[Socket]:
        """The sockets that records make."""
        made = [socket.socket(fileno=fd) for fd in native.restored(KIND, recs, {"task.process": {ME: Me()}})]
        self.keep(*made)
        return made


class Me:
    """The one process there is."""

    nspid = os.getpid()


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    for sock in made.all:
        sock.close()


def abstract(word: str) -> bytes:
    """A name that no other test run has."""
    return f"\0holdfast-test-{os.getpid()}-{word}".encode()


# --- pairs


@pytest.mark.parametrize("kind", [STREAM, SEQPACKET, DGRAM])
def test_a_pair_with_data_both_ways_comes_back(pool: Pool, kind: int) -> None:
    one, two = pool.pair(kind)
    one.send(b"to two")
    two.send(b"to one")
    a, b = pool.again(one, two)
    assert (a.recv(99), b.recv(99)) == (b"to one", b"to two")
    a.send(b"new")
    assert b.recv(99) == b"new"


@pytest.mark.parametrize("kind", [SEQPACKET, DGRAM])
def test_messages_keep_their_boundaries(pool: Pool, kind: int) -> None:
    one, two = pool.pair(kind)
    messages = [b"1", b"x" * 70_000, b"", b"y" * 65_536, b"last"]
    for message in messages:
        one.send(message)
    _, b = pool.again(one, two)
    assert [b.recv(1 << 17) for _ in messages] == messages


def test_a_stream_is_one_run_of_bytes(pool: Pool) -> None:
    one, two = pool.pair()
    for _ in range(5):
        one.send(b"abc")
    assert native.records(KIND, two.fileno(), one.fileno())[0].queue == (Message(b"abc" * 5),)


def test_a_queue_as_full_as_it_gets_comes_back(pool: Pool) -> None:
    one, two = pool.pair()
    one.setblocking(False)
    size = 0
    for piece in (b"x" * 4096, b"y" * 64, b"z"):
        try:
            while True:
                size += one.send(piece)
        except BlockingIOError:
            continue
    a, b = pool.again(one, two)
    assert not os.get_blocking(a.fileno())
    assert len(b.recv(size + 1, socket.MSG_WAITALL | socket.MSG_DONTWAIT)) == size


def test_looking_leaves_the_queue_and_the_options_as_they_were(pool: Pool) -> None:
    one, two = pool.pair(SEQPACKET)
    one.send(b"first")
    one.send(b"second")
    two.setsockopt(socket.SOL_SOCKET, 42, 3)  # SO_PEEK_OFF
    native.records(KIND, one.fileno(), two.fileno())
    assert (two.getsockopt(socket.SOL_SOCKET, 42), two.getsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED)) == (3, 0)
    assert (two.recv(99, socket.MSG_PEEK), two.recv(99), two.recv(99)) == (b"st", b"first", b"second")


def test_an_offset_for_peeking_comes_back(pool: Pool) -> None:
    one, two = pool.pair()
    one.send(b"abcdef")
    two.setsockopt(socket.SOL_SOCKET, 42, 4)
    _, b = pool.again(one, two)
    assert b.recv(99, socket.MSG_PEEK) == b"ef"


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR])
def test_shut_down_directions_come_back(pool: Pool, how: int) -> None:
    one, two = pool.pair()
    two.send(b"before")
    one.shutdown(how)
    recs = native.records(KIND, one.fileno(), two.fileno())
    wanted = {socket.SHUT_RD: ("read",), socket.SHUT_WR: ("write",), socket.SHUT_RDWR: ("read", "write")}[how]
    assert recs[0].shutdown == wanted
    a, b = pool.again(one, two)
    assert a.recv(99) == b"before"
    if how != socket.SHUT_RD:
        assert b.recv(99) == b""
        with pytest.raises(BrokenPipeError):
            a.send(b"x")


@pytest.mark.parametrize("end", [0, 1])
def test_a_datagram_socket_is_shut_down_alone(pool: Pool, end: int) -> None:
    ends = pool.pair(DGRAM)
    ends[end].shutdown(socket.SHUT_WR)
    recs = native.records(KIND, *(s.fileno() for s in ends))
    assert [r.shutdown for r in recs] == ([("write",), ()] if end == 0 else [(), ("write",)])
    pool.again(*ends)


def test_data_of_a_peer_that_is_gone_comes_back(pool: Pool) -> None:
    one, two = pool.pair()
    two.send(b"last words")
    two.close()
    [a] = pool.again(one)
    assert (a.recv(99), a.recv(99)) == (b"last words", b"")
    with pytest.raises(BrokenPipeError):
        a.send(b"x")


def test_the_error_that_a_peer_left_comes_back(pool: Pool) -> None:
    one, two = pool.pair()
    two.send(b"last words")
    one.send(b"never read")
    two.close()
    [a] = pool.again(one)
    assert a.recv(99) == b"last words"
    with pytest.raises(ConnectionResetError):
        a.recv(99)
    assert a.recv(99) == b""


def test_half_of_a_datagram_pair_comes_back(pool: Pool) -> None:
    one, two = pool.pair(DGRAM)
    two.send(b"last words")
    two.close()
    [a] = pool.again(one)
    assert a.recv(99) == b"last words"
    with pytest.raises(ConnectionRefusedError):
        a.send(b"x")


def test_the_maker_of_a_pair_is_told_by_both_ends(pool: Pool) -> None:
    one, two = pool.pair()
    recs = native.records(KIND, one.fileno(), two.fileno())
    assert [r.maker for r in recs] == [Maker(ME, os.getuid(), os.getgid(), tuple(os.getgroups()))] * 2
    for sock in pool.again(one, two):
        credentials = struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        assert credentials == (os.getpid(), os.getuid(), os.getgid())


@pytest.mark.root
def test_a_maker_of_another_user_is_told_again(pool: Pool) -> None:
    read, write = os.pipe()
    one, two = pool.pair()
    recs = [r.replace(maker=Maker(ME, 1234, 2345, (7, 8))) for r in native.records(KIND, one.fileno(), two.fileno())]
    before = (os.getresuid(), os.getresgid(), os.getgroups())
    made = pool.of(recs)
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before
    assert [r.maker for r in native.records(KIND, *(s.fileno() for s in made))] == [Maker(ME, 1234, 2345, (7, 8))] * 2
    os.close(read)
    os.close(write)


def test_options_and_flags_of_each_end_come_back(pool: Pool) -> None:
    one, two = pool.pair()
    one.send(b"x")
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", 2, 0))
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 40_000)
    two.setblocking(False)
    recs = native.records(KIND, one.fileno(), two.fileno())
    assert Option("SO_RCVTIMEO", (2_000_000_000,)) in recs[0].options
    assert [r.flags for r in recs] == [("O_RDWR",), ("O_NONBLOCK", "O_RDWR")]
    a, _ = pool.again(one, two)
    assert a.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 80_000


def test_credentials_asked_for_after_the_message_are_not_made_up(pool: Pool) -> None:
    one, two = pool.pair(DGRAM)
    one.send(b"without")
    two.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    one.send(b"with")
    _, b = pool.again(one, two)
    pids = []
    for _ in range(2):
        _, ancillary, _, _ = b.recvmsg(99, 64)
        pids.append(struct.unpack("iII", ancillary[0][2])[0])
    assert pids == [0, os.getpid()]


def test_credentials_cut_a_stream_into_runs(pool: Pool) -> None:
    one, two = pool.pair()
    one.send(b"without")
    two.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    one.send(b"with")
    recs = native.records(KIND, one.fileno(), two.fileno())
    assert recs[1].queue == (Message(b"without"), Message(b"with", b"", ME, os.getuid(), os.getgid()))
    pool.again(one, two)


def test_owner_and_mode_of_a_socket_come_back(pool: Pool) -> None:
    one, two = pool.pair()
    os.fchmod(one.fileno(), 0o600)
    a, b = pool.again(one, two)
    assert [os.fstat(s.fileno()).st_mode & 0o777 for s in (a, b)] == [0o600, 0o777]


# --- names


def test_a_listener_at_a_path_comes_back_over_the_file_that_it_left(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = pool.one(name=str(path))
    path.chmod(0o640)
    listener.listen(7)
    [a] = pool.again(listener)
    assert path.stat().st_mode & 0o777 == 0o640
    client = pool.one()
    client.connect(str(path))
    a.accept()[0].close()


def test_a_listener_comes_back_where_its_file_is_gone(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = pool.one(name=str(path))
    listener.listen(7)
    recs = native.records(KIND, listener.fileno())
    assert recs[0].name == Name(str(path).encode(), True, path.stat().st_mode & 0o7777, os.getuid(), os.getgid())
    listener.close()
    path.unlink()
    assert native.records(KIND, pool.of(recs)[0].fileno()) == recs


def test_a_path_as_long_as_there_can_be_comes_back(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "n" * 108  # fills sun_path; the socket module takes no more than 107
    address = struct.pack("=H", socket.AF_UNIX) + name.encode()
    libc = ctypes.CDLL(None)
    listener, client = pool.one(), pool.one()
    assert libc.bind(listener.fileno(), address, 110) == 0
    listener.listen(1)
    assert libc.connect(client.fileno(), address, 110) == 0
    server, _ = listener.accept()
    pool.keep(server)
    a, c, s = pool.again(listener, client, server)
    assert (a.getsockname(), c.getpeername(), s.getsockname()) == (name, name, name)


def test_listeners_that_were_bound_to_one_path_after_each_other_come_back(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "s"
    old = pool.one(name=str(path))
    path.unlink()
    new = pool.one(name=str(path))
    old.listen(1)
    new.listen(1)
    a, b = pool.again(old, new)
    pool.one().connect(str(path))
    assert (a.getsockname(), b.getsockname()) == (str(path), str(path))
    assert select.select([a, b], [], [], 10)[0] == [b]


def test_a_datagram_socket_whose_path_another_took_is_refused(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "s"
    old = pool.one(DGRAM, str(path))
    path.unlink()
    new = pool.one(DGRAM, str(path))
    assert native.verdicts(KIND, old.fileno(), new.fileno()) == ["sock.unix.shared"]


def test_a_path_that_was_removed_stays_removed(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = pool.one(name=str(path))
    listener.listen(7)
    path.unlink()
    [a] = pool.again(listener)
    assert (a.getsockname(), path.exists()) == (str(path), False)


@pytest.mark.parametrize("alive", [STREAM, DGRAM])
def test_a_path_that_somebody_lives_at_is_not_taken(pool: Pool, tmp_path: Path, alive: int) -> None:
    path = tmp_path / "s"
    listener = pool.one(name=str(path))
    listener.listen(7)
    recs = native.records(KIND, listener.fileno())
    listener.close()
    path.unlink()
    other = pool.one(alive, str(path))
    if alive == STREAM:
        other.listen(1)
    with pytest.raises(AssertionError, match="connect"):
        pool.of(recs)
    assert path.exists()


def test_a_path_that_holds_another_file_is_not_taken(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = pool.one(name=str(path))
    recs = native.records(KIND, listener.fileno())
    listener.close()
    path.unlink()
    path.write_text("mine")
    with pytest.raises(AssertionError, match="open"):
        pool.of(recs)
    assert path.read_text() == "mine"


def test_a_relative_path_is_bound_from_its_folder(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listener = pool.one(name="rel")
    listener.listen(1)
    recs = native.records(KIND, listener.fileno())
    listener.close()
    monkeypatch.chdir("/")
    [a] = pool.of(recs)
    assert (a.getsockname(), os.getcwd(), (tmp_path / "rel").is_socket()) == ("rel", "/", True)


def test_an_abstract_name_comes_back(pool: Pool) -> None:
    listener = pool.one(SEQPACKET, abstract("listener"))
    listener.listen(3)
    recs = native.records(KIND, listener.fileno())
    assert (recs[0].name, recs[0].listening, recs[0].backlog) == (Name(abstract("listener")), True, 3)
    [a] = pool.again(listener)
    assert a.getsockname() == abstract("listener")


# --- connections


def accepted(pool: Pool, name: str | bytes, kind: int = STREAM) -> tuple[Socket, Socket, Socket]:
    listener = pool.one(kind, name)
    listener.listen(4)
    client = pool.one(kind)
    client.connect(name)
    server, _ = listener.accept()
    pool.keep(server)
    return listener, client, server


@pytest.mark.parametrize("where", ["abstract", "path"])
@pytest.mark.parametrize("kind", [STREAM, SEQPACKET])
def test_a_connection_comes_out_of_its_listener_again(pool: Pool, tmp_path: Path, where: str, kind: int) -> None:
    name: str | bytes = abstract("accepted") if where == "abstract" else str(tmp_path / "s")
    listener, client, server = accepted(pool, name, kind)
    client.send(b"to server")
    server.send(b"to client")
    _, c, s = pool.again(listener, client, server)
    assert (c.getpeername(), s.getsockname(), c.getsockname()) == (name, name, "")
    assert (c.recv(99), s.recv(99)) == (b"to client", b"to server")


def test_the_order_of_the_ends_does_not_matter(pool: Pool) -> None:
    listener, client, server = accepted(pool, abstract("order"))
    client.send(b"x")
    assert pool.again(server, client, listener)[0].recv(9) == b"x"


@pytest.mark.parametrize("left", [True, False])
def test_a_connection_whose_listener_is_gone_comes_back(pool: Pool, tmp_path: Path, left: bool) -> None:
    path = tmp_path / "s"
    listener, client, server = accepted(pool, str(path))
    listener.close()
    if not left:
        path.unlink()
    server.send(b"x")
    c, s = pool.again(client, server)
    assert (c.recv(9), c.getpeername(), s.getsockname(), path.exists()) == (b"x", str(path), str(path), left)


def test_two_generations_of_one_name_come_back(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "s"
    old, old_client, old_server = accepted(pool, str(path))
    old.close()
    path.unlink()
    new, new_client, new_server = accepted(pool, str(path))
    old_server.send(b"old")
    new_server.send(b"new")
    made = pool.again(new, new_client, new_server, old_client, old_server)
    assert (made[1].recv(9), made[3].recv(9)) == (b"new", b"old")
    pool.one().connect(str(path))
    made[0].accept()[0].close()
    recs = native.records(KIND, *(s.fileno() for s in made))
    for sock in made:
        sock.close()
    steps = native.NativeSteps([Entry(ObjectId(f"file:{n}"), rec) for n, rec in enumerate(recs)])
    KIND.verbs["restore"](recs[0], steps)
    turn = f"unix-name:{str(path).encode().hex()}:1"
    assert [turn in part.needs for part in steps.parts] == [False, True, False]  # the old connection, the listener, its connection
    pool.keep(*(socket.socket(fileno=fd) for fd in steps.files.values()))


def test_an_accepted_end_whose_client_is_gone_comes_back(pool: Pool) -> None:
    listener, client, server = accepted(pool, abstract("left"))
    client.send(b"last words")
    client.close()
    _, s = pool.again(listener, server)
    assert (s.recv(99), s.recv(99), s.getsockname()) == (b"last words", b"", abstract("left"))


def test_a_client_with_a_name_of_its_own_comes_back(pool: Pool) -> None:
    listener = pool.one(name=abstract("server"))
    listener.listen(1)
    client = pool.one(name=abstract("client"))
    client.connect(abstract("server"))
    server, _ = listener.accept()
    pool.keep(server)
    _, c, s = pool.again(listener, client, server)
    assert (s.getpeername(), c.getpeername()) == (abstract("client"), abstract("server"))


def test_a_listener_that_passes_credentials_does_not_add_them(pool: Pool) -> None:
    listener, client, server = accepted(pool, abstract("passing"))
    client.send(b"x")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    _, _, s = pool.again(listener, client, server)
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED) == 0


# --- datagram sockets


def test_datagrams_keep_their_senders_and_order(pool: Pool, tmp_path: Path) -> None:
    receiver, sender = pool.one(DGRAM, str(tmp_path / "r")), pool.one(DGRAM, abstract("sender"))
    sender.sendto(b"1", str(tmp_path / "r"))
    with pool.one(DGRAM) as stranger:
        stranger.sendto(b"2", str(tmp_path / "r"))
    sender.sendto(b"3", str(tmp_path / "r"))
    sender.connect(str(tmp_path / "r"))
    receiver.connect(abstract("sender"))
    r, s = pool.again(receiver, sender)
    assert [r.recvfrom(9) for _ in range(3)] == [(b"1", abstract("sender")), (b"2", None), (b"3", abstract("sender"))]
    assert (r.getpeername(), s.getpeername()) == (abstract("sender"), str(tmp_path / "r"))


def test_a_connection_to_a_name_outside_comes_back(pool: Pool) -> None:
    outside = pool.one(DGRAM, abstract("log"))
    client = pool.one(DGRAM)
    client.connect(abstract("log"))
    assert native.records(KIND, client.fileno())[0].peer_name == abstract("log")
    [c] = pool.again(client)
    c.send(b"line")
    assert outside.recv(9) == b"line"


# --- what is refused


def test_descriptors_in_flight_are_refused(pool: Pool) -> None:
    one, two = pool.pair()
    socket.send_fds(one, [b"x"], [0])
    assert native.verdicts(KIND, one.fileno(), two.fileno()) == ["sock.unix.rights"]


def test_a_peer_outside_the_tree_is_refused(pool: Pool) -> None:
    for kind in (STREAM, DGRAM):
        one, two = pool.pair(kind)
        expected = "sock.unix.outside" if kind == STREAM else "sock.unix.apart"
        assert native.verdicts(KIND, one.fileno()) == [expected]
        assert native.verdicts(KIND, one.fileno(), two.fileno()) == []


def test_a_connection_that_nobody_accepted_is_refused_at_both_ends(pool: Pool) -> None:
    listener, client = pool.one(name=abstract("pending")), pool.one()
    listener.listen(1)
    client.connect(abstract("pending"))
    assert native.verdicts(KIND, listener.fileno(), client.fileno()) == ["sock.unix.pending"] * 2


def test_a_listener_outside_is_refused(pool: Pool) -> None:
    _, client, server = accepted(pool, abstract("theirs"))
    assert native.verdicts(KIND, client.fileno(), server.fileno()) == ["sock.unix.listener_outside"]


def test_a_path_that_something_else_has_taken_is_refused(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = pool.one(name=str(path))
    listener.listen(1)
    path.unlink()
    path.write_text("mine")
    assert native.verdicts(KIND, listener.fileno()) == ["sock.unix.replaced"]


def test_a_relative_path_that_leads_nowhere_is_refused(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listener = pool.one(name="rel")
    monkeypatch.chdir("/")
    assert native.verdicts(KIND, listener.fileno()) == ["sock.unix.relative"]


def test_a_connection_of_two_named_ends_without_listener_is_refused(pool: Pool) -> None:
    listener, client = pool.one(name=abstract("a")), pool.one(name=abstract("b"))
    listener.listen(1)
    client.connect(abstract("a"))
    server, _ = listener.accept()
    pool.keep(server)
    listener.close()
    assert native.verdicts(KIND, client.fileno(), server.fileno()) == ["sock.unix.ambiguous"] * 2


def test_out_of_band_data_is_refused(pool: Pool) -> None:
    one, two = pool.pair()
    try:
        one.send(b"!", socket.MSG_OOB)
    except OSError:
        pytest.skip("machine cannot: this kernel has no out-of-band data on unix sockets (CONFIG_AF_UNIX_OOB)")
    assert native.verdicts(KIND, one.fileno(), two.fileno()) == ["sock.unix.oob"]


def test_an_error_of_a_datagram_socket_is_refused(pool: Pool) -> None:
    one, two = pool.one(DGRAM, abstract("x")), pool.one(DGRAM, abstract("y"))
    one.connect(abstract("y"))
    two.connect(abstract("x"))
    other = pool.one(DGRAM, abstract("z"))
    one.send(b"never read")
    two.connect(abstract("z"))
    assert "sock.unix.error" in native.verdicts(KIND, one.fileno(), two.fileno(), other.fileno())


def test_a_datagram_peer_that_is_gone_and_had_a_name_is_refused(pool: Pool) -> None:
    one, two = pool.one(DGRAM, abstract("gone")), pool.one(DGRAM)
    two.connect(abstract("gone"))
    one.close()
    assert native.verdicts(KIND, two.fileno()) == ["sock.unix.dead_peer"]


def test_a_pair_that_was_taken_apart_is_refused(pool: Pool) -> None:
    one, two = pool.pair(DGRAM)
    other = pool.one(DGRAM, abstract("elsewhere"))
    two.connect(abstract("elsewhere"))
    codes = native.verdicts(KIND, one.fileno(), two.fileno(), other.fileno())
    assert codes.count("sock.unix.apart") == 2


def stopped(evidence: Any) -> Any:
    """Evidence as if the process were stopped, so that queues are looked at."""
    evidence.processes[0].threads[0].stopped = object()
    return evidence


def stopped_codes(*socks: Socket) -> list[str]:
    evidence = stopped(native.tree(*(s.fileno() for s in socks)))
    refuse = KIND.verb("refuse")
    assert refuse is not None
    try:
        return [getattr(v, "code", type(v).__name__) for file in evidence.files for v in refuse(file, native.answer)]
    finally:
        native.close(evidence)


def test_a_datagram_of_a_named_stranger_is_refused(pool: Pool) -> None:
    receiver, stranger = pool.one(DGRAM, abstract("r2")), pool.one(DGRAM, abstract("stranger"))
    stranger.sendto(b"x", abstract("r2"))
    assert stopped_codes(receiver) == ["sock.unix.sender"]
    assert stopped_codes(receiver, stranger) == []


@pytest.mark.parametrize(("before", "after"), [(b"", b""), (b"", b"def"), (b"abc", b"def")])
def test_a_stream_out_of_which_an_urgent_byte_was_taken_is_refused(pool: Pool, before: bytes, after: bytes) -> None:
    one, two = pool.pair()
    try:
        one.send(before + b"!", socket.MSG_OOB)
    except OSError as error:
        pytest.skip(f"machine cannot: its kernel has no CONFIG_AF_UNIX_OOB ({error})")
    assert two.recv(1, socket.MSG_OOB) == b"!"
    one.send(after)
    assert stopped_codes(two, one) == ["sock.unix.mark"]


def test_credentials_of_a_process_outside_are_refused(pool: Pool) -> None:
    one, two = pool.pair()
    two.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    child = os.fork()
    if child == 0:
        one.send(b"x")
        os._exit(0)
    select.select([two], [], [])
    os.waitpid(child, 0)
    assert stopped_codes(one, two) == ["sock.unix.credentials"]


@pytest.mark.parametrize("kind", [SEQPACKET, DGRAM])
def test_a_message_of_no_bytes_that_was_passed_is_refused(pool: Pool, kind: int) -> None:
    one, two = pool.pair(kind)
    for message in (b"first", b"", b"x" * 100_000):
        one.send(message)
    assert stopped_codes(one, two) == []  # this look passes it, and the next one can no longer see it
    assert stopped_codes(one, two) == ["sock.unix.hidden"]
    assert [two.recv(1 << 17) for _ in range(3)] == [b"first", b"", b"x" * 100_000]


def test_a_message_of_no_bytes_at_the_head_is_refused_without_a_peer_too(pool: Pool) -> None:
    receiver = pool.one(DGRAM, abstract("head"))
    with pool.one(DGRAM) as stranger:
        stranger.sendto(b"", abstract("head"))
    receiver.recv(9, socket.MSG_PEEK)
    assert stopped_codes(receiver) == ["sock.unix.hidden"]


@pytest.mark.parametrize("kind", [SEQPACKET, DGRAM])
def test_queues_of_any_sizes_are_seen_whole(pool: Pool, kind: int) -> None:
    one, two = pool.pair(kind)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    for size in (1, 100, 1000, 3000, 10_000, 40_000, 100_000):
        one.send(bytes(size))
    assert stopped_codes(one, two) == []


def test_descriptors_in_flight_stay_there(pool: Pool) -> None:
    one, two = pool.pair()
    socket.send_fds(one, [b"x"], [0])
    before = len(os.listdir("/proc/self/fd"))
    stopped_codes(one, two)
    assert len(os.listdir("/proc/self/fd")) == before
    _, ancillary, _, _ = two.recvmsg(9, socket.CMSG_SPACE(4))
    os.close(array.array("i", ancillary[0][2])[0])


# --- records


FULL = Unix(
    type="SOCK_DGRAM",
    flags=("O_NONBLOCK", "O_RDWR"),
    name=Name(b"/run/x", True, 0o600, 1, 2, b"/run"),
    listening=True,
    backlog=3,
    peer=ObjectId("file:2"),
    peer_gone=True,
    peer_name=b"\0x",
    accepted=True,
    listener=ObjectId("file:3"),
    reset=True,
    shutdown=("read",),
    maker=Maker(ME, 1, 2, (3,)),
    queue=(Message(b"d", b"s", ME, 1, 2),),
    options=(Option("SO_MARK", (1,)), Option("IP_OPTIONS", (), b"x")),
    uid=1,
    gid=2,
    mode=0o600,
)


def test_a_record_comes_back_from_an_image() -> None:
    entries = [(ObjectId("file:0"), FULL), (ObjectId("file:1"), Unix("SOCK_STREAM"))]
    payload = codec.pack(Unix, entries)
    assert codec.unpack(payload, codec.bind(Unix, "sock.unix", None), []) == entries


@pytest.mark.parametrize("field", [name for name, _ in FULL.items()])
def test_a_change_of_any_field_is_seen(field: str) -> None:
    plain = Unix("SOCK_STREAM")
    changed = plain.replace(**{field: getattr(FULL, field)})
    assert [d.field for d in compare(plain, changed, ObjectId("file:0"))] == [field]
    assert list(compare(FULL, FULL, ObjectId("file:0"))) == []


def test_a_maker_that_is_nobody_in_the_tree_may_become_another() -> None:
    before, after = Unix("SOCK_STREAM", maker=Maker(None, 0, 0)), Unix("SOCK_STREAM", maker=Maker(ME, 0, 0))
    assert list(compare(before, after, ObjectId("file:0"))) == []
