"""cli/kernels.py: what an index in the cache holds, without asking any mirror."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from holdfast.cli import kernels
from holdfast.kernel import debian, specimen
from tests.unit.kernel.test_debian import SHOWN

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[debian.DebianKernel]:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    found = debian.parse(SHOWN)
    rows = [dict(k.items()) for k in found]
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian" / "kernels.json").write_text(json.dumps({"form": 2, "read": time.time(), "kernels": rows}))
    os.makedirs(specimen.place_of(found[1]))
    with open(os.path.join(specimen.place_of(found[1]), "btf"), "wb") as file:
        file.write(b"x")
    return found


def test_it_lists_what_can_be_had_and_what_is_cached(known: list[debian.DebianKernel]) -> None:
    document = json.loads(CliRunner().invoke(kernels.command, ["--json"]).stdout)
    assert [k["name"] for k in document["kernels"]] == [k.name for k in known]
    assert [k["name"] for k in document["kernels"] if k["cached"]] == ["debian:6.1.0-56/cloud"]
    lines = CliRunner().invoke(kernels.command, ["--series", "--flavour", "cloud"]).stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["debian:6.1.0-56/cloud", "6.1.192-2", "cached"],
        ["debian:6.12.117+deb13/cloud", "6.12.117-1"],
        ["debian:7.3.4+deb13/cloud", "7.3.4-1~bpo13+1"],
    ]
