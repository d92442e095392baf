"""task.mm_prctl. Replies as Linux 6.18 gives them, and 6.1 where it says so."""

from __future__ import annotations

import pytest

from holdfast.errors import Refused
from holdfast.kinds.task.mm_prctl import KIND, MmPrctl
from tests.unit.kinds import captured

BARRIERS = ("MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED", "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED")
OURS = (0x10000, 0x50000)


def dump(replies: dict[tuple[str | int, ...], int | tuple[int, bytes]]) -> MmPrctl:
    process = captured.process()
    process.area = OURS
    got: MmPrctl = captured.dumped(KIND, process, replies)
    return got


def test_a_plain_process_has_every_default() -> None:
    assert dump({}) == MmPrctl()


@pytest.mark.parametrize(
    ("replies", "record"),
    [
        ({("prctl", 42): 1}, MmPrctl(thp_disabled="always")),
        ({("prctl", 42): 3}, MmPrctl(thp_disabled="except_advised")),
        ({("prctl", 68): 1}, MmPrctl(memory_merge=True)),
        ({("prctl", 66): 3}, MmPrctl(mdwe=("PR_MDWE_NO_INHERIT", "PR_MDWE_REFUSE_EXEC_GAIN"))),
        ({("membarrier", 512): 16 | 4}, MmPrctl(membarriers=BARRIERS)),
        ({("madvise",): -22, ("mincore",): (0, b"\x01")}, MmPrctl(future_locks="populate")),
        ({("madvise",): -22}, MmPrctl(future_locks="on_fault")),
        ({("prctl", 77): 1}, MmPrctl(exact_timer_ids=True)),
        ({("prctl", 78): 64}, MmPrctl(futex_slots=64)),
        ({("prctl", 78): -22}, MmPrctl()),
        ({("prctl", 68): -22, ("prctl", 66): -22, ("prctl", 77): -22}, MmPrctl()),
    ],
)
def test_each_setting_is_seen(replies: dict[tuple[str | int, ...], int | tuple[int, bytes]], record: MmPrctl) -> None:
    assert dump(replies) == record


@pytest.mark.parametrize(
    ("threads", "cpus", "slots", "asked"),
    [
        (2, 4, 16, None),
        (5, 4, 16, None),  # the fifth was made by one of four
        (6, 8, 32, None),
        (6, 4, 16, None),
        (100, 4, 16, None),
        (100, 32, 128, None),
        (100, 32, 64, 64),
        (2, 4, 0, 0),
        (2, 4, 8, 8),
    ],
)
def test_slots_that_the_kernel_gives_are_not_recorded(
    monkeypatch: pytest.MonkeyPatch, threads: int, cpus: int, slots: int, asked: int | None
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cpus)
    process = captured.process(threads=[(413 + i, {}) for i in range(threads - 1)])
    process.area = OURS
    assert captured.dumped(KIND, process, {("prctl", 78): slots}).futex_slots == asked


def test_slots_that_the_kernel_gives_may_differ() -> None:
    assert captured.differences(KIND, MmPrctl(), MmPrctl(futex_slots=32)) == []
    assert captured.differences(KIND, MmPrctl(futex_slots=32), MmPrctl()) == ["futex_slots"]


@pytest.mark.parametrize(("plain", "count"), [(0, 2), (-1, 1)])
def test_a_barrier_that_only_another_one_registered_is_not_registered(plain: int, count: int) -> None:
    got = dump({("membarrier", 512): 1 << 4 | 1 << 8, ("membarrier", 8): plain})
    assert len(got.membarriers) == count
    assert got.membarriers[-1] == "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ"


def test_a_kernel_that_lists_no_barriers_is_asked_for_each() -> None:
    # Linux 6.1: MEMBARRIER_CMD_GET_REGISTRATIONS is unknown; an unregistered barrier says EPERM
    got = dump({("membarrier", 512): -22, ("membarrier", 8): 0, ("membarrier", 32): -1, ("membarrier", 128): -1})
    assert got.membarriers == BARRIERS


@pytest.mark.parametrize("replies", [{("prctl", 42): 9}, {("prctl", 66): 8}, {("membarrier", 512): 1 << 10}])
def test_what_has_no_name_is_refused(replies: dict[tuple[str | int, ...], int | tuple[int, bytes]]) -> None:
    with pytest.raises(Refused) as caught:
        dump(replies)
    assert caught.value.code == "refused.task.mm_prctl"


def test_every_setting_is_set() -> None:
    rec = MmPrctl(
        "except_advised", True, ("PR_MDWE_REFUSE_EXEC_GAIN",), ("MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED",), "on_fault", True, 128
    )
    assert captured.calls(KIND, rec) == [
        ("prctl", 41, 1, 2, 0, 0),
        ("prctl", 67, 1, 0, 0, 0),
        ("membarrier", 4, 0, 0),
        ("prctl", 78, 1, 128, 0, 0),
        ("mlockall", 6),
        ("prctl", 65, 1, 0, 0, 0),
        ("prctl", 77, 1, 0, 0, 0),
    ]


def test_timers_set_the_exact_ids_themselves() -> None:
    timers = {"task.posix_timers": {str(captured.PROCESS): object()}}
    assert captured.calls(KIND, MmPrctl(exact_timer_ids=True), captured.PROCESS, timers) == [("prctl", 41, 0, 0, 0, 0)]
