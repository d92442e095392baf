"""Whether a stop would reach a task."""

from __future__ import annotations

import os
import threading

import pytest

from holdfast.errors import Refused, TargetChanged
from holdfast.tracee import reachable

STAT = b"4 (a) b) %s 1 1 1 0 -1 %d 0"


def test_a_task_of_our_own_is_reached_at_once() -> None:
    for tid in (os.getpid(), threading.get_native_id()):
        reachable.wait_until_reachable(os.getpid(), tid)


def test_one_that_is_gone_is_nobodys_business() -> None:
    reachable.wait_until_reachable(os.getpid(), 1 << 30)


class Task:
    """What /proc says of a task, one look after another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, states: str, vfork: bool = False, flags: int = 0, runs: bool = False) -> None:
        self.states, self.flags, self.runs, self.looks, self.now = states, flags, runs, 0, 1.0
        monkeypatch.setattr(reachable, "_stat", lambda *_: (STAT % (self.state(), self.flags)).rpartition(b")")[2].split())
        monkeypatch.setattr(reachable, "_in_vfork", lambda *_: vfork)
        monkeypatch.setattr(reachable, "_switches", lambda *_: b"%d" % (self.looks if self.runs else 0))
        monkeypatch.setattr("holdfast.tracee.reachable.time.monotonic", lambda: self.now)
        monkeypatch.setattr("holdfast.tracee.reachable.time.sleep", self.sleep)

    def state(self) -> bytes:
        self.looks += 1
        return self.states[min(self.looks, len(self.states)) - 1].encode()

    def sleep(self, seconds: float) -> None:
        self.now += 0.5


def test_one_whose_sleep_ends_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(monkeypatch, "DDS", vfork=True)
    reachable.wait_until_reachable(4, 4)
    assert task.looks == 3


def test_one_that_waits_for_a_disk_now_and_then_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(monkeypatch, "D", runs=True)
    reachable.wait_until_reachable(4, 4)
    assert task.looks == 2


def test_the_parent_of_a_vfork_that_does_not_go_on_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Task(monkeypatch, "D", vfork=True)
    with pytest.raises(Refused) as e:
        reachable.wait_until_reachable(4, 4)
    assert e.value.code == "refused.task.vfork"


@pytest.mark.parametrize(("vfork", "runs"), [(False, False), (True, True)])
def test_there_is_an_end_to_waiting(monkeypatch: pytest.MonkeyPatch, vfork: bool, runs: bool) -> None:
    task = Task(monkeypatch, "D", vfork=vfork, runs=runs)
    with pytest.raises(TargetChanged) as e:
        reachable.wait_until_reachable(4, 4)
    assert (e.value.code, task.now > reachable.PATIENCE_S) == ("target_changed.unstoppable", True)


@pytest.mark.parametrize("flag", [0x10, 0x4000])
def test_a_thread_in_which_the_kernel_works_is_refused(monkeypatch: pytest.MonkeyPatch, flag: int) -> None:
    Task(monkeypatch, "S", flags=0x400000 | flag)
    with pytest.raises(Refused) as e:
        reachable.wait_until_reachable(4, 5)
    assert e.value.code == "refused.task.kernel_worker"
