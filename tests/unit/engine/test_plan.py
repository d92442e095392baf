"""Plans: what goes in births and what in rounds, with kinds made for the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holdfast.engine.plan import Plan, make_plan
from holdfast.errors import InternalError
from holdfast.kinds.contract import Kind
from holdfast.kinds.task.process import Process
from holdfast.model.ids import NsPid, ObjectId
from holdfast.model.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.kinds.contract import Steps

ROOT, CHILD, GRANDCHILD, SISTER = (ObjectId(f"process:{n}") for n in (1, 2, 3, 4))


def process(pid: int, parent: ObjectId | None, zombie: bool = False) -> Process:
    return Process(NsPid(pid), parent, (NsPid(pid),), NsPid(0), NsPid(0), zombie=zombie)


TREE = {ROOT: process(1, None), CHILD: process(2, ROOT), GRANDCHILD: process(3, CHILD), SISTER: process(4, ROOT, zombie=True)}


class Made(Record):
    """A record of the test's own kind."""


def plan(restore: Callable[[Made, Steps], None], subject: ObjectId = ROOT) -> Plan:
    kind = Kind("task.made", record=Made, subject="process", verbs={"restore": restore})
    records: dict[str, dict[str, Any]] = {"task.process": {str(k): v for k, v in TREE.items()}, "task.made": {str(subject): Made()}}
    return make_plan(records, {"task.made": kind}, (), {})


def born(made: Plan) -> dict[str, list[str]]:
    return {task: [c.name for p in parts for c in p.calls.calls] for task, parts in made.births.items()}


def in_rounds(made: Plan) -> list[list[str]]:
    return [[c.name for parts in r.parts.values() for p in parts if p.kind != "engine" for c in p.calls.calls] for r in made.rounds]


def test_a_birth_part_is_in_no_round_and_what_it_gives_holds_from_the_start() -> None:
    def restore(rec: Made, steps: Steps) -> None:
        steps.part(needs=("born", "session"), task=CHILD).call("getsid", 0)
        steps.part(needs=("born", "caps"), gives=("session",), birth=True).call("setsid")

    made = plan(restore)
    assert born(made) == {ROOT: ["setsid"]}
    assert [calls for calls in in_rounds(made) if calls] == [["getsid"]]
    assert in_rounds(made)[0] == ["getsid"]
    assert "setsid" in [c.name for p in made.parts for c in p.calls.calls]


def test_birth_parts_stand_in_the_order_of_their_needs() -> None:
    def restore(rec: Made, steps: Steps) -> None:
        steps.part(needs=("born", "second"), birth=True).call("getppid")
        steps.part(needs=("born", "first"), gives=("second",), birth=True).call("getuid")
        steps.part(needs=("born",), gives=("first",), birth=True).call("getpid")
        steps.part(task=GRANDCHILD, needs=("born", "second"), birth=True).call("getgid")

    assert born(plan(restore)) == {ROOT: ["getpid", "getuid", "getppid"], GRANDCHILD: ["getgid"]}


def test_a_descriptor_opened_at_birth_is_fetched_by_its_holders() -> None:
    file = ObjectId("file:1")

    def restore(rec: Made, steps: Steps) -> None:
        part = steps.part(needs=("born",), birth=True)
        part.opened(part.call("epoll_create1", 0), file)
        user = steps.part(task=CHILD, needs=("born",))
        user.call("fsync", user.slot(file))

    made = plan(restore)
    slot = made.draft.slot_number(file)
    assert born(made) == {ROOT: ["epoll_create1", "dup3", "close"]}
    fetch = [(c.name, c.args[1]) for r in made.rounds for p in r.parts.get(CHILD, ()) for c in p.calls.calls if c.name == "pidfd_getfd"]
    assert fetch == [("pidfd_getfd", slot)]
    # whoever holds it, wanted or only inherited, closes it in the end
    closed = {p.task for p in made.parts for c in p.calls.calls if c.name == "close_range" and c.args[0] == made.draft.slot_base}
    assert closed == {ROOT, CHILD, GRANDCHILD}


def _later(steps: Steps) -> None:
    steps.part(needs=("born",), gives=("late",)).call("getpid")
    steps.part(needs=("born", "late"), birth=True).call("getuid")


def _below(steps: Steps) -> None:
    steps.part(task=CHILD, needs=("born",), gives=("below",), birth=True).call("getpid")
    steps.part(needs=("born", "below"), birth=True).call("getuid")


def _circle(steps: Steps) -> None:
    steps.part(needs=("one",), gives=("two",), birth=True).call("getpid")
    steps.part(needs=("two",), gives=("one",), birth=True).call("getuid")


def _memory(steps: Steps) -> None:
    steps.part(birth=True).call("getpid")


def _slot(steps: Steps) -> None:
    part = steps.part(needs=("born",), birth=True)
    part.opened(part.call("epoll_create1", 0), ObjectId("file:1"))
    part.call("fsync", part.slot(ObjectId("file:1")))


def _ending(steps: Steps) -> None:
    steps.part(needs=("born",), ends=("caps",), birth=True).call("getpid")


def _zombie(steps: Steps) -> None:
    steps.part(task=SISTER, needs=("born",), birth=True).call("getpid")


@pytest.mark.parametrize(
    ("emit", "says"),
    [
        (_later, "needs late"),
        (_below, "needs below"),
        (_circle, "needs one"),
        (_memory, "needs mm@process:1"),
        (_slot, "needs slot:file:1@process:1, slots@process:1"),
        (_ending, "cannot be done at the birth"),
        (_zombie, "cannot be done at the birth"),
    ],
)
def test_what_is_not_there_at_a_birth_cannot_be_needed(emit: Callable[[Steps], None], says: str) -> None:
    with pytest.raises(InternalError, match=says):
        plan(lambda rec, steps: emit(steps))


# --- order


def rounds_of(made: Plan) -> list[dict[str, list[str]]]:
    """Names of the calls of the test's own kind, by round and task."""
    out = []
    for r in made.rounds:
        mine = {task: [c.name for p in parts if p.kind != "engine" for c in p.calls.calls] for task, parts in r.parts.items()}
        out.append({task: calls for task, calls in mine.items() if calls})
    return [r for r in out if r]


def test_a_part_of_the_same_task_goes_in_the_same_round_behind_what_it_needs() -> None:
    def restore(rec: Made, steps: Steps) -> None:
        steps.part(needs=("born", "b")).call("third")
        steps.part(needs=("born", "a"), gives=("b",)).call("second")
        steps.part(needs=("born",), gives=("a",)).call("first")

    assert rounds_of(plan(restore)) == [{ROOT: ["first", "second", "third"]}]


def test_a_process_and_its_first_thread_are_one_task() -> None:
    def restore(rec: Made, steps: Steps) -> None:
        steps.part(needs=("born", "one"), task=ObjectId("thread:1")).call("getpid")
        steps.part(needs=("born",), gives=("one",)).call("gettid")

    assert [calls for calls in in_rounds(plan(restore)) if calls] == [["gettid", "getpid"]]


def test_a_part_of_another_task_waits_for_the_next_round() -> None:
    def restore(rec: Made, steps: Steps) -> None:
        steps.part(needs=("born", "a"), task=CHILD).call("after")
        steps.part(needs=("born",), gives=("a",)).call("before")
        steps.part(needs=("born", "c"), task=ROOT).call("last")
        steps.part(needs=("born", "a"), gives=("c",), task=GRANDCHILD).call("between")

    assert rounds_of(plan(restore)) == [{ROOT: ["before"]}, {CHILD: ["after"], GRANDCHILD: ["between"]}, {ROOT: ["last"]}]


def test_a_key_with_several_givers_is_there_when_the_last_has_given_it() -> None:
    def restore(rec: Made, steps: Steps) -> None:
        steps.part(needs=("born", "a")).call("user")
        steps.part(needs=("born",), gives=("a",)).call("one")
        steps.part(needs=("born",), gives=("a",), task=CHILD).call("two")

    assert rounds_of(plan(restore)) == [{ROOT: ["one"], CHILD: ["two"]}, {ROOT: ["user"]}]


def test_who_ends_a_key_comes_after_everyone_who_uses_it() -> None:
    def restore(rec: Made, steps: Steps) -> None:
        steps.part(needs=("born",), ends=("caps",)).call("drop")
        steps.part(needs=("born", "late", "caps")).call("user")
        steps.part(needs=("born",), gives=("late",), task=CHILD).call("elsewhere")

    assert rounds_of(plan(restore)) == [{CHILD: ["elsewhere"]}, {ROOT: ["user", "drop"]}]


def test_a_key_that_nobody_gives_is_an_error_that_names_it() -> None:
    def restore(rec: Made, steps: Steps) -> None:
        steps.part(needs=("born", "nothing")).call("getpid")

    with pytest.raises(InternalError) as e:
        plan(restore)
    assert e.value.code == "internal.plan"
    assert "nothing, which nothing gives" in e.value.what


def test_parts_that_wait_for_each_other_are_named() -> None:
    def restore(rec: Made, steps: Steps) -> None:
        steps.part(needs=("born", "a"), gives=("b",)).call("one")
        steps.part(needs=("born", "b"), gives=("a",)).call("two")

    with pytest.raises(InternalError) as e:
        plan(restore)
    assert e.value.code == "internal.plan"
    assert "wait for each other" in e.value.what
    assert "task.made" in e.value.what


def test_a_part_cannot_give_what_it_needs() -> None:
    def restore(rec: Made, steps: Steps) -> None:
        steps.part(needs=("born", "a"), gives=("a",)).call("getpid")

    with pytest.raises(InternalError, match="needs and gives a"):
        plan(restore)


def test_a_name_that_the_image_makes_is_opened_after_that_and_any_other_at_once() -> None:
    def restore(rec: Made, steps: Steps) -> None:
        late = steps.part(needs=("born", "paths"))
        late.opens(b"/s")
        late.opens(b"/not/made")
        late.call("openat", -100, b"/s")
        early = steps.part(task=CHILD, needs=("born", "paths"))
        early.call("bind", 3)
        early.made(b"/s")

    assert [calls for calls in in_rounds(plan(restore)) if calls] == [["bind"], ["openat"]]
