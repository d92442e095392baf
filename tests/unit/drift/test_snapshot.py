"""drift/snapshot.py: watched structs, what they embed, enums, and the cache, on a blob made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.drift import snapshot
from holdfast.drift.ledger import Ledger
from holdfast.kernel.btf import decode
from holdfast.kernel.specimen import Specimen
from tests.unit.kernel.btf.test_decode import every_kind

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def ledger(*structs: str) -> Ledger:
    raw: dict[str, Any] = {
        "enums": [{"enum": n, "origin": "x", "constant": []} for n in ("colour", "=HUGE")],
        "flags": [],
        "facts": [],
        "rules": [],
        "swept": {},
    }
    return Ledger({**raw, "structs": [{"struct": s, "origin": "x"} for s in structs]}, "")


def test_watched_structs_with_what_they_embed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    writer = every_kind()[0]
    writer.add(decode.ENUM, "", 4, writer.name("HUGE"), 9, writer.name("MORE"), 10, vlen=2)
    kernel = Specimen("k", "6.12.3-x", "", writer.blob())
    found = snapshot.take(kernel, ledger("outer", "absent"))
    assert (found.version, sorted(found.structs), sorted(found.embedded)) == ((6, 12), ["outer"], ["named"])
    assert found.fields == 8
    assert found.enums == {"colour": {"RED": -1, "BLUE": 7}, "=HUGE": {"HUGE": 9, "MORE": 10}}
    assert snapshot.take(kernel, ledger("outer", "absent")) == found
    assert len(list((tmp_path / "snapshots").iterdir())) == 1
    assert sorted(snapshot.take(kernel, ledger("outer", "named")).embedded) == []
    assert len(list((tmp_path / "snapshots").iterdir())) == 2
