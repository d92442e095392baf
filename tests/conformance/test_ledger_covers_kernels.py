"""Every leaf field that bpftool shows of every watched struct is decided or listed, and every added one is reported by drift.

The flattening here is a second one, written for this test from bpftool's JSON: it shares nothing with kernel/btf.
"""

from __future__ import annotations

import functools
import glob
import json
import os
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from holdfast.cli import drift as drift_command
from tests.conformance.test_btf_equals_bpftool import dumped, fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEPS = (("debian:6.1/cloud", "debian:6.12/cloud"), ("debian:6.12/cloud", "debian:newest/cloud"))
WRAPPERS = {"TYPEDEF", "CONST", "VOLATILE", "RESTRICT", "TYPE_TAG"}
LEDGER = os.path.join(os.path.dirname(__file__), "..", "..", "ledger")


def watched() -> list[str]:
    names = []
    for path in glob.glob(os.path.join(LEDGER, "structs", "*.toml")):
        with open(path, "rb") as file:
            names.append(tomllib.load(file)["struct"])
    return sorted(names)


def below(types: list[dict[str, Any]], type_id: int) -> dict[str, Any]:
    while type_id and types[type_id - 1]["kind"] in WRAPPERS:
        type_id = types[type_id - 1]["type_id"]
    return types[type_id - 1] if type_id else {"kind": "VOID", "name": "void"}


def flat(types: list[dict[str, Any]], row: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for member in row["members"]:
        name = "" if member["name"] == "(anon)" else member["name"]
        inner = below(types, member["type_id"])
        if inner["kind"] in ("STRUCT", "UNION") and (not name or inner["name"] == "(anon)"):
            yield from flat(types, inner, f"{prefix}{name}." if name else prefix)
        else:
            yield prefix + name


def decided_up_to(name: str) -> bool:
    """Whether this kernel's series is in the history; a newer one may hold what nobody has decided yet, and drift says so."""
    with open(os.path.join(LEDGER, "history.tsv"), encoding="utf-8") as file:
        kernels = file.readline().split()
    return ".".join(fetch(name).release.split(".")[:2]) in kernels


@functools.cache
def fields(name: str, folder: Path) -> frozenset[str]:
    types = dumped(fetch(name).blob, folder)
    largest: dict[str, dict[str, Any]] = {}
    for row in types:
        if row["kind"] in ("STRUCT", "UNION") and row["size"] >= largest.get(row["name"], {"size": -1})["size"]:
            largest[row["name"]] = row
    return frozenset(f"{struct}.{path}" for struct in watched() if struct in largest for path in flat(types, largest[struct]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("btf")


@pytest.mark.tool("bpftool", "bpftool")
@pytest.mark.parametrize(("old", "new"), STEPS)
def test_no_added_field_is_missing(old: str, new: str, folder: Path) -> None:
    before, after = fields(old, folder), fields(new, folder)
    assert min(len(before), len(after)) > 3000
    done = CliRunner().invoke(drift_command.command, [old, new, "--json", "--fail-on", "none"])
    assert done.exit_code == 0, done.output
    found = {f["subject"]: f for f in json.loads(done.stdout)["findings"] if f["code"].startswith("drift.struct.")}
    added, removed = after - before, before - after
    assert sorted(name for name in added if found.get(name, {}).get("code") != "drift.struct.added") == []
    assert sorted(name for name in removed if found.get(name, {}).get("code") != "drift.struct.removed") == []
    assert sorted(name for name, f in found.items() if f["code"].endswith(".added") and name not in added) == []
    undecided = sorted(name for name in added if found[name]["facts"]["decision"] == "undecided")
    assert [name for name in undecided if found[name]["verdict"] != "silent"] == []
    if decided_up_to(new):
        assert undecided == []


@pytest.mark.tool("bpftool", "bpftool")
@pytest.mark.parametrize("name", ["debian:6.1/cloud", "debian:6.12/cloud", "debian:newest/cloud"])
def test_every_field_has_a_decision(name: str, folder: Path) -> None:
    from holdfast.drift import ledger  # the judge of this one test
    from holdfast.kernel.btf.layout import layout  # for the type, which rules ask for

    kernel, book = fetch(name), ledger.load()
    btf = kernel.btf()
    types = {f"{s}.{leaf.path}": leaf.type for s in watched() if (found := layout(btf, s)) for leaf in found.leaves}
    seen = fields(name, folder)
    assert sorted(types.keys() ^ seen) == []
    split = ((full, *full.split(".", 1)) for full in seen)
    undecided = sorted(full for full, s, path in split if book.decide(s, path, types[full], kernel.version).decision == "undecided")
    if decided_up_to(name):
        assert undecided == []
