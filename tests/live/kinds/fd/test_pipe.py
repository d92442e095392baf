"""What fd.pipe, fd.fifo and fd.inherited promise, kept by a real dump and restore."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast import Options
from holdfast.errors import Refused
from holdfast.kernel import borrowed
from tests import harness

if TYPE_CHECKING:
    from pathlib import Path


def test_data_capacity_and_packets_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        stream, packets, full = os.pipe(), os.pipe2(os.O_DIRECT), os.pipe2(os.O_NONBLOCK)
        os.write(stream[1], b"some data")
        for data in (b"one", b"two", b"three"):
            os.write(packets[1], data)
        size = fcntl.fcntl(full[1], fcntl.F_SETPIPE_SZ, 1 << 18)
        os.write(full[1], bytes(range(256)) * (size // 256))
        os.fchmod(stream[0], 0o640)
        pause()
        say(os.read(stream[0], 100).decode())
        say([os.read(packets[0], 100).decode() for _ in range(3)])
        say(os.read(full[0], size) == bytes(range(256)) * (size // 256))
        say([fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (*stream, *packets, *full)])
        say([fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) for fd in (*stream, *packets, *full)])
        say(oct(os.fstat(stream[1]).st_mode))
        """,
    )
    assert trip.said == trip.control


def test_a_pipe_between_parent_and_child_survives_blocked_reads(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        down, up = os.pipe(), os.pipe()
        child = os.fork()
        if not child:
            os.close(down[1])
            os.close(up[0])
            while data := os.read(down[0], 100):
                os.write(up[1], data.upper())
            os._exit(7)
        os.close(down[0])
        os.close(up[1])
        pause()
        os.write(down[1], b"hello")
        say(os.read(up[0], 100).decode())
        os.close(down[1])
        say(os.read(up[0], 100).decode())
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
    )
    assert trip.said == trip.control == ["HELLO", "", 7]


def test_hang_up_and_error_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        one, two = os.pipe(), os.pipe()
        os.write(one[1], b"last")
        os.close(one[1])
        os.close(two[0])
        pause()
        say([os.read(one[0], 10).decode(), os.read(one[0], 10).decode()])
        try:
            os.write(two[1], b"x")
        except BrokenPipeError as e:
            say(str(e))
        """,
    )
    assert trip.said == trip.control


def test_a_pipe_opened_again_through_proc_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        reader, writer = os.pipe()
        again = os.open("/proc/self/fd/%d" % reader, os.O_RDONLY | os.O_NONBLOCK)
        os.write(writer, b"ab")
        pause()
        say([os.read(again, 1).decode(), os.read(reader, 1).decode()])
        try:
            os.read(again, 1)
        except BlockingIOError:
            say("would block")
        """,
    )
    assert trip.said == trip.control == [["a", "b"], "would block"]


def test_a_named_pipe_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        os.mkfifo("a"), os.mkfifo("b")
        both, alone = os.open("a", os.O_RDWR), os.open("b", os.O_RDONLY | os.O_NONBLOCK)
        os.write(both, b"data")
        pause()
        say(os.read(both, 100).decode())
        poll = select.poll()
        poll.register(alone, select.POLLIN)
        say(poll.poll(0))
        writer = os.open("b", os.O_WRONLY)
        os.write(writer, b"late")
        say(os.read(alone, 100).decode())
        """,
    )
    assert trip.said == trip.control == ["data", [], "late"]


def test_a_pipe_held_outside_the_tree_is_refused(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    subject = harness.start(tmp_path, f"os.dup2({reader}, 9); os.close({reader}); pause(); say(os.read(9, 10).decode())", keep=[reader])
    os.close(reader)
    try:
        with pytest.raises(Refused) as e:
            holdfast.dump(subject.pid, tmp_path / "image")
        assert [r.code for r in e.value.refusals] == ["fd.pipe.outside"]
        os.write(writer, b"alive")
        subject.go()
        subject.end()
    finally:
        subject.kill()
        os.close(writer)
    assert subject.said == ["alive"]


def test_a_standard_descriptor_that_leads_out_becomes_the_restorers(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    source = f"os.dup2({writer}, 1); os.close({writer}); pause(); say(os.readlink('/proc/self/fd/1'))"
    subject = harness.start(tmp_path, source, keep=[writer])
    os.close(writer)
    try:
        dumped = holdfast.dump(subject.pid, tmp_path / "image", options=Options(external_stdio=True))
        subject.process.wait()
        assert [loss.kind for loss in dumped.admission.losses] == ["fd.inherited"]
        borrowed.forget()
        ours = len(os.listdir("/proc/self/fd"))
        harness.restored(tmp_path / "image", subject)
        borrowed.forget()
        assert len(os.listdir("/proc/self/fd")) == ours
    finally:
        subject.kill()
        os.close(reader)
    assert subject.said == [os.readlink("/proc/self/fd/1")]
