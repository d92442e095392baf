"""The generated page lists every row."""

from __future__ import annotations

from holdfast.tags import page, table


def test_every_row_is_on_the_page() -> None:
    text = page.render()
    headings = {line[4:] for line in text.splitlines() if line.startswith("### ")}
    assert headings == {row.name for rows in table.known().values() for row in rows}


def test_a_row_shows_all_its_parts() -> None:
    row = next(r for r in table.load().rows if r.name == "kconfig.io_uring")
    lines = page.lines_of(row)
    assert [line.split(":")[0] for line in lines if line.startswith("- ")] == [
        "- names",
        "- native",
        "- criu",
        "- source",
        "- proof",
        "- do",
    ]
    assert "- native: **unsafe** (refused): anon\\_inode:[io\\_uring] is refused" in "\n".join(lines)
