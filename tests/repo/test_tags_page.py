"""docs/tags.md is what the rows say."""

from __future__ import annotations

from holdfast.tags import page
from tests.repo import tree


def test_the_page_is_fresh() -> None:
    assert (tree.TOP / "docs" / "tags.md").read_text() == page.render(), "holdfast tags export --format markdown >docs/tags.md"
