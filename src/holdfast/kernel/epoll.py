"""Whether an epoll instance watches the very file that stands at a number now.

An epoll instance names what it watches by number and open file; fdinfo shows only the number, which may mean another file
by now.
"""

from __future__ import annotations

import ctypes
import os

from holdfast.kernel.uapi.syscalls import X86_64 as NUMBERS

KCMP_EPOLL_TFD = 7

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_long = ctypes.c_long


def watches(pid: int, fd: int, holder: int, epoll: int, number: int, nth: int) -> bool:
    """Whether the `nth` file that an epoll instance watches under `number` is the one at `fd` of process `pid`.

    Shape:   `epoll` is a descriptor of process `holder`; `nth` counts the lines of fdinfo with the same number, from 0
    Raises:  OSError: ENOENT there is no such line; EOPNOTSUPP a kernel without CONFIG_EPOLL; EPERM
    Source:  kcmp(2) KCMP_EPOLL_TFD, Linux fs/eventpoll.c get_epoll_tfile_raw_ptr
    """
    slot = (ctypes.c_uint32 * 3)(epoll, number, nth)
    where = ctypes.c_void_p(ctypes.addressof(slot))
    got: int = _syscall(_long(NUMBERS["kcmp"]), _long(pid), _long(holder), _long(KCMP_EPOLL_TFD), _long(fd), where)
    if got < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return got == 0
