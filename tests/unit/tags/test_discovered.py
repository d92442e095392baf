"""Discovered tags are appended, superseded, merged when judging, and never edited."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import UsageError
from holdfast.model.finding import Finding
from holdfast.tags import discovered, evaluate, table

if TYPE_CHECKING:
    from pathlib import Path


def finding(verdict: str = "lost", **facts: str) -> Finding:
    names = facts or {"runtime": "fd:anon_inode:[eventfd]", "kconfig": "EVENTFD"}
    return Finding(
        "hunt.lost",
        "fd.eventfd semaphore",
        verdict,
        "high",
        "a read gives 7, not 1",
        reproducer="fd = eventfd2(7, EFD_SEMAPHORE)",
        engine="criu",
        kernel="6.18",
        facts=tuple(sorted(names.items())),
    )


def add(path: Path, *findings: Finding) -> list[discovered.Entry]:
    return discovered.add(str(path), [e for f in findings for e in discovered.from_finding(f)])


def test_a_finding_becomes_rows(tmp_path: Path) -> None:
    add(tmp_path / "t", finding())
    rows = discovered.tags(discovered.read(str(tmp_path / "t")))
    assert [(r.kind, r.scope, r.evidence, r.reproducer) for r in rows] == [
        ("kconfig", ("EVENTFD",), "discovered", "fd = eventfd2(7, EFD_SEMAPHORE)"),
        ("runtime", ("fd:anon_inode:[eventfd]",), "discovered", "fd = eventfd2(7, EFD_SEMAPHORE)"),
    ]
    assert [(o.verdict, o.effect, o.kernel) for o in rows[0].of("criu")] == [("unsafe", "lost", "6.18")]
    assert rows[0].of("native") == ()


def test_merged_when_judging_on_the_kernel_it_was_seen_on(tmp_path: Path) -> None:
    add(tmp_path / "t", finding())
    rows = table.load(discovered.tags(discovered.read(str(tmp_path / "t"))))
    keys = ["fd:anon_inode:[eventfd]"]
    assert evaluate.process(keys, rows, "criu", "6.18.3").verdict == "UNSAFE"
    assert evaluate.process(keys, rows, "criu", "6.12.1").verdict == "PARTIAL"
    assert evaluate.process(keys, rows, "native", "6.18.3").verdict == "OK"


def test_a_discovered_boot_parameter_or_sysctl_speaks_for_its_engine_only(tmp_path: Path) -> None:
    add(tmp_path / "t", finding(cmdline="quiet", sysctl="kernel.kptr_restrict", when="=2"))
    rows = table.load(discovered.tags(discovered.read(str(tmp_path / "t"))))
    assert evaluate.cmdline({"quiet": ("2",)}, rows, "criu", "6.18").verdict == "UNSAFE"
    assert evaluate.cmdline({"quiet": ("2",)}, rows, "native", "6.18").verdict == "OK"
    known = dict.fromkeys(rows.names["sysctl"], "x") | {"kernel.kptr_restrict": "2"}
    worst = {
        e: [f.subject[:10] for f in evaluate.sysctl(known, {}, rows, e, "6.18").findings if f.verdict == "UNSAFE"]
        for e in ("criu", "native")
    }
    assert worst == {"criu": ["discovered"], "native": []}


def test_superseded_and_the_old_line_stays(tmp_path: Path) -> None:
    store = tmp_path / "t"
    first = add(store, finding(runtime="fd:anon_inode:[eventfd]"))
    old = store.read_bytes()
    second = add(store, finding("kept", runtime="fd:anon_inode:[eventfd]"))
    assert store.read_bytes().startswith(old)
    assert second[0].supersedes == first[0].digest
    assert [r.of("criu")[0].verdict for r in discovered.tags(discovered.read(str(store)))] == ["safe"]


def test_the_same_again_adds_nothing(tmp_path: Path) -> None:
    add(tmp_path / "t", finding())
    assert add(tmp_path / "t", finding()) == []


@pytest.mark.parametrize("how", ["edit", "drop", "swap", "junk", "cut"])
def test_an_edited_store_is_not_trusted(tmp_path: Path, how: str) -> None:
    store = tmp_path / "t"
    add(store, finding(runtime="fd:a"), finding(runtime="fd:b"), finding(runtime="fd:c"))
    lines = store.read_text().splitlines(keepends=True)
    changed = {
        "edit": [lines[0].replace('"unsafe"', '"untested"').replace('"lost"', '"unknown"'), *lines[1:]],
        "drop": lines[1:],
        "swap": [lines[1], lines[0], lines[2]],
        "junk": [*lines, "{}\n"],
        "cut": [*lines[:2], lines[2][:40]],
    }[how]
    store.write_text("".join(changed))
    with pytest.raises(UsageError) as caught:
        discovered.read(str(store))
    assert caught.value.code == "usage.tags.damaged"


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert discovered.read(str(tmp_path / "none")) == []


@pytest.mark.parametrize(
    "bad",
    [
        finding().replace(verdict="splendid"),
        finding().replace(reproducer=""),
        finding().replace(engine=""),
        finding().replace(kernel="six"),
        finding().replace(facts=()),
        finding().replace(facts=(("space", "net"),)),
    ],
    ids=["verdict", "reproducer", "engine", "kernel", "names", "space"],
)
def test_a_finding_without_evidence_or_name_is_refused(bad: Finding) -> None:
    with pytest.raises(UsageError) as caught:
        discovered.from_finding(bad)
    assert caught.value.code == "usage.tags.finding"


def test_findings_travel_as_json() -> None:
    assert discovered.load_finding(json.dumps(finding().plain()).encode()) == finding()


@pytest.mark.parametrize("data", [b"", b"[]", b'{"code": 3}', b"\xff", b'{"facts": []}', b"{}"])
def test_what_is_no_finding(data: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        discovered.load_finding(data)
    assert caught.value.code == "usage.tags.finding"
