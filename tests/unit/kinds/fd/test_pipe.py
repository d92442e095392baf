"""fd.pipe, on pipes of this process."""

from __future__ import annotations

import fcntl
import os
import select
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.kinds.evidence import Options
from holdfast.kinds.fd.pipe import KIND, Pipe, compare
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        if fd >= 0:
            os.close(fd)


def pipe(fds: list[int], flags: int = 0) -> tuple[int, int]:
    ends = os.pipe2(flags)
    fds += ends
    return ends


def test_data_in_a_pipe_comes_back(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    os.write(writer, b"waiting")
    made = native.again(KIND, reader, writer)
    fds += made
    assert os.read(made[0], 100) == b"waiting"
    os.write(made[1], b"new")
    assert os.read(made[0], 100) == b"new"
    assert os.read(reader, 100) == b"waiting"


def test_the_order_of_the_ends_does_not_matter(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    os.write(writer, b"waiting")
    fds += native.again(KIND, writer, reader)


def test_a_full_pipe_of_another_capacity_comes_back(fds: list[int]) -> None:
    reader, writer = pipe(fds, os.O_NONBLOCK)
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 18)
    os.write(writer, os.urandom(size))
    made = native.again(KIND, reader, writer)
    fds += made
    with pytest.raises(BlockingIOError):
        os.write(made[1], b"x")


def test_packets_come_back(fds: list[int]) -> None:
    reader, writer = pipe(fds, os.O_DIRECT)
    for data in (b"one", b"two", b"3" * 4096):
        os.write(writer, data)
    made = native.again(KIND, reader, writer)
    fds += made
    assert [os.read(made[0], 9000) for _ in range(3)] == [b"one", b"two", b"3" * 4096]


def test_packets_written_before_the_mode_was_changed_come_back(fds: list[int]) -> None:
    reader, writer = pipe(fds, os.O_DIRECT)
    os.write(writer, b"one")
    os.write(writer, b"two")
    fcntl.fcntl(writer, fcntl.F_SETFL, 0)
    made = native.again(KIND, reader, writer)
    fds += made
    assert (os.read(made[0], 9000), fcntl.fcntl(made[1], fcntl.F_GETFL)) == (b"one", os.O_WRONLY)


@pytest.mark.parametrize("mode", [0, os.O_DIRECT])
@pytest.mark.parametrize("packets", [(b"one",), (b"one", b"two"), ()])
def test_what_a_read_of_a_part_leaves_is_the_same_whatever_the_mode_is_now(fds: list[int], packets: tuple[bytes, ...], mode: int) -> None:
    reader, writer = pipe(fds, os.O_DIRECT)
    for data in packets:
        os.write(writer, data)
    fcntl.fcntl(writer, fcntl.F_SETFL, 0)
    os.write(writer, b"the rest")
    fcntl.fcntl(writer, fcntl.F_SETFL, mode)
    made = native.again(KIND, reader, writer)
    fds += made
    assert [os.read(made[0], 2) for _ in packets] == [data[:2] for data in packets]
    assert [os.read(made[0], 3), os.read(made[0], 9)] == [b"the", b" rest"]


def test_a_packet_after_what_is_none_is_refused(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    os.write(writer, bytes(4096))
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_DIRECT)
    os.write(writer, b"packet")
    assert native.verdicts(KIND, reader, writer) == ["fd.pipe.mixed"]
    os.write(writer, b"another")
    assert native.verdicts(KIND, reader, writer) == ["fd.pipe.mixed"]


def test_each_end_has_its_own_flags(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    os.set_blocking(writer, False)
    made = native.again(KIND, reader, writer)
    fds += made
    assert [os.get_blocking(fd) for fd in made] == [True, False]


def test_a_reader_without_writers_sees_the_hang_up(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    os.write(writer, b"last")
    os.close(fds.pop(fds.index(writer)))
    [made] = native.again(KIND, reader)
    fds.append(made)
    assert (os.read(made, 100), os.read(made, 100)) == (b"last", b"")


def test_a_writer_without_readers_sees_the_error(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    os.close(fds.pop(fds.index(reader)))
    [made] = native.again(KIND, writer)
    fds.append(made)
    with pytest.raises(BrokenPipeError):
        os.write(made, b"x")


def test_more_open_files_on_an_end_come_back(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    fds += [os.open(f"/proc/self/fd/{reader}", os.O_RDONLY | os.O_NONBLOCK), os.open(f"/proc/self/fd/{reader}", os.O_RDWR)]
    os.write(writer, b"abc")
    made = native.again(KIND, *fds)
    fds += made
    assert [os.read(fd, 1) for fd in (made[0], made[2], made[3])] == [b"a", b"b", b"c"]


def test_packets_of_a_reopened_end_come_back(fds: list[int]) -> None:
    _, writer = pipe(fds)
    fds.append(os.open(f"/proc/self/fd/{writer}", os.O_WRONLY))
    fcntl.fcntl(fds[-1], fcntl.F_SETFL, os.O_DIRECT)
    os.write(fds[-1], b"one")
    os.write(fds[-1], b"two")
    made = native.again(KIND, *fds)
    fds += made
    assert os.read(made[0], 9) == b"one"


def test_an_end_that_only_others_reopened_comes_back(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    again = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY)
    fds.append(again)
    os.close(fds.pop(fds.index(writer)))
    made = native.again(KIND, reader, again)
    fds += made
    os.write(made[1], b"x")
    assert os.read(made[0], 9) == b"x"


def test_owner_and_mode_come_back(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    os.fchmod(reader, 0o640)
    made = native.again(KIND, reader, writer)
    fds += made
    assert os.fstat(made[1]).st_mode & 0o777 == 0o640


def test_two_pipes_stay_two(fds: list[int]) -> None:
    one, two = pipe(fds), pipe(fds)
    recs = native.records(KIND, *one, *two)
    assert [r.pipe for r in recs] == [ObjectId("file:0")] * 2 + [ObjectId("file:2")] * 2


def test_a_pipe_whose_other_end_is_elsewhere_is_refused(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    assert native.verdicts(KIND, reader) == ["fd.pipe.outside"]
    assert native.verdicts(KIND, writer) == ["fd.pipe.outside"]
    assert native.verdicts(KIND, reader, writer) == []


def test_data_that_nobody_can_read_any_more_is_refused(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    os.write(writer, b"left")
    os.close(reader)
    fds.remove(reader)
    assert "fd.pipe.unread" in native.verdicts(KIND, writer)


def test_a_pipe_that_was_only_reopened_is_refused(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    again = [os.open(f"/proc/self/fd/{reader}", os.O_RDONLY), os.open(f"/proc/self/fd/{writer}", os.O_WRONLY)]
    fds += again
    assert native.verdicts(KIND, *again) == ["fd.pipe.reopened"]


def test_a_notification_pipe_is_refused(fds: list[int]) -> None:
    try:
        ends = pipe(fds, os.O_EXCL)
    except OSError:
        pytest.skip("machine cannot: this kernel has no notification pipes (CONFIG_WATCH_QUEUE)")
    assert native.verdicts(KIND, *ends) == ["fd.pipe.notification"]


def test_standard_descriptors_that_lead_out_are_left_to_fd_inherited(fds: list[int]) -> None:
    reader, _ = pipe(fds)
    detect = KIND.verb("detect")
    assert detect is not None
    for number, claimed in ((0, False), (3, True)):
        evidence = native.tree(reader, options=Options(external_stdio=True))
        evidence.files[0].holders = [(evidence.processes[0], type(evidence.files[0].fd)(number), False)]
        evidence.files[0]._borrowed = native.lend(reader)
        assert (detect(evidence.files[0]) is not None) is claimed
        native.close(evidence)


def test_a_poll_before_the_dump_is_not_disturbed(fds: list[int]) -> None:
    reader, writer = pipe(fds)
    os.write(writer, b"x")
    with select.epoll() as ep:
        ep.register(reader, select.EPOLLIN | select.EPOLLET)
        ep.poll(0)
        native.records(KIND, reader, writer)
        assert ep.poll(0) == []


@pytest.mark.parametrize(
    "change",
    [
        {"pipe": ObjectId("file:9")},
        {"flags": ("O_RDWR",)},
        {"capacity": 1},
        {"data": (b"x",)},
        {"packets": True},
        {"uid": 1},
        {"gid": 1},
        {"mode": 0},
    ],
)
def test_every_field_is_compared(change: dict[str, Any]) -> None:
    same = Pipe(ObjectId("file:0"), ())
    where = ObjectId("file:0")
    assert (list(compare(same, same, where)), len(list(compare(same, same.replace(**change), where)))) == ([], 1)
