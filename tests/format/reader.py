"""A second reader of images, written from docs/format.md alone: plain cbor2 and blake3, nothing of holdfast.

`python tests/format/reader.py IMAGE` checks the seal and every digest and lists what is there.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import Any

import cbor2
from blake3 import blake3

MAGIC = bytes.fromhex("93484f4c440d0a1a")


class Refused(Exception):
    """What is wrong with the image."""


def check(fact: object, why: str) -> None:
    """Refuse unless a fact holds."""
    if not fact:
        raise Refused(why)


def frames(data: bytes) -> list[tuple[str, int, int, Any, bytes]]:
    """Section 2: kind, version, flags, payload and digest of every frame."""
    found, at = [], 0
    while at < len(data):
        check(data[at : at + 8] == MAGIC and len(data) - at >= 32, f"no frame at {at}")
        header, flags, name_size, version, zero, size = struct.unpack_from("<IHHIIQ", data, at + 8)
        check(32 + name_size <= header <= 4096 and 1 <= name_size <= 64 and zero == 0 and version >= 1, f"bad header at {at}")
        check(flags & 0x00FE == 0, f"unknown flags at {at}")
        end = at + header + size
        check(end + 32 <= len(data), f"truncated at {at}")
        check(blake3(data[at:end]).digest() == data[end : end + 32], f"bad digest at {at}")
        found.append(
            (data[at + 32 : at + 32 + name_size].decode("ascii"), version, flags, value_of(data[at + header : end]), data[end : end + 32])
        )
        at = end + 32
    return found


def value_of(payload: bytes) -> Any:
    """Section 3: the value, whose deterministic encoding the payload must be."""
    value = cbor2.loads(payload)
    check(cbor2.dumps(value, canonical=True) == payload, "not deterministic")
    return value


def read(path: str) -> dict[str, Any]:
    """Everything but page contents: kinds to records as plain maps, runs, files, the identity."""
    with open(os.path.join(path, "state"), "rb") as file:
        found = frames(file.read())
    check(found and found[-1][0] == "image.seal", "no seal")
    identity = blake3(b"".join(frame[4] for frame in found[:-1])).digest()
    check(found[-1][3] == {"algorithm": "blake3", "digest": identity, "frames": len(found) - 1}, "bad seal")
    own = {kind: value for kind, _, _, value, _ in found if kind.startswith("image.")}
    schema = {kind: value_of(raw) for kind, raw in own["image.schema"].items()}
    kinds: dict[str, dict[str, Any]] = {}
    for kind, version, _, value, _ in found:
        if kind.startswith("image.") and kind != "image.inventory":
            continue
        check(schema[kind]["version"] == version, f"{kind} has two versions")
        kinds.setdefault(kind, {}).update(records(value, schema[kind]))
    table = own.get("image.pages", {"chunk": 4194304, "files": []})
    files = {n: (size, digests) for n, size, digests in table["files"]}
    for n, (size, digests) in files.items():
        check_pages(os.path.join(path, f"pages-{n}"), size, digests, table["chunk"])
    page_size = kinds["image.inventory"]["image"]["page_size"]
    runs = index(own["image.index"], page_size, files) if "image.index" in own else []
    return {"identity": identity, "kinds": kinds, "files": {n: size for n, (size, _) in files.items()}, "runs": runs, "schema": schema}


def records(value: Any, schema: Any) -> dict[str, dict[str, Any]]:
    """Section 5: object id to fields, with the schema's defaults, also in records inside records."""
    fields = schema["records"][schema["record"]]
    names = {field[0] for field in fields}
    check(set(value) == {"columns", "ids"} and set(value["columns"]) <= names, "a payload with strange parts")
    out = {}
    for i, name in enumerate(value["ids"]):
        given = {field: column[i] for field, column in value["columns"].items()}
        out[name] = filled(given, fields, schema["records"])
    check(len(out) == len(value["ids"]), "an id twice")
    return out


def filled(given: dict[str, Any], fields: list[Any], known: dict[str, Any]) -> dict[str, Any]:
    """A record's fields in declared order; section 6 for what a field's row holds."""
    out = {}
    for name, kind, _unit, _since, _ignorable, *default in fields:
        check(name in given or default, f"{name} is missing")
        out[name] = deep(given[name] if name in given else default[0], kind, known)
    return out


def deep(value: Any, kind: str, known: dict[str, Any]) -> Any:
    """A value in which the records inside have their defaults; only maps are records."""
    if isinstance(value, dict):
        name = next(name for name in known if name in kind.replace("[", " ").replace("]", " ").replace(",", " ").split())
        return filled(value, known[name], known)
    return [deep(part, kind, known) for part in value] if isinstance(value, list) else value


def check_pages(path: str, size: int, digests: bytes, chunk: int) -> None:
    """Section 7: the size and every digest of a file of pages."""
    with open(path, "rb") as file:
        check(os.fstat(file.fileno()).st_size == size, f"{path} has another size")
        at = 0
        while part := file.read(chunk):
            check(blake3(part).digest() == digests[at : at + 32], f"{path} is damaged in chunk {at // 32}")
            at += 32
        check(at == len(digests), f"{path} has digests left over")


def index(value: Any, page_size: int, files: dict[int, tuple[int, bytes]]) -> list[dict[str, Any]]:
    """Section 8: the runs."""
    columns = {name: struct.unpack(f"<{value['count']}Q", raw) for name, raw in value["columns"].items()}
    runs: list[dict[str, Any]] = []
    last = (0, -1)
    for i in range(value["count"]):
        run: dict[str, Any] = {name: column[i] for name, column in columns.items()}
        check(run["pages"] >= 1 and run["start"] % page_size == 0, "a run of no pages")
        check((run["owner"], run["start"]) > last, "runs out of order")
        last = (run["owner"], run["start"] + run["pages"] * page_size - 1)
        run["owner"], run["encoding"] = value["owners"][run["owner"]], value["encodings"][run["encoding"]]
        if run["encoding"] == "raw":
            check(run["length"] == run["pages"] * page_size and run["offset"] % page_size == 0, "a raw run of another length")
        if run["encoding"] in {"raw", "zstd"}:
            check(run["offset"] + run["length"] <= files[run["file"]][0], "a run outside its file")
        else:
            check(run["encoding"] in {"zero", "in-parent"}, f"encoding {run['encoding']}")
            check((run["file"], run["offset"], run["length"]) == (0, 0, 0), "a run with a place it does not need")
        runs.append(run)
    return runs


def listing(path: str) -> str:
    """What is in an image, as lines."""
    image = read(path)
    lines = [f"identity {image['identity'].hex()}"]
    for kind, entries in image["kinds"].items():
        lines.append(f"{kind} version {image['schema'][kind]['version']}: {len(entries)}")
        for name, fields in entries.items():
            lines.append(f"  {name} " + " ".join(f"{field}={value!r}" for field, value in fields.items()))
    lines += [f"pages-{n}: {size} bytes" for n, size in image["files"].items()]
    lines += [f"  {run['owner']} {run['start']:#x} {run['pages']} pages {run['encoding']}" for run in image["runs"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(listing(sys.argv[1]) + "\n")
