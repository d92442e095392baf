"""mm.vdso. The text is Linux 6.18's; the code is this process's own."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.kernel.procfs.maps import parse_maps
from holdfast.kinds.contract import Host
from holdfast.kinds.evidence import VmaEvidence
from holdfast.kinds.mm.vdso import KIND, KernelArea
from tests.unit.kinds import captured
from tests.unit.kinds.mm import smaps

HERE, END = smaps.BASE, smaps.BASE + smaps.SIZE
CODE = KernelArea(HERE, END, "vdso", b"0123456789abcdef")


class Machine(Host):
    """A machine with one kernel area."""

    def __init__(self, size: int, digest: bytes) -> None:
        self.own = SimpleNamespace(size=size, digest=digest)

    def kernel_area(self, name: str) -> Any:
        return self.own if name == "vdso" else None


def test_the_data_areas_are_known_by_name_alone() -> None:
    for name in ("vvar", "vvar_vclock"):
        assert captured.dumped(KIND, smaps.area("r--p", "rd mr pf io de dd", f"[{name}]")) == KernelArea(HERE, END, name)


def test_the_code_is_known_by_its_digest() -> None:
    [own] = [v for v in parse_maps(Path("/proc/self/maps").read_bytes()) if v.special == "vdso"]
    process = captured.process()
    process.pid = type(process.pid)(os.getpid())
    ev = VmaEvidence(smaps.AREA, process, own)
    first = captured.dumped(KIND, ev)
    assert (first.start, first.end, first.name, len(first.digest)) == (own.start, own.end, "vdso", 16)
    assert captured.dumped(KIND, ev) == first


@pytest.mark.parametrize("name", ["", "[heap]", "[stack]", "[vsyscall]", "[uprobes]", "[anon:vdso]"])
def test_other_areas_are_not_claimed(name: str) -> None:
    assert smaps.claimed(KIND, smaps.area("r-xp", name=name)) is None


def test_a_restore_needs_the_same_code_of_the_same_size() -> None:
    assert captured.unready(KIND, CODE, Machine(0x3000, CODE.digest)) == []
    assert captured.unready(KIND, CODE, Machine(0x2000, CODE.digest)) == ["mm.vdso.differs"]
    assert captured.unready(KIND, CODE, Machine(0x3000, bytes(16))) == ["mm.vdso.differs"]
    assert captured.unready(KIND, smaps.changed(CODE, name="vvar_vclock"), Machine(0x3000, CODE.digest)) == ["mm.vdso.differs"]


def test_the_engine_moves_it_so_nothing_is_emitted() -> None:
    assert smaps.parts(KIND, CODE) == []


@pytest.mark.parametrize(("field", "value"), [("start", HERE - 4096), ("end", END + 4096), ("name", "vvar"), ("digest", bytes(16))])
def test_compare_sees_every_field(field: str, value: Any) -> None:
    assert captured.differences(KIND, CODE, smaps.changed(CODE, **{field: value})) == [field]
    assert captured.differences(KIND, CODE, CODE) == []
