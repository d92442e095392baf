"""hunt.interfaces.sched: policies and flags by prefix."""

from __future__ import annotations

from holdfast.hunt.interfaces import sched
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(sched) == []


def test_a_policy_and_a_flag_of_tomorrow_are_tried() -> None:
    policy = [r.name for r in made(sched, with_constant("SCHED_TOMORROW", 9, "linux/sched.h"))]
    assert {"sched_setattr/self.SCHED_TOMORROW=nice-20", "sched_setattr/thread.SCHED_TOMORROW"} <= set(policy)
    flag = [r.name for r in made(sched, with_constant("SCHED_FLAG_TOMORROW", 0x100, "linux/sched.h"))]
    assert "sched_setattr/self.SCHED_NORMAL|SCHED_FLAG_TOMORROW" in flag


def test_a_structure_is_as_long_as_it_says() -> None:
    (first, *_) = [r for r in made(sched) if r.interface == "sched_setattr"]
    attr = first.state[0].args[1]
    assert isinstance(attr, bytes)
    assert int.from_bytes(attr[:4], "little") == len(attr) == 56


def test_a_deadline_task_is_not_asked_to_do_more_than_fork() -> None:
    found = {r.name: r for r in made(sched)}
    assert [str(line) for line in found["sched_setattr/self.SCHED_DEADLINE=1/10/10ms"].after] == ["heir = clone(SIGCHLD=17, 0, 0, 0, 0)"]
