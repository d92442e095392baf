"""What is wrong with an image, where more than one module can find it: each error is made in one place."""

from __future__ import annotations

from holdfast.errors import BadImage

AGAIN = "restore from another copy of the image"


def damaged(where: str, why: str) -> BadImage:
    """A part of the image holds what no writer makes."""
    return BadImage("malformed", f"{where} of the image is malformed", where=f"state {where}", why=why, do=AGAIN)


def truncated(where: str, why: str) -> BadImage:
    """A file of the image ends too early."""
    return BadImage("truncated", f"{where} of the image is cut off", where=where, why=why, do=AGAIN)


def unsealed(where: str, why: str) -> BadImage:
    """The image was never finished."""
    return BadImage(
        "unsealed", "the image was never finished", where=where, why=why, do="dump again; an interrupted dump cannot be restored"
    )


def missing_file(name: str, why: str) -> BadImage:
    """The image lacks one of its files."""
    return BadImage("missing_file", f"the image has no file {name}", where=name, why=why, do=AGAIN)


def irregular(name: str, why: str) -> BadImage:
    """A file of the image is something else than a file."""
    return BadImage("not_regular", f"{name} of the image is not a regular file", where=name, why=why, do=AGAIN)
