"""task.sharing: evidence of this process and of children of its own."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel import kcmp
from holdfast.kernel.procfs.status import parse_status
from holdfast.kernel.source import Live
from holdfast.kinds.evidence import Options, ProcessEvidence, ThreadEvidence, TreeEvidence
from holdfast.kinds.task.sharing import KIND
from holdfast.model.ids import NsPid, ObjectId, Pid, Tid
from tests.unit.kinds import captured

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def children() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for pid in made:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def sleeper() -> int:
    return os.posix_spawnp("sleep", ["sleep", "60"], {})


def tree(*pids: int) -> TreeEvidence:
    found = TreeEvidence(ObjectId("tree"), Options(), Live("/proc"))
    for pid in pids:
        process = ProcessEvidence(ObjectId(f"process:{pid}"), found.host.at(str(pid)), found, Pid(pid), NsPid(pid), None)
        for tid in sorted(map(int, os.listdir(f"/proc/{pid}/task")), key=lambda t: t != pid):
            process.threads.append(ThreadEvidence(ObjectId(f"thread:{tid}"), found.host.at(f"{pid}/task/{tid}"), process, Tid(tid), tid))
        found.processes.append(process)
    return found


def test_processes_that_share_nothing_pass(children: list[int]) -> None:
    children += [sleeper(), sleeper(), sleeper()]
    assert captured.verdicts(KIND, tree(*children)) == []


def test_the_same_memory_twice_is_found_wherever_it_stands(children: list[int]) -> None:
    children += [sleeper(), sleeper()]
    found = captured.verdicts(KIND, tree(children[0], children[1], children[0]))
    assert found == ["task.shared_process"] * 4


def test_a_tree_of_zombies_has_nothing_to_share() -> None:
    assert captured.verdicts(KIND, tree()) == []


def test_a_task_that_is_gone_is_unchecked() -> None:
    pid = sleeper()
    gone = tree(pid)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    gone.processes[0]._cache["#status"] = parse_status(captured.STATUS)
    assert captured.verdicts(KIND, gone) == ["Unchecked"]


def test_a_parent_that_may_not_be_looked_at_shares_nothing(children: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    children += [sleeper(), sleeper()]
    order = kcmp.order

    def guarded(a: int, b: int, what: int) -> int:
        if b == os.getpid():
            raise PermissionError(errno.EPERM, "")
        return order(a, b, what)

    monkeypatch.setattr(kcmp, "order", guarded)
    assert captured.verdicts(KIND, tree(*children)) == []
