"""kernel/state/walk.py: names of objects, pointers, containers, conditions, and memory that went bad, in memory made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.kernel.state import edges, plan
from holdfast.kernel.state import walk as walks
from tests.unit.kernel.state import fake
from tests.unit.kernel.state.fake import KERNEL, FakeMemory, row

if TYPE_CHECKING:
    from holdfast.kernel.state.walk import Walk

ONE, TWO, THREE = KERNEL + 0x1000, KERNEL + 0x2000, KERNEL + 0x3000
FUNCTION = 0xFFFFFFFF81234560
THING = [
    row("count", 0, plan.UNSIGNED, 4, "thing.count"),
    row("next", 8, plan.POINTER, 8, "thing.next", "thing"),
    row("owner", 16, plan.POINTER, 8, "thing.owner", "thing"),
    row("call", 24, plan.FUNCTION, 8, "thing.call"),
    row("list", 32, plan.LIST, 8, "thing.list", "list_head"),
    row("state", 48, plan.BITS, 4, "thing.state"),
    row("when_two", 52, plan.UNSIGNED, 4, "thing.when_two", when="count = 2|count = 3"),
]


@pytest.fixture(autouse=True)
def _edges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walks, "EDGES", {"thing.next": ""})
    monkeypatch.setattr(walks, "LISTS", {"thing.list": ("item", "link", "key")})


def thing(memory: FakeMemory, at: int, count: int = 0, follow: int = 0, owner: int = 0, call: int = 0, state: int = 0) -> None:
    """One thing, with an empty list."""
    memory.word(at, count, 4)
    memory.word(at + 4, 0, 4)
    for offset, value in ((8, follow), (16, owner), (24, call), (32, at + 32), (40, at + 32)):
        memory.word(at + offset, value)
    memory.word(at + 48, state, 4)
    memory.word(at + 52, 77, 4)


def prepared(memory: FakeMemory) -> Walk:
    item = [row("key", 0, plan.UNSIGNED, 4, "item.key")]
    found = fake.layouts({"thing": (56, THING), "item": (8, item)}, {"item.link": (8, 16)})
    return fake.walk(memory, found, {FUNCTION: "do_it"})


def test_a_pointer_is_the_name_of_what_it_points_at() -> None:
    memory = FakeMemory()
    thing(memory, ONE, 1, TWO, THREE, FUNCTION)
    thing(memory, TWO, 1, 0, ONE)
    found = prepared(memory)
    found.reach(ONE, "thing", "it")
    state = found.run()
    assert state.objects == {"it": "thing", "it.next": "thing"}  # an owner is never followed
    shown = {path: leaf.value for path, leaf in state.leaves.items() if path.endswith((".next", ".owner", ".call"))}
    assert shown == {
        "it.next": "@it.next",
        "it.owner": "set",
        "it.call": "do_it",
        "it.next.next": "null",
        "it.next.owner": "@it",
        "it.next.call": "null",
    }
    assert (state.leaves["it.count"].struct, state.leaves["it.count"].field) == ("thing", "count")


def test_a_ring_of_pointers_ends() -> None:
    memory = FakeMemory()
    thing(memory, ONE, 1, TWO)
    thing(memory, TWO, 1, ONE)
    found = prepared(memory)
    found.reach(ONE, "thing", "it")
    state = found.run()
    assert (len(state.objects), state.leaves["it.next.next"].value) == (2, "@it")


@pytest.mark.parametrize("bad", [TWO, (1 << 64) - 22, TWO + 1], ids=["gone", "an error", "tagged"])
def test_a_pointer_that_leads_nowhere_stops_nothing(bad: int) -> None:
    memory = FakeMemory()
    thing(memory, ONE, 5, bad)
    found = prepared(memory)
    found.reach(ONE, "thing", "it")
    state = found.run()
    assert state.leaves["it.count"].value == 5
    if bad == TWO:
        assert state.leaves["it.next"].value == "unreadable"
    else:
        assert state.leaves["it.next"].value == "set"


def test_a_user_address_stays_a_number_and_a_struct_without_a_layout_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walks, "EDGES", {"thing.next": "unknown"})
    memory = FakeMemory()
    thing(memory, ONE, 1, TWO, 0x7FFF_0000_1000)
    found = prepared(memory)
    found.reach(ONE, "thing", "it")
    state = found.run()
    assert state.leaves["it.owner"].value == 0x7FFF_0000_1000
    assert (state.leaves["it.next"].value, state.gaps) == ("set", ("unknown",))


def test_a_list_names_its_elements_by_their_key() -> None:
    memory = FakeMemory()
    thing(memory, ONE)
    items = {KERNEL + 0x5000 + n * 0x100: key for n, key in enumerate((7, 3, 9))}
    links = [at + 8 for at in items]
    for link, following in zip([ONE + 32, *links], [*links, ONE + 32], strict=True):
        memory.word(link, following)
    for at, key in items.items():
        memory.word(at, key, 4)
        memory.word(at + 4, 0, 4)
    found = prepared(memory)
    found.reach(ONE, "thing", "it")
    state = found.run()
    assert state.leaves["it.list"].value == 3
    assert [path for path, struct in state.objects.items() if struct == "item"] == ["it.list[7]", "it.list[3]", "it.list[9]"]


def test_a_list_that_never_comes_back_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walks, "_LONGEST", 10)
    memory = FakeMemory()
    thing(memory, ONE)
    memory.word(ONE + 32, TWO + 8)
    memory.put(TWO, bytes(8))
    memory.word(TWO + 8, TWO + 8)  # it points at itself, and never at the head again
    found = prepared(memory)
    found.reach(ONE, "thing", "it")
    assert found.run().leaves["it.list"].value == 10


def test_a_list_that_came_apart_is_unreadable() -> None:
    memory = FakeMemory()
    thing(memory, ONE)
    memory.word(ONE + 32, TWO + 8)
    found = prepared(memory)
    found.reach(ONE, "thing", "it")
    assert found.run().leaves["it.list"].value == "unreadable"


@pytest.mark.parametrize(("count", "shown"), [(1, False), (2, True), (3, True)])
def test_a_member_of_a_union_is_read_where_its_condition_holds(count: int, shown: bool) -> None:
    memory = FakeMemory()
    thing(memory, ONE, count)
    found = prepared(memory)
    found.reach(ONE, "thing", "it")
    assert ("it.when_two" in found.run().leaves) is shown


def test_flags_are_leaves_bit_by_bit() -> None:
    memory = FakeMemory()
    thing(memory, ONE, state=1 << 3 | 1 << 31)
    found = prepared(memory)
    found.reach(ONE, "thing", "it")
    assert [path for path in found.run().leaves if path.startswith("it.state")] == ["it.state[3]", "it.state[31]"]


def test_what_a_handler_lacks_is_a_gap_and_what_it_cannot_read_is_said() -> None:
    memory = FakeMemory()
    thing(memory, ONE)
    found = prepared(memory)

    def lacking(walk: Walk, address: int, _data: bytes, _path: str) -> None:
        walk.field(address, "thing.never")

    def failing(walk: Walk, _address: int, _data: bytes, _path: str) -> None:
        walk.number(THREE)

    for handler, gaps, said in ((lacking, ("thing.never",), []), (failing, (), ["it!"])):
        found = fake.walk(memory, found.layouts, after={"thing": handler})
        found.reach(ONE, "thing", "it")
        state = found.run()
        assert state.gaps == gaps
        assert [path for path, leaf in state.leaves.items() if leaf.value == "unreadable"] == said


def test_a_tree_is_walked_in_order() -> None:
    memory = FakeMemory()
    left, right = 16, 8
    nodes = {4: (2, 6), 2: (1, 3), 6: (5, 0), 1: (0, 0), 3: (0, 0), 5: (0, 0)}
    at = {n: KERNEL + 0x100 * n for n in nodes}
    for n, (a, b) in nodes.items():
        memory.word(at[n] + left, at.get(a, 0))
        memory.word(at[n] + right, at.get(b, 0))
    memory.word(KERNEL, at[4])
    found = fake.walk(memory, fake.layouts({}, {"rb_node.rb_left": (left, 8), "rb_node.rb_right": (right, 8)}))
    assert list(found.elements(plan.TREE, KERNEL)) == [at[n] for n in sorted(nodes)]


def test_no_edge_leads_out_of_the_process() -> None:
    shared = {"task_struct.parent", "task_struct.real_parent", "task_struct.group_leader", "cred.user", "cred.ucounts", "path.mnt"}
    shared |= {"nsproxy.mnt_ns", "nsproxy.net_ns", "sock.sk_user_data", "unix_sock.peer", "inode.i_sb", "files_struct.fd_array"}
    shared |= {"mm_struct.owner", "task_struct.cgroups", "file.f_mapping", "signal_struct.tty_old_pgrp"}
    assert shared & (edges.EDGES.keys() | edges.WAYS.keys() | edges.LISTS.keys()) == set()
