"""The ledger of this checkout is whole: reasons, sources, no field undecided but by name, no name that no kernel has."""

from __future__ import annotations

import os
import re

import pytest

from holdfast.drift import carriers, check, edit, history, ledger, predicates

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


def test_every_refused_field_has_a_predicate_or_a_reason_why_not(found: ledger.Ledger) -> None:
    rows = [(topic.name, row) for topic in found.structs.values() for row in (*topic.rows, *topic.rest) if row.decision == "refused"]
    assert len(rows) > 200
    assert [f"{name}: {row.names or 'rest'}" for name, row in rows if bool(row.reads) == bool(row.unread)] == []
    assert [name for name, row in rows if row.unread and not row.unread.startswith(("shown: ", "with ", "needs "))] == []


def test_the_reader_s_tables_are_the_ledger_s(found: ledger.Ledger) -> None:
    state = os.path.join(os.path.dirname(predicates.__file__), "..", "kernel", "state")
    for name, text in (("predicates", predicates.predicates_text(found)), ("watched", predicates.watched_text(found))):
        with open(os.path.join(state, f"{name}.py"), encoding="utf-8") as file:
            assert file.read() == text, "run python -m holdfast.drift.predicates"


def test_what_goes_with_another_row_goes_with_one_that_is_read(found: ledger.Ledger) -> None:
    read = {f"{name}.{field}" for topic in found.structs.values() for row in (*topic.rows, *topic.rest) if row.reads
            for name in [topic.name] for field in row.names or [""]}  # fmt: skip
    dangling = [
        f"{topic.name}: {word}"
        for topic in found.structs.values()
        for row in (*topic.rows, *topic.rest)
        if row.unread.startswith("with")
        for word in re.findall(r"with (\w+(?:\.\w+)*)", row.unread)
        if not any(one == word or one.startswith(f"{word}.") for one in read)
    ]
    assert dangling == []


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
