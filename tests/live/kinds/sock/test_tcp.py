"""What sock.tcp promises, kept by a real dump and restore."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast import Options
from tests import harness

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root


def test_listeners_of_both_families_go_on_listening(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 3)
        one.listen(7)
        two = socket.socket(socket.AF_INET6)
        two.bind(("::", 0))
        two.listen(3)
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        names = [s.getsockname() for s in (one, two, bound)]
        pause()
        say([s.getsockname() for s in (one, two, bound)] == names)
        say([one.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT), one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)])
        for listener, host in ((one, "127.0.0.1"), (two, "::1"), (two, "127.0.0.1")):
            client = socket.create_connection((host, listener.getsockname()[1]))
            client.send(b"hello")
            say(listener.accept()[0].recv(9).decode())
        """,
    )
    assert trip.said == trip.control == [True, [3, 1], "hello", "hello", "hello"]


CONNECTED = """
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
pause()
client.send(b"x")
say(server.recv(9).decode())
"""


def test_multicast_groups_of_a_listener_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        one = socket.socket()
        one.bind(("127.0.0.1", 0))
        one.listen(3)
        group, home = socket.inet_aton("239.255.77.4"), socket.inet_aton("127.0.0.1")
        one.setsockopt(socket.IPPROTO_IP, 39, group + home + socket.inet_aton("127.0.0.9"))  # IP_ADD_SOURCE_MEMBERSHIP
        pause()
        try:
            one.setsockopt(socket.IPPROTO_IP, 39, group + home + socket.inet_aton("127.0.0.9"))
        except OSError as error:
            say(error.errno)
        one.setsockopt(socket.IPPROTO_IP, 40, group + home + socket.inet_aton("127.0.0.9"))  # IP_DROP_SOURCE_MEMBERSHIP
        say("left")
        """,
    )
    assert trip.said == trip.control == [99, "left"]


def test_connections_are_refused_and_go_on(tmp_path: Path) -> None:
    assert harness.refused(tmp_path, CONNECTED) == ["sock.tcp.established"] * 2


def test_with_the_option_a_program_sees_its_connections_broken(tmp_path: Path) -> None:
    source = """
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    poll = select.epoll()
    poll.register(server, select.EPOLLIN)
    pause()
    say(len(poll.poll(0)))
    for sock in (server, client):
        for act in (lambda: sock.recv(9).decode(), lambda: sock.recv(9).decode(), lambda: sock.send(b"x")):
            try:
                say(act())
            except OSError as error:
                say(error.errno)
    again = socket.create_connection(listener.getsockname())
    again.send(b"new")
    say(listener.accept()[0].recv(9).decode())
    """
    trip = harness.roundtrip(tmp_path, source, options=Options(reset_tcp=True), control=False)
    assert trip.said == [1, 104, "", 32, 104, "", 32, "new"]
    assert ["is restored as reset" in loss for loss in trip.losses] == [True, True]


def test_a_port_that_another_program_has_taken_fails_loudly(tmp_path: Path) -> None:
    subject = harness.start(
        tmp_path,
        """
        listener = socket.create_server(("127.0.0.1", 0))
        say(listener.getsockname())
        with open(_out, "w") as file:
            json.dump(_said, file)
        pause()
        """,
    )
    [[_, port]] = subject.said
    holdfast.dump(subject.pid, tmp_path / "image")
    subject.process.wait()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(holdfast.HoldfastError, match=r"sock\.tcp.*Address already in use"):
        holdfast.restore(tmp_path / "image")


ASYNCIO = """
import asyncio

async def answer(reader, writer):
    writer.write((await reader.readline()).upper())
    await writer.drain()
    writer.close()

async def ask(opened):
    reader, writer = await opened
    writer.write(b"hello\\n")
    return (await reader.readline()).decode()

async def main():
    path = os.path.join(os.path.dirname(_out), "server")
    tcp = await asyncio.start_server(answer, "127.0.0.1", 0)
    unix = await asyncio.start_unix_server(answer, path)
    woken = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, woken.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    ready()
    await woken.wait()
    say(await ask(asyncio.open_connection(*tcp.sockets[0].getsockname())))
    say(await ask(asyncio.open_unix_connection(path)))

asyncio.run(main())
"""


def test_asyncio_servers_in_mid_loop_go_on(tmp_path: Path) -> None:
    trip = harness.roundtrip(tmp_path, ASYNCIO)
    assert trip.said == trip.control == ["HELLO\n", "HELLO\n"]


# --- redis


@pytest.fixture
def kept() -> Iterator[list[socket.socket]]:
    """Sockets that are closed whatever happens."""
    socks: list[socket.socket] = []
    yield socks
    for sock in socks:
        sock.close()


class Redis:
    """A redis-server in a folder, at a port and a path."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.path = folder / "redis.sock"
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.path), "--save", ""]
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True)
        deadline = time.monotonic() + harness.PATIENCE_S
        while not self.path.exists() or self.ask("PING") != "+PONG":
            assert time.monotonic() < deadline
            assert self.process.poll() is None, (folder / "log").read_text()

    def connect(self) -> socket.socket:
        """A client's connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=harness.PATIENCE_S)

    def ask(self, line: str, unix: bool = False) -> str:
        """The answer to one command, once redis has closed its end of the connection."""
        try:
            if unix:
                sock = socket.socket(socket.AF_UNIX)
                sock.settimeout(harness.PATIENCE_S)
                sock.connect(str(self.path))
            else:
                sock = self.connect()
        except ConnectionRefusedError:
            return ""
        with sock, sock.makefile("rw", newline="\r\n") as file:
            file.write(line + "\r\n")
            file.flush()
            answer = file.readline().rstrip()
            answer = file.readline().rstrip() if answer.startswith("$") else answer
            sock.shutdown(socket.SHUT_WR)
            assert file.read() == ""  # until then its end stands in CLOSE_WAIT, and a dump refuses it
            return answer


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    yield server
    server.process.kill()
    server.process.wait()


@pytest.mark.tool("redis-server", "redis-server")
def test_redis_answers_with_its_data_at_its_port_and_path(tmp_path: Path, redis: Redis) -> None:
    assert redis.ask("SET key value") == "+OK"
    holdfast.dump(redis.process.pid, tmp_path / "image")
    redis.process.wait()
    again = holdfast.restore(tmp_path / "image")
    try:
        assert [redis.ask("GET key"), redis.ask("GET key", unix=True)] == ["value", "value"]
    finally:
        os.kill(again.pid, 9)
        again.wait()


@pytest.mark.tool("redis-server", "redis-server")
def test_a_client_of_redis_sees_its_connection_broken_and_comes_back(tmp_path: Path, redis: Redis, kept: list[socket.socket]) -> None:
    client = redis.connect()
    kept.append(client)
    client.send(b"SET key value\r\n")
    assert client.recv(99) == b"+OK\r\n"
    with pytest.raises(holdfast.HoldfastError, match=r"sock\.tcp\.established"):
        holdfast.dump(redis.process.pid, tmp_path / "image")
    holdfast.dump(redis.process.pid, tmp_path / "image", options=Options(reset_tcp=True))
    redis.process.wait()
    again = holdfast.restore(tmp_path / "image")
    try:
        assert select.select([client], [], [], harness.PATIENCE_S)[0] == [client]
        assert client.recv(99) == b""
        assert redis.ask("GET key") == "value"
    finally:
        os.kill(again.pid, 9)
        again.wait()
