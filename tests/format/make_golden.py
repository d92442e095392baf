"""Golden images: what a release wrote, kept for ever.

    python -m tests.format.make_golden VERSION             the image of synthetic records, and copies of both locks
    python -m tests.format.make_golden VERSION IMAGE ...   real images, added under their own names

Each image lies in golden/VERSION/NAME/ beside NAME.txt, what the second reader lists of it. A folder of a release is never changed.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.format import locks, reader, synthetic


def add(folder: Path, image: Path) -> None:
    """Copy an image into a release's folder with its listing."""
    shutil.copytree(image, folder / image.name)
    (folder / f"{image.name}.txt").write_text(reader.listing(str(image)) + "\n", encoding="utf-8")


def release(folder: Path) -> None:
    """Make a release's folder: the synthetic image and the locks."""
    folder.mkdir(parents=True)
    synthetic.make(folder / "synthetic")
    (folder / "synthetic.txt").write_text(reader.listing(str(folder / "synthetic")) + "\n", encoding="utf-8")
    shutil.copy(locks.IMAGE_LOCK, folder / "image.lock")
    shutil.copy(locks.FLAGS_LOCK, folder / "flags.lock")


if __name__ == "__main__":
    here = locks.GOLDEN / sys.argv[1]
    for given in sys.argv[2:]:
        add(here, Path(given))
    if not sys.argv[2:]:
        release(here)
