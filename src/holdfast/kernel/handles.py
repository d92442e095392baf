"""From the handle of a file, as fdinfo prints it, to a path that leads to it."""

from __future__ import annotations

import os

from holdfast.kernel.libc import INT, LONG, POINTER, buffer, function, get_errno

O_PATH, O_CLOEXEC = 0o10000000, 0o2000000

_open_by_handle_at = function("open_by_handle_at", LONG, POINTER, LONG, returns=INT)


def path_of(mount_point: bytes, kind: int, handle: bytes) -> bytes:
    """A path of the file as we see it; the caller looks whether it leads there, for a name may be unknown to the kernel at the moment.

    Needs:   CAP_DAC_READ_SEARCH
    Raises:  OSError: ESTALE the file is gone; EPERM; EOPNOTSUPP
    Source:  open_by_handle_at(2)
    """
    mount = os.open(mount_point, os.O_RDONLY | O_CLOEXEC)
    try:
        raw = buffer(8 + len(handle))
        raw.raw = len(handle).to_bytes(4, "little") + kind.to_bytes(4, "little", signed=True) + handle
        fd = _open_by_handle_at(mount, raw, O_PATH | O_CLOEXEC)
        if fd < 0:
            error = get_errno()
            raise OSError(error, os.strerror(error))
        try:
            return os.readlink(b"/proc/self/fd/%d" % fd)
        finally:
            os.close(fd)
    finally:
        os.close(mount)
