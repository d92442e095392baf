"""fd.epoll, on instances of this process."""

from __future__ import annotations

import fcntl
import os
import select
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.kinds.contract import Entry as Row
from holdfast.kinds.fd.epoll import EPIOCSPARAMS, KIND, Entry, Epoll, compare
from holdfast.model.ids import Fd, ObjectId
from holdfast.model.record import Record
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

ME = ObjectId(f"process:{os.getpid()}")
IN, OUT, ET, ONESHOT, EXCLUSIVE = select.EPOLLIN, select.EPOLLOUT, select.EPOLLET, select.EPOLLONESHOT, select.EPOLLEXCLUSIVE


class Descriptor(Record):
    """As task.descriptors keeps one."""

    fd: Fd
    file: ObjectId
    cloexec: bool


class Descriptors(Record):
    """As task.descriptors keeps a table."""

    table: tuple[Descriptor, ...]


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in set(made):
        os.close(fd)


def instance(fds: list[int]) -> int:
    with select.epoll() as ep:  # closes its own descriptor when it goes
        fds.append(os.dup(ep.fileno()))
    return fds[-1]


def add(epoll: int, fd: int, events: int) -> None:
    ep = select.epoll.fromfd(os.dup(epoll))
    try:
        ep.register(fd, events)
    finally:
        ep.close()


def wait(epoll: int) -> list[tuple[int, int]]:
    ep = select.epoll.fromfd(os.dup(epoll))
    try:
        return sorted(ep.poll(0))
    finally:
        ep.close()


class Steps(native.NativeSteps):
    """Files that stand at numbers of this process."""

    def __init__(self, rec: Epoll, numbers: dict[ObjectId, int]) -> None:
        table = tuple(Descriptor(Fd(n), file, not os.get_inheritable(n)) for file, n in numbers.items())
        super().__init__([Row(ObjectId("file:0"), rec)], {"task.descriptors": {ME: Descriptors(table)}})
        self.files.update(numbers)


def again(fds: list[int], *all_fds: int) -> tuple[Epoll, int]:
    """The record of the first descriptor, and an instance made of it; asserts that its record is equal."""
    [rec] = records(*all_fds)
    steps = Steps(rec, {ObjectId(f"file:{n}"): fd for n, fd in enumerate(all_fds) if n})
    restore = KIND.verb("restore")
    assert restore is not None
    restore(rec, steps)
    made = steps.files[ObjectId("file:0")]
    fds.append(made)
    assert records(made, *all_fds[1:]) == [rec]
    return rec, made


def records(epoll: int, *others: int) -> list[Epoll]:
    evidence = native.tree(epoll, *others)
    try:
        refuse = KIND.verb("refuse")
        assert refuse is not None
        assert [str(v) for v in refuse(evidence.files[0], native.answer)] == []
        return [native.record(KIND, evidence.files[0])]
    finally:
        native.close(evidence)


def verdicts(epoll: int, *others: int) -> list[str]:
    evidence = native.tree(epoll, *others)
    refuse = KIND.verb("refuse")
    assert refuse is not None
    try:
        return [getattr(v, "code", type(v).__name__) for v in refuse(evidence.files[0], native.answer)]
    finally:
        native.close(evidence)


def test_entries_come_back(fds: list[int]) -> None:
    epoll = instance(fds)
    fds += [os.eventfd(0), os.eventfd(1), os.eventfd(1)]
    one, two, three = fds[1:]
    add(epoll, one, IN)
    add(epoll, two, IN | OUT | ET | ONESHOT)
    add(epoll, three, IN | EXCLUSIVE)
    rec, made = again(fds, epoll, one, two, three)
    assert [e.file for e in rec.entries] == ["file:1", "file:2", "file:3"]
    assert wait(made) == [(two, IN | OUT), (three, IN)]


def test_an_epoll_in_an_epoll_comes_back(fds: list[int]) -> None:
    outer, inner = instance(fds), instance(fds)
    add(outer, inner, IN)
    again(fds, outer, inner)


def test_a_disarmed_entry_stays_disarmed(fds: list[int]) -> None:
    epoll = instance(fds)
    fds += [os.eventfd(1), os.eventfd(1)]
    add(epoll, fds[1], IN | ONESHOT)
    assert wait(epoll) == [(fds[1], IN)]
    add(epoll, fds[2], IN)
    rec, made = again(fds, epoll, fds[1], fds[2])
    assert rec.entries[0].events == ("EPOLLONESHOT",)
    assert wait(made) == [(fds[2], IN)]


def test_a_disarmed_entry_with_nothing_to_report_is_a_loss(fds: list[int]) -> None:
    epoll = instance(fds)
    reader, writer = os.pipe()
    fds += [reader, writer]
    os.write(writer, b"x")
    add(epoll, reader, IN | ONESHOT)
    wait(epoll)
    os.read(reader, 1)
    assert verdicts(epoll, reader) == ["Loss"]


def test_an_entry_whose_number_means_another_file_now_comes_back(fds: list[int]) -> None:
    epoll = instance(fds)
    watched, other = os.eventfd(1), os.eventfd(0)
    kept = os.dup(watched)
    fds += [watched, other, kept]
    add(epoll, watched, IN)
    os.dup2(other, watched, inheritable=False)
    rec, made = again(fds, epoll, kept, watched)
    assert (rec.entries[0].fd, rec.entries[0].file, rec.entries[0].data & 0xFFFFFFFF) == (watched, "file:1", watched)
    assert wait(made) == [(watched, IN)]
    os.eventfd_write(watched, 1)
    assert (os.get_inheritable(watched), os.eventfd_read(other)) == (False, 1)


def test_an_entry_whose_number_is_closed_comes_back(fds: list[int]) -> None:
    epoll = instance(fds)
    watched = os.eventfd(1)
    kept = os.dup(watched)
    fds.append(kept)
    add(epoll, watched, IN)
    os.close(watched)
    evidence = native.tree(epoll, kept)
    rec = native.record(KIND, evidence.files[0])
    native.close(evidence)
    steps = Steps(rec, {ObjectId("file:1"): kept})
    restore = KIND.verb("restore")
    assert restore is not None
    os.set_inheritable(kept, False)
    restore(rec, steps)
    made = steps.files[ObjectId("file:0")]
    fds.append(made)
    assert wait(made) == [(watched, IN)]


def test_an_entry_of_a_file_that_nobody_has_open_is_refused(fds: list[int]) -> None:
    epoll = instance(fds)
    watched, hidden = os.eventfd(0), os.eventfd(0)
    fds += [watched, hidden]
    add(epoll, hidden, IN)
    assert verdicts(epoll, watched) == ["fd.epoll.elsewhere"]


def test_busy_poll_settings_come_back(fds: list[int]) -> None:
    epoll = instance(fds)
    try:
        fcntl.ioctl(epoll, EPIOCSPARAMS, (64).to_bytes(4, "little") + (8).to_bytes(2, "little") + b"\1\0")
    except OSError:
        pytest.skip("machine cannot: this kernel has no EPIOCSPARAMS (Linux 6.9)")
    rec, _ = again(fds, epoll)
    assert (rec.busy_poll_us, rec.busy_poll_budget, rec.prefer_busy_poll) == (64, 8, True)


@pytest.mark.parametrize(
    "change",
    [
        {"entries": (Entry(3, ObjectId("file:1"), (), 1),)},
        {"busy_poll_us": 1},
        {"busy_poll_budget": 1},
        {"prefer_busy_poll": True},
        {"flags": ("O_RDWR",)},
    ],
)
def test_every_field_is_compared(change: dict[str, Any]) -> None:
    same = Epoll((Entry(3, ObjectId("file:1"), (), 0),))
    where = ObjectId("file:0")
    assert (list(compare(same, same, where)), len(list(compare(same, same.replace(**change), where)))) == ([], 1)
