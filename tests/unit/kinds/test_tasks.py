"""What the kinds of processes and threads have in common."""

from __future__ import annotations

import pytest

from holdfast.kernel.source import Link
from holdfast.kinds import tasks
from tests.unit.kinds import captured

TABLE = {"b": 1, "a": 4}


def test_bits_have_names_and_names_bits() -> None:
    assert tasks.names(TABLE, 5) == ("a", "b")
    assert tasks.bits(TABLE, ("a", "b")) == 5
    assert tasks.names(TABLE, 0) == ()


def test_what_has_no_name_and_no_bit_is_an_error() -> None:
    with pytest.raises(ValueError, match="0x2 have no name"):
        tasks.names(TABLE, 3)
    with pytest.raises(ValueError, match="'c'"):
        tasks.bits(TABLE, ("c",))


def test_messages_name_the_process_or_the_thread() -> None:
    ev = captured.process(threads=[(413, {})])
    assert tasks.who(ev) == tasks.who(ev.leader) == "pid 412 (subject)"
    assert tasks.who(ev.threads[1]) == "thread 413 (subject) of pid 412"
    assert tasks.where(ev.threads[1], "status") == "/proc/412/task/413/status"
    assert [tasks.tid(t) for t in tasks.tasks(ev)] == [412, 413]
    assert tasks.tasks(captured.process()) != ()


def test_our_own_namespaces_are_asked_for_once_a_tree() -> None:
    tree = captured.process(host={"self/ns/net": Link(b"net:[77]")}).tree
    assert (tasks.own_namespace(tree, "net"), tasks.own_namespace(tree, "none")) == (77, 0)
    assert tasks.own_namespace(captured.process(host={"self/ns/net": Link(b"net:[78]")}).tree, "net") == 78
