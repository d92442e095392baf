"""Where a kind's restore puts its calls, and the keys that order them."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.engine.plan import Draft
from holdfast.engine.steps import PlannedPart, PlannedSteps
from holdfast.errors import InternalError
from holdfast.kinds.contract import Entry, Kind
from holdfast.kinds.task.descriptors import Descriptor, Descriptors
from holdfast.kinds.task.process import Process
from holdfast.model.ids import Fd, NsPid, ObjectId
from holdfast.model.record import Record

FIRST, SECOND, FILE, AREA = ObjectId("process:2"), ObjectId("process:5"), ObjectId("file:0"), ObjectId("vma:5:1000")


class Made(Record):
    """A record of the test's own kind."""


def draft(**more: Any) -> Draft:
    processes = {
        str(FIRST): Process(NsPid(2), None, (NsPid(2), NsPid(3)), NsPid(0), NsPid(0)),
        str(SECOND): Process(NsPid(5), FIRST, (NsPid(5),), NsPid(0), NsPid(0)),
    }
    tables = {str(FIRST): Descriptors((Descriptor(Fd(20), FILE, False),)), str(SECOND): Descriptors((Descriptor(Fd(4), FILE, True),))}
    return Draft({"task.process": processes, "task.descriptors": tables, **more}, paged=[str(AREA)])


def steps(of: Draft, subject: ObjectId) -> PlannedSteps:
    return PlannedSteps(of, Kind("fd.made", record=Made, subject="file"), [Entry(subject, Made())])


def part(of: Draft, subject: ObjectId, **more: Any) -> PlannedPart:
    made = steps(of, subject).part(**more)
    assert isinstance(made, PlannedPart)
    return made


def test_words_are_of_the_tasks_own_process_and_other_keys_are_names() -> None:
    made = part(draft(), ObjectId("thread:3"), needs=("mm", FILE), gives=("creds",), ends=("caps",))
    assert (made.task, made.needs, made.gives, made.ends) == (
        "thread:3",
        {"mm@process:2", "file:0"},
        {"creds@process:2"},
        {"caps@process:2"},
    )


def test_a_part_runs_in_its_subjects_task_or_the_first_holders() -> None:
    assert [part(draft(), subject).task for subject in (FILE, AREA, SECOND)] == ["process:2", "process:5", "process:5"]
    assert part(draft(), FILE, task=SECOND).task == "process:5"


def test_what_steps_know_of_the_image() -> None:
    mine = steps(draft(**{"fd.other": {str(FILE): "its record"}}), FILE)
    assert mine.holders(FILE) == [("process:2", 20), ("process:5", 4)]
    assert mine.record_of(FILE, "fd.other") == "its record"
    assert mine.record_of(SECOND, "fd.other") is None
    assert list(mine.processes()) == ["process:2", "process:5"]
    assert (mine.has_pages(AREA), mine.has_pages(FILE)) == (True, False)
    assert (mine.key("fds", ObjectId("thread:3")), mine.key("file:7", SECOND)) == ("fds@process:2", "process:5")


def test_what_was_opened_goes_to_its_slot_above_all_final_numbers() -> None:
    of = draft()
    made = part(of, FILE)
    fd = made.call("open", 0)
    made.opened(fd)
    assert [c.name for c in made.calls.calls] == ["open", "dup3", "close"]
    dup = made.calls.calls[1]
    assert dup.args[0] is fd
    assert dup.args[1] == dup.check == 21
    assert "file:0" in made.gives
    with pytest.raises(InternalError):
        made.opened(fd)


def test_a_slot_is_asked_for_where_it_is_used() -> None:
    of = draft()
    made = part(of, SECOND)
    assert made.slot(FILE) == of.slot_number(str(FILE))
    assert {f"slot:{FILE}@process:5", "slots@process:5"} <= made.needs
    assert of.wanted_slots == {("process:5", "file:0")}


def test_a_number_that_is_known_now_is_one_and_the_same_for_every_part() -> None:
    of = draft()
    one, other = part(of, FIRST), part(of, SECOND)
    assert one.fixed(one.call("open", 0)) == other.fixed(other.call("open", 0))
    assert of.slots_used == 22


def test_proc_files_are_written_in_order_and_names_count_from_their_call() -> None:
    made = part(draft(), FIRST)
    made.call("mknod")
    made.made(b"/name")
    made.write_proc("a", b"1", needed=False)
    made.write_proc("a", b"2", without=24)
    assert made.made_paths == [(1, b"/name")]
    assert made.proc_writes == [("a", b"1", None, False), ("a", b"2", 24, True)]
