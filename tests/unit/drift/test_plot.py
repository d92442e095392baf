"""drift/plot.py: a well-formed picture whose bars are the counts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from holdfast.drift import plot
from tests.unit.drift.test_series import walked

if TYPE_CHECKING:
    from holdfast.drift import series

__all__ = ["walked"]
SVG = "{http://www.w3.org/2000/svg}"


def test_every_count_is_a_bar(walked: series.Series) -> None:
    root = ET.fromstring(plot.svg(walked))
    assert [t.text for t in root.findall(f"{SVG}rect/{SVG}title")] == [
        "k6.12: 1 added",
        "k6.12: 1 retyped",
        "k7.0: 1 added",
        "k7.0: 2 removed",
    ]
    heights = [float(r.attrib["height"]) for r in root.findall(f"{SVG}rect") if r.find(f"{SVG}title") is not None]
    assert [round(h / heights[0]) for h in heights] == [1, 1, 1, 2]
