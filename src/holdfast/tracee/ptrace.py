"""ptrace(2) and the calls beside it that the standard library lacks, as thin functions on ctypes.

Every function raises OSError with the errno; ESRCH means that the task died or was killed.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, addressof, byref, c_int, c_long, c_size_t, c_ssize_t, c_uint64, c_ulong, c_void_p, sizeof

WALL = 0x40000000
CONT, DETACH, SYSCALL, SETOPTIONS, GETEVENTMSG, GETSIGINFO = 7, 17, 24, 0x4200, 0x4201, 0x4202
GETREGSET, SETREGSET, SEIZE, INTERRUPT, LISTEN, PEEKSIGINFO = 0x4204, 0x4205, 0x4206, 0x4207, 0x4208, 0x4209
GETSIGMASK, SETSIGMASK, GET_RSEQ_CONFIGURATION, GET_SYSCALL_USER_DISPATCH_CONFIG = 0x420A, 0x420B, 0x420F, 0x4211
NT_PRSTATUS, NT_X86_XSTATE, NT_386_IOPERM = 1, 0x202, 0x201
O_TRACESYSGOOD, O_EXITKILL, O_SUSPEND_SECCOMP = 0x1, 0x100000, 0x200000
EVENT_STOP = 128
PEEK_SHARED = 1

_libc = ctypes.CDLL(None, use_errno=True)
_ptrace = _libc.ptrace
_ptrace.restype = c_long
_ptrace.argtypes = [c_long, c_long, c_void_p, c_void_p]
_syscall = _libc.syscall
_syscall.restype = c_long
_readv = _libc.process_vm_readv
_readv.restype = c_ssize_t
_writev = _libc.process_vm_writev
_writev.restype = c_ssize_t


class _Iovec(ctypes.Structure):
    _fields_ = [("base", c_void_p), ("length", c_size_t)]


for _f in (_readv, _writev):
    _f.argtypes = [c_long, POINTER(_Iovec), c_ulong, POINTER(_Iovec), c_ulong, c_ulong]


def _fail(what: str, tid: int) -> None:
    code = ctypes.get_errno()
    raise OSError(code, f"{what} of task {tid}: {os.strerror(code)}")


def request(op: int, tid: int, addr: int = 0, data: int = 0) -> int:
    """One ptrace request.

    Raises:  OSError: ESRCH, the task is gone or not stopped; EPERM, it may not be traced by us
    """
    got: int = _ptrace(op, tid, addr, data)
    if got == -1:
        _fail(f"ptrace request {op:#x}", tid)
    return got


def syscall(number: int, *args: int) -> int:
    """A raw system call in our own process."""
    got: int = _syscall(c_long(number), *[c_long(a) for a in args])
    if got == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"syscall {number}: {os.strerror(code)}")
    return got


_regs_buf = ctypes.create_string_buffer(27 * 8)
_regs_iov = _Iovec(addressof(_regs_buf), 27 * 8)
_xstate_buf = ctypes.create_string_buffer(1 << 16)
_word = c_uint64()


def get_registers(tid: int) -> bytes:
    """The general registers of a stopped thread.

    Raises:  OSError: EIO, this is a 32-bit task
    """
    _regs_iov.length = 27 * 8
    request(GETREGSET, tid, NT_PRSTATUS, addressof(_regs_iov))
    if _regs_iov.length != 27 * 8:
        raise OSError(5, f"task {tid} is a 32-bit task: its register set has {_regs_iov.length} bytes")
    return _regs_buf.raw


def set_registers(tid: int, raw: bytes) -> None:
    """Set the general registers of a stopped thread."""
    _regs_buf.raw = raw
    _regs_iov.length = 27 * 8
    request(SETREGSET, tid, NT_PRSTATUS, addressof(_regs_iov))


def get_xstate(tid: int) -> bytes:
    """The extended state (XSAVE standard format) of a stopped thread."""
    iov = _Iovec(addressof(_xstate_buf), len(_xstate_buf))
    request(GETREGSET, tid, NT_X86_XSTATE, addressof(iov))
    return ctypes.string_at(_xstate_buf, iov.length)


def set_xstate(tid: int, raw: bytes) -> None:
    """Set the extended state of a stopped thread."""
    buf = ctypes.create_string_buffer(raw, len(raw))
    iov = _Iovec(addressof(buf), len(raw))
    request(SETREGSET, tid, NT_X86_XSTATE, addressof(iov))


def get_sigmask(tid: int) -> int:
    """The blocked signals of a stopped thread; inside sigsuspend, ppoll and the like, those it had before."""
    request(GETSIGMASK, tid, 8, addressof(_word))
    return _word.value


def set_sigmask(tid: int, mask: int) -> None:
    """Set the blocked signals of a stopped thread."""
    _word.value = mask
    request(SETSIGMASK, tid, 8, addressof(_word))


class _PeekArgs(ctypes.Structure):
    _fields_ = [("offset", c_uint64), ("flags", ctypes.c_uint32), ("count", ctypes.c_int32)]


def has_io_ports(tid: int) -> bool:
    """Whether a stopped thread was given I/O ports (ioperm(2), iopl(2)).

    Source:  Linux arch/x86/kernel/ptrace.c, the regset NT_386_IOPERM is there only for a thread with a bitmap
    """
    iov = _Iovec(addressof(_xstate_buf), len(_xstate_buf))
    try:
        request(GETREGSET, tid, NT_386_IOPERM, addressof(iov))
    except OSError:
        return False  # ENXIO: no bitmap; EINVAL, ENODEV: a kernel that gives none
    return bool(iov.length)


def pending_signals(tid: int, shared: bool) -> tuple[bytes, ...]:
    """Pending signals with their siginfo, oldest first, without taking them.

    Shape:   each 128 bytes, struct siginfo
    """
    out: list[bytes] = []
    buf = ctypes.create_string_buffer(128 * 32)
    while True:
        args = _PeekArgs(len(out), PEEK_SHARED if shared else 0, 32)
        got = request(PEEKSIGINFO, tid, addressof(args), addressof(buf))
        out += [buf.raw[i * 128 : i * 128 + 128] for i in range(got)]
        if got < 32:
            return tuple(out)


class _Rseq(ctypes.Structure):
    _fields_ = [
        ("pointer", c_uint64),
        ("size", ctypes.c_uint32),
        ("signature", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
    ]


def rseq_configuration(tid: int) -> tuple[int, int, int]:
    """Address, size and signature of a stopped thread's rseq area; address 0 where none is registered.

    Raises:  OSError: EIO, this kernel has no PTRACE_GET_RSEQ_CONFIGURATION (before 5.13, or no CONFIG_RSEQ)
    """
    conf = _Rseq()
    request(GET_RSEQ_CONFIGURATION, tid, sizeof(conf), addressof(conf))
    return conf.pointer, conf.size, conf.signature


class _Dispatch(ctypes.Structure):
    _fields_ = [("mode", c_uint64), ("selector", c_uint64), ("offset", c_uint64), ("length", c_uint64)]


def syscall_user_dispatch(tid: int) -> tuple[int, int, int, int]:
    """Mode, selector, offset and length of a stopped thread's syscall user dispatch; mode 0 is off.

    Raises:  OSError: EIO, this kernel has no PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG (before 6.4)
    """
    conf = _Dispatch()
    request(GET_SYSCALL_USER_DISPATCH_CONFIG, tid, sizeof(conf), addressof(conf))
    return conf.mode, conf.selector, conf.offset, conf.length


def robust_list(tid: int) -> tuple[int, int]:
    """Head and length of a thread's robust futex list.

    Source:  get_robust_list(2)
    """
    head, length = c_uint64(), c_uint64()
    syscall(274, tid, addressof(head), addressof(length))
    return head.value, length.value


def read_memory(tid: int, addr: int, size: int) -> bytes:
    """Bytes of a task's memory; pages that it may not read itself are an error.

    Raises:  OSError: EFAULT, part of the range is not mapped readable
    """
    buf = ctypes.create_string_buffer(size)
    local, remote = _Iovec(addressof(buf), size), _Iovec(addr, size)
    got: int = _readv(tid, byref(local), 1, byref(remote), 1, 0)
    if got != size:
        if got < 0:
            _fail(f"reading {size} bytes at {addr:#x}", tid)
        raise OSError(14, f"reading {size} bytes at {addr:#x} of task {tid}: only {got} could be read")
    return buf.raw


def write_memory(tid: int, addr: int, data: bytes) -> None:
    """Write a task's memory, as far as it could write it itself.

    Raises:  OSError: EFAULT, part of the range is not mapped writable
    """
    if not data:
        return
    buf = ctypes.create_string_buffer(data, len(data))
    local, remote = _Iovec(addressof(buf), len(data)), _Iovec(addr, len(data))
    got: int = _writev(tid, byref(local), 1, byref(remote), 1, 0)
    if got != len(data):
        if got < 0:
            _fail(f"writing {len(data)} bytes at {addr:#x}", tid)
        raise OSError(14, f"writing {len(data)} bytes at {addr:#x} of task {tid}: only {got} could be written")


def force_memory(tid: int, addr: int, data: bytes) -> None:
    """Write memory that a task we trace cannot write itself, such as its code.

    Raises:  OSError: EIO, nothing is mapped there
    Source:  proc_pid_mem(5), Linux fs/proc/base.c mem_rw (FOLL_FORCE)
    """
    fd = os.open(f"/proc/{tid}/mem", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(fd, data, addr)
    finally:
        os.close(fd)


def transfer(tid: int, into_task: bool, local: int, ranges: list[tuple[int, int]]) -> None:
    """Copy between our memory at `local` and a list of ranges (address, size) of a task, in order."""
    move = _writev if into_task else _readv
    for i in range(0, len(ranges), 512):
        part = ranges[i : i + 512]
        size = sum(n for _, n in part)
        mine = _Iovec(local, size)
        theirs = (_Iovec * len(part))(*[_Iovec(a, n) for a, n in part])
        got: int = move(tid, byref(mine), 1, theirs, len(part), 0)
        if got != size:
            # a single call moves at most 2 GiB less a page (read(2), Notes): go range by range
            if got < 0:
                _fail(f"copying {size} bytes", tid)
            for a, n in part:
                _transfer_one(move, tid, local, a, n)
                local += n
            continue
        local += size


def _transfer_one(move: ctypes._NamedFuncPointer, tid: int, local: int, addr: int, size: int) -> None:
    done = 0
    while done < size:
        mine, theirs = _Iovec(local + done, size - done), _Iovec(addr + done, size - done)
        got: int = move(tid, byref(mine), 1, byref(theirs), 1, 0)
        if got <= 0:
            _fail(f"copying {size - done} bytes at {addr + done:#x}", tid)
        done += got


def kcmp(pid1: int, pid2: int, kind: int, a: int = 0, b: int = 0) -> int:
    """Compare a kernel object of two tasks: 0 equal, 1 and 2 give an order.

    Source:  kcmp(2)
    """
    return syscall(312, pid1, pid2, kind, a, b)


def pidfd_getfd(pidfd: int, fd: int) -> int:
    """A duplicate, in our process, of a descriptor of another.

    Source:  pidfd_getfd(2)
    """
    return syscall(438, pidfd, fd, 0)


_ioctl = _libc.ioctl
_ioctl.restype = c_int
_ioctl.argtypes = [c_int, c_ulong, c_void_p]


def ioctl(fd: int, op: int, address: int) -> int:
    """An ioctl with a pointer argument; releases the interpreter lock while it runs."""
    got: int = _ioctl(fd, op, address)
    if got < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"ioctl {op:#x}: {os.strerror(code)}")
    return got
