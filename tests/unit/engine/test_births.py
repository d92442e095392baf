"""In which order, by whom and with what a tree is made; the processes are played."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.engine.births import Births
from holdfast.errors import BadImage
from holdfast.kinds.task.process import Process
from holdfast.model.ids import NsPid, ObjectId
from holdfast.prog.call import Answers, Program

STUB, AREA, BEFORE = 900, object(), -1


def one(pid: int, parent: int | None, session: int, group: int = 0, **more: Any) -> Process:
    above = None if parent is None else ObjectId(f"process:{parent}")
    return Process(NsPid(pid), above, more.pop("threads", (NsPid(pid),)), NsPid(session), NsPid(group), **more)


class FakeHand:
    """A hand on a process that says what it was made to call, and succeeds."""

    def __init__(self, births: Played, nspid: int) -> None:
        self.births, self.tid, self.nspid, self.area = births, nspid, nspid, AREA
        self.owed: Program | None = None

    def run(self, program: Program) -> Answers:
        owed, self.owed = self.owed, None
        for call in [*(owed.calls if owed is not None else ()), *program.calls]:
            numbers = [a for a in call.args if isinstance(a, int)]
            self.births.said.append((self.nspid, call.name, *numbers))
        return Answers({id(c): 0 for c in program.calls}, {})


class Played(Births):
    """Births that fork nobody: `said` is who did what, in order."""

    def __init__(self, *tree: Process) -> None:
        super().__init__(None, {f"process:{int(p.nspid)}": p for p in tree}, (0, 0), lambda nspid, nstid: nstid)  # type: ignore[arg-type]
        self.said: list[tuple[Any, ...]] = []
        self.stub = FakeHand(self, STUB)
        self.next = 500

    def _fork(self, by: Any, name: Any, area: Any, parent: bool = False, first: Program | None = None) -> None:
        number = int(self.tree[name].nspid)
        by.run(Program())
        self.said.append((by.nspid, "sibling" if parent else "child", number))
        self.hands[str(name)] = FakeHand(self, number)  # type: ignore[assignment]

    def _threads(self, name: str, area: Any) -> None:
        pass

    def _born(self, by: Any, number: int, rec: Any) -> tuple[int, int, Any]:
        if not number:
            number, self.next = self.next, self.next + 1
        by.run(Program())
        self.said.append((by.nspid, "helper", number))
        return number, number, FakeHand(self, number)

    def _end(self, parent: Any, number: int, pid: int) -> None:
        self.said.append((parent.nspid, "ends", number))

    def family(self) -> list[tuple[Any, ...]]:
        """What is done from the moment where the stub stands."""
        roots = [n for n, p in self.tree.items() if p.parent is None]
        self._fork(self.stub, roots[0], AREA, parent=True)
        born = self._strays(self.stub, roots[1:], AREA)  # type: ignore[arg-type]
        kids: dict[str, list[str]] = {}
        for name, p in self.tree.items():
            if p.parent is not None:
                kids.setdefault(str(p.parent), []).append(str(name))
        for name, session in [(str(roots[0]), BEFORE), *born]:
            self._family(name, kids, AREA, session)  # type: ignore[arg-type]
        self._adopted(AREA)  # type: ignore[arg-type]
        for hand in self.hands.values():
            hand.run(Program())
        return self.said


def test_children_of_the_session_that_a_leader_was_born_into_are_made_before_it_leads_its_own() -> None:
    # 2 is in session 1 and has a child there, then it leads its own session and has another child in that
    tree = (one(1, None, 1), one(2, 1, 2), one(3, 2, 1), one(4, 2, 2))
    assert Played(*tree).family() == [
        (STUB, "sibling", 1),
        (1, "setsid"),
        (1, "child", 2),
        (2, "child", 3),
        (2, "setsid"),
        (2, "child", 4),
    ]


def test_who_adopts_orphans_does_so_before_it_has_children() -> None:
    played = Played(one(1, None, 0), one(2, 1, 0))
    played._subreapers = {"process:1"}
    assert played.family() == [(STUB, "sibling", 1), (1, "prctl", 36, 1, 0, 0, 0), (1, "child", 2)]


def test_who_was_adopted_out_of_another_session_is_made_by_a_member_through_a_middle_process() -> None:
    tree = (one(1, None, 1), one(2, 1, 2), one(3, 1, 2))
    assert Played(*tree).family()[3:] == [(2, "setsid"), (2, "helper", 500), (500, "child", 3), (2, "ends", 500)]


def test_a_middle_process_does_not_keep_a_number_that_the_tree_has() -> None:
    played = Played(one(1, None, 1), one(2, 1, 2), one(3, 1, 2, threads=(NsPid(3), NsPid(501))))
    played.next = 501
    assert played.family()[4:] == [(2, "helper", 501), (2, "ends", 501), (2, "helper", 502), (502, "child", 3), (2, "ends", 502)]


def test_a_session_of_which_nobody_is_left_is_no_tree() -> None:
    with pytest.raises(BadImage) as caught:
        Played(one(1, None, 1), one(2, 1, 7)).family()
    assert caught.value.code == "bad_image.tree"


def test_what_an_init_adopted_is_its_child_beside_the_first_process() -> None:
    # 5 leads its own session, 6 is in one outside of the job, 7 is a child of 5
    tree = (one(2, None, 0), one(5, None, 5), one(6, None, 0), one(7, 5, 5))
    assert Played(*tree).family() == [
        (STUB, "sibling", 2),
        (STUB, "sibling", 5),
        (STUB, "sibling", 6),
        (5, "setsid"),
        (5, "child", 7),
    ]


def test_one_of_a_session_whose_leader_is_gone_is_made_by_a_helper_with_the_leaders_number() -> None:
    tree = (one(2, None, 0), one(5, None, 4, 4), one(6, None, 4, 6), one(7, 5, 4, 4))
    assert Played(*tree).family() == [
        (STUB, "sibling", 2),
        (STUB, "helper", 4),
        (4, "setsid"),
        (4, "child", 5),
        (4, "child", 6),
        (STUB, "ends", 4),
        (5, "child", 7),
    ]


def test_one_of_a_session_of_the_tree_that_an_init_adopted_is_made_by_a_member() -> None:
    tree = (one(2, None, 2), one(5, None, 2))
    assert Played(*tree).family() == [(STUB, "sibling", 2), (2, "setsid"), (2, "helper", 500), (500, "child", 5), (2, "ends", 500)]


def grouped(*tree: Process) -> list[tuple[Any, ...]]:
    played = Played(*tree)
    for name, p in played.tree.items():
        played.hands[name] = FakeHand(played, int(p.nspid))  # type: ignore[assignment]
    played._groups()
    return played.said


def test_leaders_of_groups_lead_before_members_join() -> None:
    tree = (one(1, None, 1, 1), one(3, 1, 1, 2), one(2, 1, 1, 2))
    assert grouped(*tree) == [(2, "setpgid", 0, 0), (3, "setpgid", 0, 2)]


def test_the_group_of_a_session_whose_leader_is_gone_needs_nobody_to_lead_it() -> None:
    assert grouped(one(2, None, 0), one(5, None, 4, 4)) == [(5, "setpgid", 0, 4)]


def stopped(*tree: Process) -> bool:
    return Played(*tree)._orphaned(tree[-1])


def test_a_group_is_orphaned_where_no_parent_is_in_another_group_of_the_session() -> None:
    assert stopped(one(1, None, 1, 1), one(2, 1, 1, 2)) is False
    assert stopped(one(1, None, 1, 1), one(2, 1, 2, 2)) is True
    assert stopped(one(1, None, 1, 1)) is True
