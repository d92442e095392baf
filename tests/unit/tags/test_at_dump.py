"""A discovered tag stops a dump of who uses it now, and of nobody else, and only while it stands."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.model.finding import Finding
from holdfast.tags import at_dump, discovered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def found(verdict: str, engine: str = "native") -> list[discovered.Entry]:
    facts = (("runtime", "fd:anon_inode:[eventpoll]"),)
    finding = Finding(
        "hunt.lost",
        "fd.epoll edges",
        verdict,
        "high",
        "an edge is lost",
        reproducer="epoll_create1(0)",
        engine=engine,
        kernel="6.18",
        facts=facts,
    )
    return discovered.from_finding(finding)


@contextmanager
def subject(epoll: bool = True) -> Iterator[int]:
    """A process of its own: what other tests of this one left open is not asked about."""
    code = f"import select, sys; e = select.epoll() if {epoll} else 0; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield child.pid
        child.communicate()


def test_in_use_and_not_and_superseded(tmp_path: Path) -> None:
    store = str(tmp_path / "tags")
    discovered.add(store, found("lost"))
    with subject() as pid:
        used = at_dump.stops([pid], kernel="6.18.3", store=store)
        elsewhere = at_dump.stops([pid], kernel="6.12", store=store)
    with subject(epoll=False) as other:
        unused = at_dump.stops([other], kernel="6.18.3", store=store)
    assert [(f.verdict, f.what, f.reproducer, f.where) for f in used] == [
        ("UNSAFE", "an edge is lost", "epoll_create1(0)", f"pid {pid}: fd:anon_inode:[eventpoll]")
    ]
    assert (elsewhere, unused) == ([], [])
    discovered.add(store, found("kept"))
    with subject() as pid:
        assert at_dump.stops([pid], kernel="6.18.3", store=store) == []


def test_as_a_refusal_of_the_whole_tree(tmp_path: Path) -> None:
    store = str(tmp_path / "tags")
    discovered.add(store, found("lost"))
    with subject() as pid:
        refusals = at_dump.refusals(os.getpid(), "6.18", store)
    others = f"pid {os.getpid()}: "  # another test may have left an epoll to the garbage collector
    assert [(r.code, r.where, r.why) for r in refusals if not r.where.startswith(others)] == [
        ("tags.discovered", f"pid {pid}: fd:anon_inode:[eventpoll]", "hunt.lost fd.epoll edges; reproduce it: epoll_create1(0)")
    ]
    assert at_dump.refusals(os.getpid(), "6.18", str(tmp_path / "none")) == []


def test_another_engine_is_not_asked(tmp_path: Path) -> None:
    store = str(tmp_path / "tags")
    discovered.add(store, found("lost", "criu"))
    with select.epoll():
        assert at_dump.stops([os.getpid()], kernel="6.18", store=store) == []


def test_without_a_store_nothing_is_imported() -> None:
    code = "import sys; from holdfast.tags import at_dump; at_dump.stops([1], store='/nonexistent'); print(list(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert [m for m in done.stdout.split("'") if m.startswith("holdfast.")] == ["holdfast.tags", "holdfast.tags.at_dump"]


def test_the_place_of_the_store() -> None:
    assert at_dump.place().endswith("tags.jsonl") or at_dump.place() == os.environ["HOLDFAST_TAGS"]
