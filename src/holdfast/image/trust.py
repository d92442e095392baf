"""Opening an image that someone else may have prepared: no symlinks, no devices, and nobody else could have written it.

Source:  open(2) O_NOFOLLOW, openat(2), path_resolution(7); the mode's group bits bound every ACL entry (acl(5))
"""

from __future__ import annotations

import os
import stat

from holdfast.errors import BadImage
from holdfast.image import broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def open_directory(path: str | bytes | PathLike[str], trust: bool) -> int:
    """A descriptor of the image's directory.

    Raises:  bad_image.absent, bad_image.unsealed, bad_image.not_directory, bad_image.owner, bad_image.mode
    """
    shown = os.fsdecode(path)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        if os.path.isdir(os.fsencode(path).rstrip(b"/") + b".partial"):
            raise broken.unsealed(f"{shown}.partial", "the dump was interrupted, or is still running") from error
        raise BadImage("absent", f"there is no image {shown}", where=shown, why=error.strerror or "", do="check the path") from error
    except OSError as error:
        raise BadImage(
            "not_directory",
            f"{shown} cannot be opened as an image",
            where=shown,
            why=error.strerror or "",
            do="name the image's directory itself",
        ) from error
    try:
        _check(os.fstat(fd), shown, trust)
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_file(directory: int, name: str, trust: bool) -> tuple[int, int]:
    """A descriptor and the size of one regular file of the image.

    Raises:  bad_image.missing_file, bad_image.not_regular, bad_image.owner, bad_image.mode
    """
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError as error:
        raise (broken.unsealed if name == "state" else broken.missing_file)(name, error.strerror or "") from error
    except OSError as error:
        raise broken.irregular(name, error.strerror or "") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise broken.irregular(name, f"mode {status.st_mode:#o}")
        _check(status, name, trust)
    except BaseException:
        os.close(fd)
        raise
    return fd, status.st_size


# Root could change anything of ours anyway, so what root owns is as good as ours; the reverse does not hold.
def _check(status: os.stat_result, name: str, trust: bool) -> None:
    if trust:
        return
    me = os.geteuid()
    if status.st_uid not in (me, 0):
        raise BadImage(
            "owner",
            f"{name} belongs to another user",
            where=name,
            why=f"owner {status.st_uid}, you are {me}; a restore runs what the image says",
            do="chown the image if you trust it, or pass --trust",
        )
    if status.st_mode & _OTHERS_WRITE:
        raise BadImage(
            "mode",
            f"another user could have written {name}",
            where=name,
            why=f"mode {stat.S_IMODE(status.st_mode):#o}",
            do="chmod go-w the image if you trust it, or pass --trust",
        )
