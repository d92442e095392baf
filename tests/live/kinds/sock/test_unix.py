"""What sock.unix promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import holdfast
from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root


def test_data_both_ways_and_the_maker_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        one, two = socket.socketpair()
        one.send(b"x" * 150_000)
        two.send(b"short")
        two.setblocking(False)
        pause()
        maker, _, _ = struct.unpack("iII", two.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        say([len(two.recv(200_000)), one.recv(9).decode(), maker == os.getpid(), two.getblocking(), os.get_blocking(two.fileno())])
        one.close()
        say(two.recv(9).decode())
        """,
    )
    assert trip.said == trip.control == [[150_000, "short", True, False, False], ""]


@pytest.mark.parametrize("kind", ["SOCK_SEQPACKET", "SOCK_DGRAM"])
def test_messages_and_their_credentials_survive(tmp_path: Path, kind: str) -> None:
    trip = harness.roundtrip(
        tmp_path,
        f"""
        one, two = socket.socketpair(socket.AF_UNIX, socket.{kind})
        one.send(b"first")
        two.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        one.send(b"")
        one.send(b"y" * 70_000)
        pause()
        for _ in range(3):
            data, ancillary, _, _ = two.recvmsg(1 << 17, 64)
            pid, uid, _ = struct.unpack("iII", ancillary[0][2])
            say([len(data), pid == os.getpid(), pid, uid] if not pid else [len(data), pid == os.getpid(), uid])
        """,
    )
    assert trip.said == trip.control
    assert [words[0] for words in trip.said] == [5, 0, 70_000]


def test_a_connection_between_two_processes_and_its_listener_survive(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    trip = harness.roundtrip(
        tmp_path,
        f"""
        path = {str(path)!r}
        if os.path.exists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        os.chmod(path, 0o640)
        listener.listen(5)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            client.send(b"from the child")
            os.write(write, b"x")
            client.send(client.recv(99)[::-1])
            maker, _, _ = struct.unpack("iII", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            client.send(json.dumps([maker == os.getppid(), client.getpeername() == path]).encode())
            os._exit(0)
        os.read(read, 1)
        server, _ = listener.accept()
        pause()
        say(server.recv(99).decode())
        server.send(b"abc")
        said = server.recv(3, socket.MSG_WAITALL).decode()
        say([said, json.loads(server.recv(99)), struct.unpack("iII", server.getsockopt(1, socket.SO_PEERCRED, 12))[0] == child])
        os.waitpid(child, 0)
        late = socket.socket(socket.AF_UNIX)
        late.connect(path)
        late.send(b"late")
        say([listener.accept()[0].recv(9).decode(), oct(os.stat(path).st_mode)])
        """,
    )
    assert trip.said == trip.control == ["from the child", ["cba", [True, True], True], ["late", "0o140640"]]
    assert path.is_socket()


def test_a_peer_that_ended_in_mid_sentence_stays_so(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        one, two = socket.socketpair()
        one.send(b"never read")
        two.send(b"last words")
        two.close()
        pause()
        say(one.recv(99).decode())
        for _ in range(2):
            try:
                say(one.recv(9).decode())
            except OSError as error:
                say(error.errno)
        """,
    )
    assert trip.said == trip.control == ["last words", 104, ""]


def test_datagrams_with_the_names_of_their_senders_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        name = b"\\0holdfast-live-%d" % os.getppid()
        receiver, sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.bind(name)
        sender.bind(name + b"-2")
        sender.connect(name)
        sender.send(b"named")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"nameless", name)
        pause()
        sender.send(b"new")
        for _ in range(3):
            data, address = receiver.recvfrom(99)
            say([data.decode(), address == name + b"-2"])
        """,
    )
    assert trip.said == trip.control == [["named", True], ["nameless", False], ["new", True]]


def test_a_program_that_is_left_running_keeps_its_queue(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for message in (b"1", b"22", b"333"):
            one.send(message)
        pause()
        say([two.recv(99).decode() for _ in range(3)])
        say(two.getsockopt(socket.SOL_SOCKET, 42))
        """,
        leave_running=True,
    )
    assert trip.left == trip.said == trip.control == [["1", "22", "333"], -1]


MANAGER = """
import multiprocessing

def work(tasks, results, end):
    for number in iter(tasks.get, None):
        results.put(number * 2)
        end.send(number)

context = multiprocessing.get_context("fork")
manager = context.Manager()
shared = manager.dict(a=1)
tasks, results = context.Queue(), context.Queue()
here, there = context.Pipe()
worker = context.Process(target=work, args=(tasks, results, there))
worker.start()
tasks.put(1)
say([results.get(), here.recv()])
pause()
tasks.put(2)
say([results.get(), here.recv()])
shared["b"] = 5
say(dict(shared))
tasks.put(None)
worker.join()
manager.shutdown()
"""


def test_multiprocessing_with_a_manager_a_queue_and_a_pipe_goes_on(tmp_path: Path) -> None:
    trip = harness.roundtrip(tmp_path, MANAGER)
    assert trip.said == trip.control == [[2, 1], [4, 2], {"a": 1, "b": 5}]


def test_everything_that_stands_against_a_dump_is_told_at_once_and_the_program_goes_on(tmp_path: Path) -> None:
    codes = harness.refused(
        tmp_path,
        """
        one, two = socket.socketpair()
        socket.send_fds(one, [b"x"], [0])
        name = b"\\0holdfast-live-refused-%d" % os.getppid()
        listener, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        listener.bind(name)
        listener.listen(1)
        client.connect(name)
        pause()
        say(len(socket.recv_fds(two, 9, 1)[1]))
        """,
    )
    assert codes == ["sock.unix.pending", "sock.unix.pending", "sock.unix.rights"]


def test_a_path_that_another_program_has_taken_fails_loudly(tmp_path: Path) -> None:
    subject = harness.start(
        tmp_path,
        f"""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind({str(tmp_path / "socket")!r})
        listener.listen(1)
        pause()
        """,
    )
    holdfast.dump(subject.pid, tmp_path / "image")
    subject.process.wait()
    other = harness.start(
        tmp_path,
        f"""
        os.unlink({str(tmp_path / "socket")!r})
        listener = socket.socket(socket.AF_UNIX)
        listener.bind({str(tmp_path / "socket")!r})
        listener.listen(1)
        pause()
        say(listener.accept()[0].recv(9).decode())
        """,
        name="other",
    )
    try:
        with pytest.raises(holdfast.HoldfastError, match=r"sock\.unix.*connect"):
            holdfast.restore(tmp_path / "image")
        assert (tmp_path / "socket").is_socket()
    finally:
        other.kill()


def test_the_file_of_a_socket_that_is_held_open_as_a_place_is_the_sockets_again(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        f"""
        path = {str(tmp_path / "socket")!r}
        if os.path.exists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        place = fcntl.ioctl(listener, 0x89E0)  # SIOCUNIXFILE
        pause()
        client = socket.socket(socket.AF_UNIX)
        client.connect(f"/proc/self/fd/{{place}}")
        say([os.readlink(f"/proc/self/fd/{{place}}") == path, os.stat(place).st_ino == os.stat(path).st_ino])
        """,
    )
    assert trip.said == trip.control == [[True, True]]


def test_listeners_of_one_path_after_each_other_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        f"""
        path = {str(tmp_path / "socket")!r}
        old, new = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        for listener in old, new:
            if os.path.exists(path):
                os.unlink(path)
            listener.bind(path)
            listener.listen(1)
        pause()
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        say([old.getsockname() == new.getsockname() == path, select.select([old, new], [], [], 10)[0] == [new]])
        """,
    )
    assert trip.said == trip.control == [[True, True]]
