"""The subject: every line is a system call of its own, blocked lines stay blocked, nothing of it is left."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import TargetChanged
from holdfast.hunt.subject import COUNTER, HANDLER, NOT_BACK, RESTORER, Subject, own_numbers
from holdfast.prog.text import Line, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[Subject]:
    one = Subject.start(str(tmp_path / "subject"))
    yield one
    one.end()
    assert not os.path.exists(f"/proc/{one.pid}")


def runs(pid: int) -> bool:
    # a child that was orphaned may be somebody else's to reap: a zombie runs no more
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def lines(*texts: str) -> list[Line]:
    return [parse_line(t) for t in texts]


def test_a_line_returns_what_the_call_returned_and_wrote(subject: Subject) -> None:
    seen = subject.run(lines("fd = eventfd2(5, EFD_SEMAPHORE=1)", "read($fd, [8], 8)", "read(99, [8], 8)", "getpid()"))
    assert [s.result for s in seen] == [3, 8, -9, subject.pid]
    assert seen[1].data == (b"\1" + bytes(7),)
    assert seen[2].error == 9


def test_it_has_nothing_but_three_descriptors_and_its_own_session(subject: Subject) -> None:
    assert {os.readlink(f"/proc/{subject.pid}/fd/{n}") for n in os.listdir(f"/proc/{subject.pid}/fd")} == {"/dev/null"}
    assert sorted(os.listdir(f"/proc/{subject.pid}/fd")) == ["0", "1", "2"]
    assert os.getsid(subject.pid) == subject.pid
    with open(f"/proc/{subject.pid}/personality") as f:
        assert int(f.read(), 16) == 0


def test_nobody_traces_it_between_lines(subject: Subject) -> None:
    subject.run(lines("getpid()"))
    with open(f"/proc/{subject.pid}/status") as f:
        assert "\nTracerPid:\t0\n" in f.read()


def test_words_of_a_buffer_and_structures_reach_later_lines(subject: Subject) -> None:
    subject.run(lines("pipe2(both:[8], 0)", "write($both@4:4, b'abcdef', 6)"))
    [seen] = subject.run(lines("readv($both@0:4, {&[2], b'\\x02\\0\\0\\0\\0\\0\\0\\0', &[4], b'\\x04\\0\\0\\0\\0\\0\\0\\0'}, 2)"))
    assert seen.result == 6
    assert seen.data == (b"ab", b"cdef")


def test_children_and_threads_do_lines_of_their_own(subject: Subject) -> None:
    child, thread = subject.run(lines("child = clone(SIGCHLD=17, 0, 0, 0, 0)", "thread = clone(THREAD=0x50f00, 0, 0, 0, 0)"))
    seen = subject.run(lines("child: getpid()", "thread: gettid()", "thread: getpid()"))
    assert [s.result for s in seen] == [child.result, thread.result, subject.pid]
    assert subject.tasks() == {"leader": subject.pid, "child": child.result}
    assert own_numbers(subject) == {subject.pid, child.result, thread.result}


def test_a_line_that_blocks_goes_on_when_another_lets_it(subject: Subject) -> None:
    seen = subject.run(
        lines("pipe2(both:[8], 0)", "child = clone(SIGCHLD=17, 0, 0, 0, 0)", "child: got = read($both@0:4, [16], 16) blocks")
    )
    assert seen[2].result == NOT_BACK
    child = subject.names["child"]
    with open(f"/proc/{child}/syscall") as f:
        assert f.read().split()[0] == "0"
    subject.settle()
    subject.run(lines("write($both@4:4, b'abc', 3)"))
    back = subject.back(child)
    assert (back.result, back.data[0][:3], subject.names["got"]) == (3, b"abc", 3)


def test_a_line_that_does_not_come_back_is_an_error_and_not_a_hang(subject: Subject) -> None:
    subject.run(lines("pipe2(both:[8], 0)", "child = clone(SIGCHLD=17, 0, 0, 0, 0)", "child: read($both@0:4, [16], 16) blocks"))
    with pytest.raises(TargetChanged) as caught:
        subject.back(subject.names["child"], 0.05)
    assert caught.value.code == "target_changed.subject.blocked"


def test_a_handler_runs_and_ends(subject: Subject) -> None:
    action = struct.pack("<QQQQ", HANDLER.value, 0x04000000, RESTORER.value, 0)
    seen = subject.run(
        (Line("rt_sigaction", (10, action, 0, 8)), Line("kill", (subject.pid, 10)), Line("getpid"), Line("peek", (COUNTER, 4)))
    )
    assert [s.result for s in seen[:3]] == [0, 0, subject.pid]
    assert seen[3].data == (b"\1\0\0\0",)


def test_a_subject_that_dies_says_so(subject: Subject) -> None:
    with pytest.raises(TargetChanged) as caught:
        subject.run(lines("exit_group(3)"))
    assert caught.value.code == "target_changed.subject.died"


def test_stopped_children_end_with_it(tmp_path: Path) -> None:
    one = Subject.start(str(tmp_path / "subject"))
    [child, _] = one.run(lines("child = clone(SIGCHLD=17, 0, 0, 0, 0)", "kill($child, SIGSTOP=19)"))
    one.end()
    assert not os.path.exists(f"/proc/{one.pid}")
    assert not runs(child.result)


def test_two_subjects_have_the_same_addresses(tmp_path: Path) -> None:
    maps = []
    for _ in range(2):
        one = Subject.start(str(tmp_path / "subject"))
        with open(f"/proc/{one.pid}/maps") as f:
            maps.append([line.split()[0] for line in f])
        one.end()
    assert maps[0] == maps[1]
