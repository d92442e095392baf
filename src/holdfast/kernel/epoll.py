"""Whether an epoll instance watches the very file that stands at a number now.

An epoll instance names what it watches by number and open file; fdinfo shows only the number, which may mean another file
by now.
"""

from __future__ import annotations

import os

from holdfast.kernel.libc import LONG, POINTER, function, get_errno
from holdfast.kernel.uapi.syscalls import X86_64 as NUMBERS

KCMP_EPOLL_TFD = 7

_syscall = function("syscall", LONG, LONG, LONG, LONG, LONG, POINTER)


def watches(pid: int, fd: int, holder: int, epoll: int, number: int, nth: int) -> bool:
    """Whether the `nth` file that an epoll instance watches under `number` is the one at `fd` of process `pid`.

    Shape:   `epoll` is a descriptor of process `holder`; `nth` counts the lines of fdinfo with the same number, from 0
    Raises:  OSError: ENOENT there is no such line; EOPNOTSUPP a kernel without CONFIG_EPOLL; EPERM
    Source:  kcmp(2) KCMP_EPOLL_TFD, Linux fs/eventpoll.c get_epoll_tfile_raw_ptr
    """
    # struct kcmp_epoll_slot: efd, tfd, toff
    slot = b"".join([n.to_bytes(4, "little") for n in (epoll, number, nth)])
    got = _syscall(NUMBERS["kcmp"], pid, holder, KCMP_EPOLL_TFD, fd, slot)
    if got < 0:
        error = get_errno()
        raise OSError(error, os.strerror(error))
    return got == 0
