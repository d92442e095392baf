"""Every type of three kernels, decoded by us and by bpftool, is the same; an independent script, nothing is shared."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.kernel import debian, elf, specimen
from holdfast.kernel.btf import decode
from holdfast.kernel.btf.decode import Btf

if TYPE_CHECKING:
    from pathlib import Path


KERNELS = ("live", "debian:6.1/cloud", "debian:newest/cloud")
ENCODINGS = {"(none)": 0, "SIGNED": 1, "CHAR": 2, "BOOL": 4}


def fetch(name: str) -> specimen.Specimen:
    try:
        return specimen.load(name)
    except HoldfastError as error:
        pytest.skip(f"{error.what}; reach a Debian mirror, then make test ARGS='{__file__}'")


def dumped(blob: bytes, folder: Path, *options: str) -> list[dict[str, Any]]:
    path = folder / "btf"
    path.write_bytes(blob)
    search = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    tool = shutil.which("bpftool", path=search)
    assert tool is not None
    done = subprocess.run([tool, "-j", *options, "btf", "dump", "file", str(path)], capture_output=True, check=True)
    types: list[dict[str, Any]] = json.loads(done.stdout)["types"]
    return types


def ours(btf: Btf, type_id: int, row: dict[str, Any]) -> dict[str, Any]:
    """What we decoded, in the words of bpftool, for the keys that bpftool shows of this kind."""
    kind = btf.kind(type_id)
    out: dict[str, Any] = {"id": type_id, "kind": decode.KIND_NAMES[kind], "name": btf.name(type_id) or "(anon)"}
    if "type_id" in row:
        out["type_id"] = btf.array(type_id)[0] if kind == decode.ARRAY else btf.refers(type_id)
    if kind in (decode.STRUCT, decode.UNION):
        out["size"], out["vlen"] = btf.size(type_id), len(btf.members(type_id))
        out["members"] = [
            {"name": m.name or "(anon)", "type_id": m.type, "bits_offset": m.bit_offset}
            | ({"bitfield_size": m.bitfield_bits} if m.bitfield_bits else {})
            for m in btf.members(type_id)
        ]
    elif kind in (decode.ENUM, decode.ENUM64):
        out["size"], out["vlen"] = btf.size(type_id), len(btf.enumerators(type_id))
        out["encoding"] = "SIGNED" if btf.flag(type_id) else "UNSIGNED"
        out["values"] = [{"name": n, "val": v} for n, v in btf.enumerators(type_id).items()]
    elif kind == decode.ARRAY:
        out["index_type_id"], out["nr_elems"] = btf.array(type_id)[1:]
    elif kind == decode.INT:
        out["size"] = btf.size(type_id)
        out["encoding"], out["bits_offset"], out["nr_bits"] = btf.int_encoding(type_id)
    elif kind == decode.FLOAT:
        out["size"] = btf.size(type_id)
    elif kind == decode.FWD:
        out["fwd_kind"] = "union" if btf.flag(type_id) else "struct"
    elif kind == decode.FUNC_PROTO:
        out["ret_type_id"] = btf.refers(type_id)
        out["params"] = [{"name": n or "(anon)", "type_id": t} for n, t in btf.parameters(type_id)]
        out["vlen"] = len(out["params"])
    elif kind == decode.DATASEC:
        out["size"] = btf.size(type_id)
        out["vars"] = [{"type_id": t, "offset": o, "size": s} for t, o, s in btf.variables(type_id)]
        out["vlen"] = len(out["vars"])
    elif kind == decode.DECL_TAG:
        out["component_idx"] = btf.tag_component(type_id)
    return out


def theirs(row: dict[str, Any]) -> dict[str, Any]:
    """What bpftool says, with numbers in place of words, and without the linkage names that it adds."""
    out = {key: value for key, value in row.items() if key != "linkage"}
    if row["kind"] == "INT":
        out["encoding"] = ENCODINGS[row["encoding"]]
    if row["kind"] == "ENUM" and row["encoding"] == "UNSIGNED":  # bpftool 7.1 extends the sign of unsigned values
        out["values"] = [{"name": v["name"], "val": v["val"] & 0xFFFFFFFF} for v in row["values"]]
    for variable in row.get("vars", ()):
        variable.pop("name", None)
    return out


@pytest.mark.tool("bpftool", "bpftool")
@pytest.mark.parametrize("name", KERNELS)
def test_every_type_equals_bpftools(name: str, tmp_path: Path) -> None:
    kernel = fetch(name)
    btf, rows = kernel.btf(), dumped(kernel.blob, tmp_path)
    assert len(rows) > 50_000
    assert btf.count == len(rows) + 1
    pairs = ((ours(btf, row["id"], row), theirs(row)) for row in rows)
    differing = [(us, them) for us, them in pairs if us != them]
    assert differing[:3] == []


@pytest.mark.tool("pahole", "dwarves")
def test_sizes_and_member_counts_equal_paholes(tmp_path: Path) -> None:
    kernel = fetch("debian:6.1/cloud")
    path = tmp_path / "btf"
    path.write_bytes(kernel.blob)
    done = subprocess.run(["pahole", "-F", "btf", "--sizes", str(path)], capture_output=True, check=True, text=True)
    sizes = {name: int(size) for name, size, _ in (line.split("\t") for line in done.stdout.splitlines())}
    assert len(sizes) > 5_000
    btf = kernel.btf()
    wrong = {
        n: (s, btf.size(btf.find(n)))
        for n, s in sizes.items()
        if len(btf.ids(n, decode.STRUCT, decode.UNION)) == 1 and btf.size(btf.find(n)) != s
    }
    assert wrong == {}


@pytest.mark.tool("bpftool", "bpftool")
def test_every_type_of_a_real_module_equals_bpftools(tmp_path: Path) -> None:
    kernel = fetch("debian:6.1/cloud")
    try:
        package = debian.choose(debian.available(), "6.1/cloud")
        ((_, module),) = debian.files([package.package], lambda name: name.endswith("/tun.ko"), package.version).items()
    except HoldfastError as error:
        pytest.skip(f"{error.what}; reach a Debian mirror, then make test ARGS='{__file__}'")
    base, blob = kernel.btf(), elf.section(module, ".BTF")
    split = Btf(blob, base, "tun.ko")
    (tmp_path / "base").write_bytes(kernel.blob)
    rows = dumped(blob, tmp_path, "-B", str(tmp_path / "base"))
    assert [row["id"] for row in rows] == list(range(base.count, split.count))
    pairs = ((ours(split, row["id"], row), theirs(row)) for row in rows)
    assert [(us, them) for us, them in pairs if us != them] == []
    assert split.find("tun_struct") >= base.count
    assert split.find("task_struct") == base.find("task_struct")
