"""Every image that a release wrote can be read for ever, by both readers, with the same contents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.image import read
from holdfast.kinds.registry import kinds
from tests.format import locks, make_golden, reader
from tests.format.synthetic import AREAS, COUNTERS, FACTS, NOTES, PAGES, REGISTRY, make

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = sorted(path.parent for path in locks.GOLDEN.glob("*/*/state"))


def image_id(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def test_there_are_golden_images() -> None:
    assert [path for path in IMAGES if image_id(path) == "0.1.0/synthetic"] != []


@pytest.mark.parametrize("path", IMAGES, ids=image_id)
def test_a_golden_image_is_read_without_a_warning(path: Path) -> None:
    registry = REGISTRY | {kind.name: (kind.record, kind.version, kind.upgrades) for kind in kinds().values()}
    with read.open(path, registry, trust=True) as image:  # a checkout's owner and modes are the checkout's
        assert image.warnings == []
        assert {kind: len(image.records(kind)) for kind in image.kinds()} == {kind: len(image.raw(kind)) for kind in image.kinds()}
        for n, size in image.pages_files().items():
            assert image.verify_pages(n) == size
        for owner in image.owners():
            assert image.runs(owner) != []


@pytest.mark.parametrize("path", IMAGES, ids=image_id)
def test_the_second_reader_lists_the_same_as_on_the_day_of_the_release(path: Path) -> None:
    assert reader.listing(str(path)) + "\n" == path.with_name(f"{path.name}.txt").read_text(encoding="utf-8")


def test_the_first_synthetic_image_holds_what_was_written() -> None:
    with read.open(locks.GOLDEN / "0.1.0" / "synthetic", REGISTRY, trust=True) as image:
        assert image.records("test.area") == AREAS
        assert image.records("test.counter") == COUNTERS
        assert image.records("test.note") == NOTES
        assert image.inventory == FACTS
        assert image.read_run(image.runs(AREAS[0][1].owner)[0]) == PAGES


def test_the_same_records_make_the_same_bytes(tmp_path: Path) -> None:
    make(tmp_path / "one")
    make(tmp_path / "two")
    assert (tmp_path / "one" / "state").read_bytes() == (tmp_path / "two" / "state").read_bytes()


def test_a_release_can_be_made(tmp_path: Path) -> None:
    make_golden.release(tmp_path / "9.9.9")
    make(tmp_path / "real")
    make_golden.add(tmp_path / "9.9.9", tmp_path / "real")
    found = sorted(path.name for path in (tmp_path / "9.9.9").iterdir())
    assert found == ["flags.lock", "image.lock", "real", "real.txt", "synthetic", "synthetic.txt"]
    assert reader.listing(str(tmp_path / "9.9.9" / "real")) == reader.listing(str(tmp_path / "9.9.9" / "synthetic"))
