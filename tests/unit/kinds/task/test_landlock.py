"""task.landlock. Text captured on Linux 6.18."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.errors import Refused
from holdfast.kernel.source import Link
from holdfast.kinds.task.landlock import KIND
from tests.unit.kinds import captured

if TYPE_CHECKING:
    from holdfast.kinds.evidence import ThreadEvidence


def status(uid: int, caps: int, no_new_privs: bool = False) -> bytes:
    text = captured.STATUS
    for key, value in (
        *((k, f"{uid}\t{uid}\t{uid}\t{uid}") for k in ("Uid", "Gid")),
        *((k, f"{caps:016x}") for k in ("CapPrm", "CapEff")),
        ("NoNewPrivs", str(int(no_new_privs))),
    ):
        text = captured.line(text, key, value)
    return text


ROOT, USER, OTHER = status(0, (1 << 41) - 1), status(1000, 0, no_new_privs=True), status(1001, 0)


def thread(mine: bytes, ours: bytes) -> ThreadEvidence:
    return captured.process({"status": mine}, host={"self/status": ours}).leader


@pytest.mark.parametrize(("mine", "ours"), [(ROOT, ROOT), (ROOT, USER), (USER, USER)])
def test_who_could_look_at_us_and_may_not_is_in_a_sandbox(mine: bytes, ours: bytes) -> None:
    assert captured.dumped(KIND, thread(mine, ours)) is None
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, thread(mine, ours), {("kcmp",): -1})
    assert caught.value.code == "refused.task.landlock"


@pytest.mark.parametrize("errno", [3, 13, 38])
def test_any_other_failure_says_nothing(errno: int) -> None:
    assert captured.dumped(KIND, thread(USER, USER), {("kcmp",): -errno}) is None


def test_where_the_question_says_nothing_it_is_not_asked() -> None:
    assert captured.verdicts(KIND, thread(USER, ROOT)) == ["Unchecked"]
    assert captured.verdicts(KIND, thread(OTHER, ROOT)) == []
    dump = KIND.verb("dump")
    assert dump is not None
    assert captured.converse(dump(thread(USER, ROOT)), {("kcmp",): -1}) is None


def test_the_peer_of_a_job_is_its_init() -> None:
    ev = captured.process({"status": USER}, host={"9/status": USER}).leader
    ev.tree.in_run, ev.tree.init = True, 9
    dump = KIND.verb("dump")
    assert dump is not None
    assert next(dump(ev)).calls[0].args[:2] == (1, 1)


def test_what_it_may_in_a_user_namespace_of_its_own_says_nothing() -> None:
    ev = captured.process({"status": ROOT, "ns/user": Link(b"user:[4026539999]")}, host={"self/status": ROOT}).leader
    assert captured.dumped(KIND, ev, {("kcmp",): -1}) is None
