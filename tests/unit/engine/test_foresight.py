"""Which areas that were read before a stop may stand for those of the stop. Text of Linux 6.18; the processes are real."""

from __future__ import annotations

import mmap
import os
import signal
from typing import TYPE_CHECKING

import pytest

from holdfast.engine import foresight
from holdfast.errors import TargetChanged
from holdfast.kernel.libc import address_of
from holdfast.kernel.procfs.maps import parse_smaps
from holdfast.kernel.procfs.status import parse_status
from holdfast.kinds.evidence import VmaEvidence
from holdfast.model.ids import ObjectId
from tests.unit.kinds import captured
from tests.unit.kinds.mm import smaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.kernel.procfs.maps import Smap
    from holdfast.kinds.evidence import ProcessEvidence

UNLOCKED = parse_status(captured.line(captured.STATUS, "VmLck", "       0 kB"))
LOCKED = parse_status(captured.line(captured.STATUS, "VmLck", "       4 kB"))
ROOM = 1 << 20


def area(flags: str = "rd wr mr mw me ac", perms: str = "rw-p") -> Smap:
    found = smaps.area(perms, flags).smap
    assert found is not None
    return found


def test_equal_areas_hold() -> None:
    assert foresight.holds([area()], [area("rd").vma], UNLOCKED)
    assert not foresight.holds([area()], [area(perms="r--p").vma], UNLOCKED)
    assert not foresight.holds([area()], [], UNLOCKED)


@pytest.mark.parametrize("letters", ["lo", "lf", "dc"])
def test_what_a_twin_has_not_cannot_be_foreseen(letters: str) -> None:
    seen = area("rd wr " + letters)
    assert not foresight.holds([seen], [seen.vma], UNLOCKED)


def test_a_process_that_has_locked_memory_is_not_foreseen() -> None:
    assert not foresight.holds([area()], [area().vma], LOCKED)


def test_own_memory_is_what_is_there_and_what_is_swapped_out() -> None:
    text = captured.line(captured.line(captured.STATUS, "RssAnon", "     100 kB"), "VmSwap", "       7 kB")
    assert foresight.own_memory(parse_status(text)) == 107 * 1024


@pytest.fixture
def memory() -> Iterator[mmap.mmap]:
    with mmap.mmap(-1, ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as room:
        room[0] = 1
        yield room


@pytest.fixture
def children() -> Iterator[Callable[[], int]]:
    """Makes children that are copies of us and wait to be killed."""
    made: list[int] = []

    def child() -> int:
        pid = os.fork()
        if not pid:
            while True:
                signal.pause()
        made.append(pid)
        return pid

    yield child
    for pid in made:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def seen_in(pid: int, room: mmap.mmap) -> ProcessEvidence:
    """This process with the one area that `room` is in, as a copy of it shows it."""
    process = captured.process()
    process.pid = type(process.pid)(os.getpid())
    at = address_of(memoryview(room))
    with open(f"/proc/{pid}/smaps", "rb") as file:
        found = parse_smaps(file.read())
    process.vmas = [VmaEvidence(ObjectId("vma"), process, s.vma, s) for s in found if s.vma.start <= at < s.vma.end]
    return process


def test_a_twin_with_the_same_flags_proves_them(memory: mmap.mmap, children: Callable[[], int]) -> None:
    twin = children()
    foresight.prove(seen_in(twin, memory), twin)


def test_a_process_that_has_ended_since_is_proved_by_its_twin(memory: mmap.mmap, children: Callable[[], int]) -> None:
    twin = children()
    seen = seen_in(twin, memory)
    ended = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(ended, 0)
    seen.pid = type(seen.pid)(ended)
    foresight.prove(seen, twin)


@pytest.mark.parametrize("advice", [mmap.MADV_DONTDUMP, mmap.MADV_DONTFORK], ids=["other flags", "not there"])
def test_another_twin_does_not(memory: mmap.mmap, children: Callable[[], int], advice: int) -> None:
    seen = seen_in(children(), memory)
    memory.madvise(advice)
    with pytest.raises(TargetChanged, match=r"target_changed\.areas"):
        foresight.prove(seen, children())
