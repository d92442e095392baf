"""Every kind keeps every promise of the contract; a new kind gets these tests for nothing."""

from __future__ import annotations

import ast
import ctypes
import functools
import inspect
import os
import select
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.image import codec, schema
from holdfast.kernel import flagtables
from holdfast.kernel.btf.decode import Btf
from holdfast.kinds import registry
from holdfast.kinds.contract import SUBJECTS, VERBS, FdinfoKey, FlagSet, Kind, Link, StatusKey, Struct, compare_fields
from holdfast.model.ids import ObjectId
from tests.repo import tree
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.model.record import Record

KINDS = registry.kinds()
EVERY = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
WITH_RECORD = pytest.mark.parametrize(
    "kind", [k for k in KINDS.values() if "dump" in k.verbs], ids=[n for n, k in KINDS.items() if "dump" in k.verbs]
)
VMLINUX = "/sys/kernel/btf/vmlinux"
HERE = ObjectId("file:0")

# Fields whose change a compare does not see, and why that is right. Each reason is a Loss of the kind or a fact about the object.
READY = "`ready` refuses a restore where the file itself is another or has changed; fstat of what was opened would only say it again"
UNSEEN: dict[str, dict[str, str]] = {
    "fd.directory": {"number": READY},
    "fd.inherited": {"number": "what the restorer has at its descriptor is its own, whichever that is (Loses)"},
    "fd.memfd": {"accessed_ns": "looking at what was restored reads its contents, which is an access (relatime)"},
    "fd.regular": {"size": READY, "modified_ns": READY, "number": READY},
    "fd.unlinked": {
        "path": "a name beside the old one, where that is taken, is told as a Loss by the dump",
        "accessed_ns": "filling it reads and writes it, and how that shows is the mount's affair (noatime, relatime)",
    },
    "mm.file": {"size": READY, "modified_ns": READY},
    "task.cpu": {
        "orig_rax": "which call was interrupted; rax and rip say how the thread goes on, and are compared in its light",
        "wait": "what remains of it becomes less with each look; which call goes on is compared by rax and rip",
    },
    "task.itimers": {
        "fired": "signals that came between the stop and the reading; once restored they are pending, so task.sigpending has them"
    },
    "task.process": {"exit_signal": "of the first process only: its parent is the restorer, who is told as it asked to be"},
}


# --- values


def samples(kind: Any, plan: Any, depth: int = 0) -> list[Any]:
    """Some values of a type, the plainest first."""
    op = kind[0]
    if op == "optional":
        return [None, *samples(kind[1], plan, depth)]
    if op == "list":
        inner = samples(kind[1], plan, depth)
        return [(), (inner[0],), tuple(inner[:2])]
    if op == "tuple":
        parts = [samples(k, plan, depth) for k in kind[1:]]
        return [tuple(p[0] for p in parts), *(tuple(p[-1] if i == j else p[0] for j, p in enumerate(parts)) for i in range(len(parts)))]
    if op == "record":
        return [] if depth > 2 else list(variants(plan.nested[kind[1]], depth + 1))
    if op == "flags":
        return [frozenset(), frozenset({"a"})]
    scalar = schema.SCALARS[op]
    if scalar.stored is bool:
        return [False, True]
    if scalar.stored is int:
        low = scalar.low or 0
        # the large one is far beyond what any kind allows for the time that passes
        return [scalar.cls(max(low, 1)), scalar.cls(2), scalar.cls(min(scalar.high or 1 << 62, 1 << 62))]
    if scalar.stored is bytes:
        return [b"", b"/a", b"/b"]
    return [scalar.cls("file:1"), scalar.cls("file:2")] if scalar.cls is ObjectId else ["a", "b"]


def variants(plan: Any, depth: int = 0) -> Iterator[Record]:
    """A plain record of a class, then ones that differ from it in one field each."""
    plain: dict[str, Any] = {}
    for name, kind in zip(plan.names, plan.types, strict=True):
        values = samples(kind, plan, depth)
        if not values:
            return
        plain[name] = values[0]
    yield plan.cls(**plain)
    for name, kind in zip(plan.names, plan.types, strict=True):
        for value in samples(kind, plan, depth)[1:]:
            yield plan.cls(**{**plain, name: value})


def compare(kind: Kind, before: Record, after: Record) -> list[Any]:
    verb = kind.verb("compare")
    return list(verb(before, after, HERE) if verb is not None else compare_fields(kind.name, HERE, before, after))


# --- form


@EVERY
def test_a_kind_is_where_its_name_says(kind: Kind) -> None:
    room, _, name = kind.name.partition(".")
    module = sys.modules[kind.record.__module__] if kind.record.__module__.startswith("holdfast.kinds.") else None
    assert f"holdfast.kinds.{room}.{name}" in registry.modules()
    assert sys.modules[f"holdfast.kinds.{room}.{name}"].KIND is kind
    assert module is not None
    assert kind.subject in SUBJECTS
    assert set(kind.verbs) <= set(VERBS)
    assert kind.version >= 1
    assert "detect" in kind.verbs
    assert ("restore" in kind.verbs) == ("dump" in kind.verbs)
    assert "refuse" in kind.verbs or "dump" in kind.verbs, "it neither carries nor refuses"
    if kind.claims:
        assert kind.subject in ("vma", "file", "inode")


@EVERY
def test_a_kind_says_what_it_carries_and_loses_and_why_it_knows(kind: Kind) -> None:
    text = inspect.getdoc(sys.modules[f"holdfast.kinds.{kind.name}"]) or ""
    first = text.split("\n", 1)[0]
    assert first.startswith(f"{kind.name}: ")
    assert first.endswith(".")
    for label in ("Carries:", "Loses:", "Sources:"):
        assert text.count(f"\n{label} ") == 1, label
    body = {label: text.split(f"\n{label}", 1)[1].split("\n\n")[0] for label in ("Carries:", "Loses:", "Sources:")}
    for label, said in body.items():
        assert said.strip(), label


@EVERY
def test_verbs_stand_in_the_order_of_the_contract(kind: Kind) -> None:
    lines = [verb.__code__.co_firstlineno for name in VERBS if (verb := kind.verbs.get(name)) is not None and hasattr(verb, "__code__")]
    assert lines == sorted(lines)


# --- claims


def test_exactly_one_kind_claims_an_open_file(tmp_path: Path) -> None:
    sockets = [
        socket.socket(family, sort)
        for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
        for sort in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    ]
    sockets += [*socket.socketpair(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)]
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_text("text")
    gone = os.open(tmp_path / "gone", os.O_CREAT | os.O_RDWR)
    os.unlink(tmp_path / "gone")
    signals, events = (ctypes.c_char * 8)(), select.epoll()
    opened = [
        *(s.fileno() for s in sockets),
        *os.pipe(),
        *os.openpty(),
        gone,
        os.open(tmp_path / "fifo", os.O_RDWR),
        os.open(tmp_path / "file", os.O_RDONLY),
        os.open(tmp_path / "file", os.O_PATH),
        os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY),
        os.open("/dev/null", os.O_RDWR),
        os.eventfd(0),
        os.memfd_create("memfd"),
        os.pidfd_open(os.getpid()),
        os.dup(events.fileno()),
        ctypes.CDLL(None).timerfd_create(1, 0),
        ctypes.CDLL(None).signalfd(-1, signals, 0),
        ctypes.CDLL(None).inotify_init1(0),
    ]
    evidence = native.tree(*opened)
    try:
        mine = [k for k in KINDS.values() if k.subject == "file" and k.claims]
        claims = {ev.link: [k.name for k in mine if k.verbs["detect"](ev) is not None] for ev in evidence.files}
        assert len(evidence.files) >= len(opened) - 1
        assert {link: names for link, names in claims.items() if len(names) != 1} == {}
    finally:
        native.close(evidence)
        for fd in opened[len(sockets) :]:
            os.close(fd)
        events.close()
        for s in sockets:
            s.close()


# --- watches


@functools.cache
def vmlinux() -> Btf:
    with open(VMLINUX, "rb") as f:
        return Btf(f.read())


@pytest.mark.skipif(not os.path.exists(VMLINUX), reason="machine cannot: its kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
@EVERY
def test_each_watch_is_there(kind: Kind) -> None:
    for watch in kind.watches:
        if isinstance(watch, Struct):
            assert (vmlinux().find(watch.name) > 0) != bool(watch.why_absent), f"struct {watch.name}; absent because: {watch.why_absent!r}"
        elif isinstance(watch, FlagSet):
            assert watch.name in {*flagtables.BITS, *flagtables.LETTERS}, watch.name
        elif isinstance(watch, StatusKey):
            with open("/proc/self/status") as f:
                keys = {line.partition(":")[0] for line in f}
            assert watch.name in keys or watch.name in OPTIONAL_STATUS, watch.name
        else:
            assert isinstance(watch, FdinfoKey | Link)


# keys of /proc/PID/status that only some kernels or processors have
OPTIONAL_STATUS = {"x86_Thread_features", "x86_Thread_features_locked", "Seccomp_filters", "untag_mask", "NStgid"}


UNWATCHED = {"fd.inherited"}  # it carries no state of the file: the restorer gives its own


@EVERY
def test_what_holds_state_is_watched(kind: Kind) -> None:
    if "dump" in kind.verbs and kind.subject in ("file", "inode", "vma") and kind.name not in UNWATCHED:
        assert [w for w in kind.watches if isinstance(w, Struct)], "no struct is watched: a field that a kernel adds would go unseen"


# --- records


@WITH_RECORD
def test_records_come_back_from_an_image(kind: Kind) -> None:
    plan = schema.plan(kind.record)
    records = list(variants(plan))
    entries = [(ObjectId(f"file:{n}"), r) for n, r in enumerate(records)]
    theirs = schema.decode(kind.name, schema.encoded(kind.record, kind.version, codec.packed_default))
    warnings: list[str] = []
    for known in (None, theirs):
        assert codec.unpack(codec.pack(kind.record, entries), codec.bind(kind.record, kind.name, known), warnings) == entries
    assert warnings == []


@WITH_RECORD
def test_a_record_equals_itself(kind: Kind) -> None:
    for record in variants(schema.plan(kind.record)):
        again = kind.record(**dict(record.items()))
        assert compare(kind, record, again) == []


@WITH_RECORD
def test_a_change_of_any_field_is_seen(kind: Kind) -> None:
    plan = schema.plan(kind.record)
    plain = next(variants(plan), None)
    if plain is None:
        return
    unseen = set()
    for name, of in zip(plan.names, plan.types, strict=True):
        values = samples(of, plan)
        bases = [plain] if getattr(plain, name) == values[0] else []
        found = any(
            compare(kind, base.replace(**{name: a}), base.replace(**{name: b})) for base in bases for a in values for b in values if a != b
        )
        if not found:
            unseen.add(name)
    assert unseen == set(UNSEEN.get(kind.name, {})), f"{kind.name}: {sorted(unseen)}"


# --- refusals


def verdicts_in(path: str) -> Iterator[tuple[str, int, ast.Call]]:
    with open(path, encoding="utf-8") as f:
        for node in ast.walk(ast.parse(f.read())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Refusal", "Loss", "Unchecked"):
                yield node.func.id, node.lineno, node


PARTS = ("code", "what", "where", "why", "do")
SOURCES = sorted(str(p.relative_to(tree.TOP)) for p in (tree.TOP / "src" / "holdfast" / "kinds").rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES)
def test_every_refusal_says_what_where_why_and_what_to_do(path: str) -> None:
    bad = []
    for name, line, call in verdicts_in(str(tree.TOP / path)):
        if name != "Refusal":
            continue
        given = {
            **dict(zip(("code", "what", "where", "why", "do"), call.args, strict=False)),
            **{k.arg: k.value for k in call.keywords if k.arg},
        }
        for part in PARTS:
            value = given.get(part)
            if value is None or (isinstance(value, ast.Constant) and not value.value):
                bad.append(f"{path}:{line}: no {part}")
    assert bad == []
