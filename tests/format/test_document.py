"""docs/format.md is true: its checked tables equal the program."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.image import frame, inventory, pages, read, schema, write
from holdfast.image.schema import text_of
from tests.format.synthetic import make

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "format.md").read_text(encoding="utf-8")


def table(heading: str, header: str) -> list[list[str]]:
    """The rows of the table with this header in the section with this heading."""
    section = re.split(r"^#+ ", TEXT.split(heading, 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    lines = section.split(header + "\n", 1)[1].splitlines()[1:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def test_the_header_is_laid_out_as_the_document_says() -> None:
    rows = table("## 2. Frame", "| offset | size | type | field |")
    widths = {"bytes": "s", "u16": "H", "u32": "I", "u64": "Q"}
    fixed = [row for row in rows if row[0].isdigit() and int(row[0]) < frame.FIXED.size]
    layout = "<" + "".join(row[1] + "s" if row[2] == "bytes" else widths[row[2]] for row in fixed)
    assert layout == frame.FIXED.format
    at = 0
    for offset, size, _, _ in fixed:
        assert int(offset) == at
        at += int(size)
    assert at == frame.FIXED.size == 32
    magic = bytes.fromhex(fixed[0][3].removeprefix("magic: ").replace(" ", ""))
    assert magic == frame.MAGIC


def test_the_limits_are_the_programs() -> None:
    assert "at most 2^30 bytes" in TEXT
    assert frame.MAX_STATE == 2**30
    assert "at least 32 + K and at most 4096" in TEXT
    assert frame.MAX_HEADER == 4096
    assert "4096 to 2^26; writers use 4194304" in TEXT
    assert (pages.MAX_CHUNK, pages.CHUNK) == (2**26, 4194304)
    assert "0 to 65535" in TEXT
    assert pages.MAX_FILES == 65536
    assert "page size and at most 2^26 bytes" in TEXT
    assert pages.MAX_COMPRESSED == 2**26
    assert "at most 4096; each is an array" in TEXT
    assert schema.MAX_FIELDS == 4096
    assert "at most 512 letters" in TEXT
    assert schema.MAX_TYPE == 512


def test_frames_stand_in_the_documents_order(tmp_path: Path) -> None:
    rows = table("## 4. The frames", "| kind | how many | payload |")
    wanted = [row[0].strip("`") for row in rows[1:]]
    make(tmp_path / "image")
    with read.open(tmp_path / "image") as image:
        assert [f.kind for f in image.frames if f.kind.startswith("image.")] == wanted
        assert [(f.version, f.must_understand) for f in image.frames if f.kind in wanted] == [(1, True)] * 5


def test_every_type_is_documented() -> None:
    rows = table("### Types", "| text | stored as | allowed |")
    named = {row[0].strip("`") for row in rows}
    assert set(schema.SCALARS) - named == set()
    for name, scalar in schema.SCALARS.items():
        (row,) = [row for row in rows if row[0] == f"`{name}`"]
        if scalar.high is not None:
            assert row[2].split(":")[0] == f"0 to 2^{scalar.high.bit_length()} - 1"


def test_the_index_has_the_documents_columns_and_encodings() -> None:
    rows = table("## 8. Index", "| key | type | meaning |")
    assert [row[0].strip("`").removeprefix("columns.") for row in rows if row[0].startswith("`columns.")] == list(pages._COLUMNS)
    assert [row[0].strip("`") for row in table("## 8. Index", "| encoding | the pages are |")] == list(pages.ENCODINGS)


def test_the_inventory_is_the_documents() -> None:
    rows = table("## 9. Inventory", "| field | type | may be ignored | meaning |")
    plan = schema.plan(inventory.Inventory)
    infos = inventory.Inventory._infos
    ours = [[f"`{n}`", f"`{text_of(t)}`", "yes" if infos[n].may_ignore else "no"] for n, t in zip(plan.names, plan.types, strict=True)]
    assert [row[:3] for row in rows] == ours
    features = re.search(r"what a reader must be able to do: ((?:`\w+`(?:, )?)+)", TEXT)
    assert features is not None
    assert set(re.findall(r"`(\w+)`", features.group(1))) == inventory.FEATURES


def test_the_names_of_kinds_are_the_programs() -> None:
    assert {pages.INDEX_KIND, pages.DIGESTS_KIND, inventory.KIND, write.SCHEMA_KIND, write.SEAL_KIND} == read._OURS
    for kind in read._OURS:
        assert f"`{kind}`" in TEXT
