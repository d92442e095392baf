"""What the kinds of processes and threads have in common."""

from __future__ import annotations

from holdfast.kernel.source import Link
from holdfast.kinds import tasks
from tests.unit.kinds import captured


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
