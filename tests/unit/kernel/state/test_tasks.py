"""kernel/state/tasks.py: from an id to a task by a namespace's tree, at each depth, in memory made by hand."""

from __future__ import annotations

import pytest

from holdfast.kernel.state import tasks
from tests.unit.kernel.state import fake
from tests.unit.kernel.state.fake import KERNEL, FakeMemory

SPACE, PID, TASK = KERNEL + 0x1000, KERNEL + 0x20000, KERNEL + 0x30000
PLACES = {
    "pid_namespace.idr": (8, 8), "xa_node.shift": (0, 1), "xa_node.slots": (16, 512), "pid.tasks": (64, 32), "pid.level": (4, 4),
    "pid.numbers": (96, 0), "upid": (0, 16), "upid.nr": (0, 4), "upid.ns": (8, 8), "task_struct.pid_links": (256, 64),
    "task_struct.thread_pid": (128, 8), "task_struct.signal": (136, 8), "task_struct.thread_node": (144, 16),
    "signal_struct.thread_head": (16, 16),
}  # fmt: skip


def tree(memory: FakeMemory, number: int, depth: int) -> None:
    """A namespace whose tree has this many levels and one process id in it."""
    entry, left = PID, number
    for level in range(depth):
        node = KERNEL + 0x40000 + level * 0x1000
        memory.put(node, bytes(528))
        memory.word(node, level * 6, 1)
        memory.word(node + 16 + 8 * (left & 63), entry)
        entry, left = node + 2, left >> 6
    memory.word(SPACE + 8, entry)
    memory.word(PID + 64, TASK + 256)
    memory.word(TASK + 128, PID)


@pytest.mark.parametrize(("number", "depth"), [(1, 1), (63, 1), (64, 2), (4095, 2), (4096, 3), (262143, 3), (4194303, 4), (7, 4)])
def test_an_id_leads_to_its_task(number: int, depth: int) -> None:
    memory = FakeMemory()
    tree(memory, number, depth)
    assert tasks.task_of(fake.walk(memory, fake.layouts({}, PLACES)), SPACE, number) == TASK


@pytest.mark.parametrize(("asked", "number", "depth"), [(2, 1, 1), (64, 1, 1), (1 << 22, 4096, 3), (4097, 4096, 3), (0, 1, 1)])
def test_an_id_that_nobody_has_is_said(asked: int, number: int, depth: int) -> None:
    memory = FakeMemory()
    tree(memory, number, depth)
    with pytest.raises(ProcessLookupError):
        tasks.task_of(fake.walk(memory, fake.layouts({}, PLACES)), SPACE, asked)


def test_an_id_whose_task_has_ended_is_said() -> None:
    memory = FakeMemory()
    tree(memory, 5, 1)
    memory.word(PID + 64, 0)
    with pytest.raises(ProcessLookupError):
        tasks.task_of(fake.walk(memory, fake.layouts({}, PLACES)), SPACE, 5)


def test_threads_come_by_id_and_one_on_its_way_out_is_left_out() -> None:
    memory = FakeMemory()
    signal = KERNEL + 0x50000
    made = [KERNEL + 0x60000 + n * 0x1000 for n in range(3)]
    links = [signal + 16, *(task + 144 for task in made)]
    for link, following in zip(links, [*links[1:], links[0]], strict=True):
        memory.word(link, following)
    for n, (task, number) in enumerate(zip(made, (30, 10, 0), strict=True)):
        pid = KERNEL + 0x70000 + n * 0x1000
        memory.word(task + 136, signal)
        memory.word(task + 128, pid if number else 0)
        memory.word(pid + 96 + 16, number, 4)
    found = tasks.threads(fake.walk(memory, fake.layouts({}, PLACES)), made[0], 1)
    assert found == [(10, made[1]), (30, made[0])]
