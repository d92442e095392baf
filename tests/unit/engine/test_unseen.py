"""What only live kernel structs show, put together with what kinds say; nothing is read here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holdfast.engine import unseen
from holdfast.errors import KernelLacks, TargetChanged
from holdfast.kernel.state import in_use
from holdfast.kernel.state.in_use import InUse
from holdfast.kinds.evidence import Options
from holdfast.model.census import Admission, Census, Refusal, Unchecked
from tests.unit.kinds import captured

if TYPE_CHECKING:
    from holdfast.kinds.evidence import TreeEvidence

LDT = InUse(412, 412, "mm_struct", "context.ldt", "it has one", "because", "modify_ldt(2)", "")
DOMAIN = InUse(412, 413, "landlock_cred_security", "domain", "it has one", "because", "landlock(7)", "start it without")


def tree(**options: bool) -> TreeEvidence:
    found = captured.process().tree
    found.options = Options(**options)
    return found


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[InUse]:
    """What a fake reader finds; it may be changed."""
    things: list[InUse] = []
    monkeypatch.setattr(unseen, "_allowed", lambda: True)
    monkeypatch.setattr(unseen, "_open", lambda: None)
    monkeypatch.setattr(in_use, "in_use", lambda reader, of: tuple(things) if of == {"412": 412} else ())
    monkeypatch.setattr(in_use, "unasked", lambda reader: ())
    return things


def test_each_thing_in_use_is_a_refusal_by_its_struct_and_field(found: list[InUse]) -> None:
    found += [LDT, DOMAIN]
    first, second = (r for _, r in unseen.look(tree()).refusals)
    assert first.code == "state.mm_struct.context.ldt"
    assert first.what == "pid 412 (subject) cannot be dumped: it has one"
    assert first.do == "none known"
    assert second.code == "state.landlock_cred_security.domain"
    assert second.what == "thread 413 of pid 412 (subject) cannot be dumped: it has one"
    assert second.where == "/proc/412/task/413; struct landlock_cred_security"
    assert second.why == "because; landlock(7)"


def test_what_a_kind_says_of_the_same_process_is_not_said_twice(found: list[InUse]) -> None:
    found += [LDT]
    seen = unseen.look(tree())
    own, other = Refusal("task.ldt", "x", "/proc/412/"), Refusal("task.ldt", "x", "/proc/41/")
    assert [r.code for r in unseen.merged([own], seen)] == ["task.ldt"]
    assert [r.code for r in unseen.merged([other], seen)] == ["task.ldt", "state.mm_struct.context.ldt"]


def test_a_question_that_kernel_structs_answer_is_open_no_more(found: list[InUse]) -> None:
    answered, other = Unchecked("a", "whether", "", "landlock_cred_security.domain"), Unchecked("a", "whether")
    admission = Admission(Census(()), unchecked=(answered, other))
    assert unseen.judged(admission, unseen.look(tree()), strict=False).unchecked == (other,)
    unread = unseen.judged(admission, unseen.look(tree(no_kernel_state=True)), strict=False)
    assert unread.unchecked == (answered, other)


def test_who_may_not_read_is_told_so_once_and_the_verdict_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseen, "_allowed", lambda: False)
    admission = unseen.judged(Admission(Census(())), unseen.look(tree()), strict=False)
    assert admission.verdict == "OK"
    assert admission.unread is not None
    assert "CAP_BPF" in admission.unread.why
    assert unseen.against(admission) == ()


def test_strict_makes_it_unknown_and_refuses_a_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseen, "_allowed", lambda: False)
    question = Unchecked("task.x", "whether it is", "nobody tells")
    admission = unseen.judged(Admission(Census(()), unchecked=(question,)), unseen.look(tree()), strict=True)
    assert admission.verdict == "UNKNOWN"
    assert [(r.code, r.kind) for r in unseen.against(admission)] == [("unchecked", "task.x"), ("unchecked", "state")]


def test_a_kernel_that_cannot_be_read_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed() -> Any:
        raise KernelLacks("kernel_memory", "cannot be read", why="lockdown")

    monkeypatch.setattr(unseen, "_allowed", lambda: True)
    monkeypatch.setattr(unseen, "_open", closed)
    unseen.prepare(Options())
    seen = unseen.look(tree())
    assert (seen.refusals, seen.asked) == ((), frozenset())
    assert seen.unread is not None
    assert seen.unread.why == "lockdown"


def test_a_process_that_ends_meanwhile_changed(found: list[InUse], monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(reader: Any, of: Any) -> Any:
        raise ProcessLookupError(412)

    monkeypatch.setattr(in_use, "in_use", gone)
    with pytest.raises(TargetChanged):
        unseen.look(tree())


def test_a_zombie_is_not_read(found: list[InUse]) -> None:
    found += [LDT]
    dead = tree()
    dead.processes[0].zombie = True
    assert unseen.look(dead).refusals == ()


def test_every_state_that_a_kind_tells_too_is_one_that_is_read() -> None:
    from holdfast.kernel.state.predicates import PREDICATES

    read = {".".join(filter(None, (row[2], row[3]))) for row in PREDICATES}
    assert {*unseen.TOLD, *unseen.TOLD_ANYWHERE} <= read


def test_what_cannot_be_asked_here_is_no_answer(found: list[InUse], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_use, "unasked", lambda reader: ("landlock_cred_security.domain",))
    seen = unseen.look(tree())
    assert "landlock_cred_security.domain" not in seen.asked
    assert "mm_struct.context.ldt" in seen.asked
    assert seen.unread is not None
    assert seen.unread.what == "whether landlock_cred_security.domain is in use"
