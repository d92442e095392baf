"""Which tasks of a tree are in another namespace than a restore gives them."""

from __future__ import annotations

from holdfast.kernel.source import Link
from holdfast.kinds import namespaces
from tests.unit.kinds import captured

OTHER = Link(b"net:[4026532177]")


def test_a_tree_in_our_own_namespaces_has_no_strangers() -> None:
    assert namespaces.strangers(captured.process(threads=[(413, {})]).tree, "net") == []


def test_a_thread_alone_can_be_elsewhere() -> None:
    tree = captured.process(threads=[(413, {"ns/net": OTHER}), (414, {"ns/net": OTHER})]).tree
    assert [(t.id, n) for t, n in namespaces.strangers(tree, "net")] == [("thread:413", 4026532177), ("thread:414", 4026532177)]
    assert namespaces.strangers(tree, "net", by_thread=False) == []
    [refusal] = namespaces.refuse(tree, "net", "its network", "network_namespaces(7)")
    assert refusal.what == "thread 413 (subject) of pid 412 and 1 more cannot be dumped: in another net namespace"


def test_each_namespace_is_one_refusal() -> None:
    tree = captured.process({"ns/net": Link(b"net:[1]")}, threads=[(413, {"ns/net": OTHER})]).tree
    assert len(list(namespaces.refuse(tree, "net", "its network", "network_namespaces(7)"))) == 2


def test_a_job_has_its_inits_user_pid_and_mount_namespace() -> None:
    own = {f"ns/{n}": Link(f"{n}:[99]".encode()) for n in ("user", "pid", "mnt")}
    own["ns/pid_for_children"] = Link(b"pid:[99]")
    tree = captured.process(own, host={f"77/{k}": v for k, v in own.items()}).tree
    assert namespaces.detect(tree, "user") is not None
    tree.in_run, tree.init = True, 77
    for name in ("user", "pid", "mnt", "pid_for_children", "net"):
        assert namespaces.detect(tree, name) is None
