"""The ledger of this checkout is whole: reasons, sources, no field undecided but by name, no name that no kernel has."""

from __future__ import annotations

import os

import pytest

from holdfast.drift import carriers, check, edit, history, ledger

PLACE = os.path.join(os.path.dirname(__file__), "..", "..", "ledger")


@pytest.fixture(scope="module")
def found() -> ledger.Ledger:
    return ledger.Ledger(ledger.read(PLACE), PLACE)


@pytest.mark.parametrize("sort", ["schema", "stale", "undecided", "unswept"])
def test_it_has_no_problem(found: ledger.Ledger, sort: str) -> None:
    seen = history.load(found)
    assert len(seen.fields) > 3000
    assert [str(p) for p in check.problems(found, seen, carriers.Known({}, {}, {})) if p.sort == sort] == []


def test_every_watch_of_every_kind_and_every_carried_row_is_resolved(found: ledger.Ledger) -> None:
    known = carriers.known()
    assert len(known.records) > 40
    assert [str(p) for p in check.against_kinds(found, known)] == []


def test_what_the_rules_swept_is_what_they_fit(found: ledger.Ledger) -> None:
    with open(os.path.join(PLACE, "swept.toml"), encoding="utf-8") as file:
        assert file.read() == edit.swept_text(edit.sweep(found, history.load(found)))


def test_the_critical_structs_are_watched(found: ledger.Ledger) -> None:
    areas = {topic.area for topic in found.structs.values()}
    assert {
        "process",
        "memory",
        "files",
        "sockets",
        "timers",
        "ns",
        "creds",
        "keys",
        "cgroup",
        "lsm",
        "ipc",
        "tty",
        "io_uring",
        "bpf",
        "perf",
    } <= areas
    assert {
        "task_struct",
        "mm_struct",
        "eventfd_ctx",
        "ktermios",
        "landlock_domain",
        "fsnotify_mark",
        "aa_task_ctx",
    } <= found.structs.keys()


def test_sources_are_files_of_the_kernel_man_pages_or_commits(found: ledger.Ledger) -> None:
    odd = [
        f"{topic.name}: {row.source}"
        for topic in found.structs.values()
        for row in (*topic.rows, *topic.rest)
        for source in row.source.split(", ")
        if source
        and not (
            "/" in source or source.endswith(")") or source.split(" ")[0].endswith(")") or source.startswith("RFC ") or " " not in source
        )
    ]
    assert odd == []
