"""The folder that every subject finds empty, whatever the one before it left there.

Source:  ioctl_iflags(2): a file that is immutable or append-only cannot be unlinked before its flags are gone
"""

from __future__ import annotations

import fcntl
import os
import stat

FOLDER = "/tmp/place"
FS_IOC_SETFLAGS = 0x40086602


def fresh(folder: str) -> None:
    """Make a folder empty, or make it.

    Needs:   root, where files in it may have inode flags
    """
    try:
        os.mkdir(folder, 0o755)
    except FileExistsError:
        _empty(folder)


def _empty(folder: str) -> None:
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            _empty(entry.path)
            _gone(entry.path, os.rmdir)
        else:
            _gone(entry.path, os.unlink)


def _gone(path: str, remove: object) -> None:
    assert callable(remove)
    try:
        remove(path)
    except PermissionError:
        _plain(path)
        _plain(os.path.dirname(path))
        remove(path)


def _plain(path: str) -> None:
    if stat.S_IFMT(os.lstat(path).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        return  # opening one could wait, and has an effect
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, bytes(8))
    finally:
        os.close(fd)
