"""ptrace(2) and the calls beside it that the standard library lacks, as thin functions on the C library.

Every function raises OSError with the errno; ESRCH means that the task died or was killed.
"""

from __future__ import annotations

import os
from struct import Struct as Format

from holdfast.kernel.libc import INT, LONG, POINTER, addressof, buffer, function, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

WALL = 0x40000000
PEEKUSER = 3
CONT, DETACH, SYSCALL, SETOPTIONS, GETEVENTMSG, GETSIGINFO = 7, 17, 24, 0x4200, 0x4201, 0x4202
GETREGSET, SETREGSET, SEIZE, INTERRUPT, LISTEN, PEEKSIGINFO = 0x4204, 0x4205, 0x4206, 0x4207, 0x4208, 0x4209
GETSIGMASK, SETSIGMASK, GET_RSEQ_CONFIGURATION, GET_SYSCALL_USER_DISPATCH_CONFIG = 0x420A, 0x420B, 0x420F, 0x4211
NT_PRSTATUS, NT_X86_XSTATE, NT_386_IOPERM = 1, 0x202, 0x201
O_TRACESYSGOOD, O_EXITKILL, O_SUSPEND_SECCOMP = 0x1, 0x100000, 0x200000
EVENT_STOP = 128
PEEK_SHARED = 1

_ptrace = function("ptrace", LONG, LONG, POINTER, POINTER)
_syscall = function("syscall", LONG, LONG, LONG, LONG, LONG, LONG)
_readv = function("process_vm_readv", LONG, POINTER, LONG, POINTER, LONG, LONG)
_writev = function("process_vm_writev", LONG, POINTER, LONG, POINTER, LONG, LONG)
_ioctl = function("ioctl", LONG, LONG, POINTER, returns=INT)
_IOVEC = Format("<2Q")  # struct iovec: base, length


def request(op: int, tid: int, addr: int = 0, data: int = 0) -> int:
    """One ptrace request.

    Raises:  OSError: ESRCH, the task is gone or not stopped; EPERM, it may not be traced by us
    """
    got = _ptrace(op, tid, addr, data)
    if got == -1:
        raise refused(f"ptrace request {op:#x} of task {tid}")
    return got


def syscall(number: int, *args: int) -> int:
    """A raw system call in our own process, with at most five arguments."""
    got = _syscall(number, *args, *(0,) * (5 - len(args)))
    if got == -1:
        raise refused(f"syscall {number}")
    return got


_REGS = 27 * 8
_regs = buffer(_REGS)
_xstate = buffer(1 << 14)  # with AMX, the largest so far, it is 11 KiB
_word = buffer(8)
_iov = buffer(_IOVEC.size)  # the kernel writes the length back


def _regset(op: int, tid: int, which: int, room: int, size: int) -> int:
    # how much of a register set was read or written
    _IOVEC.pack_into(_iov, 0, room, size)
    request(op, tid, which, addressof(_iov))
    length: int = _IOVEC.unpack_from(_iov)[1]
    return length


def get_registers(tid: int) -> bytes:
    """The general registers of a stopped thread.

    Raises:  OSError: EIO, this is a 32-bit task
    """
    size = _regset(GETREGSET, tid, NT_PRSTATUS, addressof(_regs), _REGS)
    if size != _REGS:
        raise OSError(5, f"task {tid} is a 32-bit task: its register set has {size} bytes")
    raw: bytes = _regs.raw
    return raw


def set_registers(tid: int, raw: bytes) -> None:
    """Set the general registers of a stopped thread."""
    _regs.raw = raw
    _regset(SETREGSET, tid, NT_PRSTATUS, addressof(_regs), _REGS)


def get_xstate(tid: int) -> bytes:
    """The extended state (XSAVE standard format) of a stopped thread."""
    room = _xstate
    while (size := _regset(GETREGSET, tid, NT_X86_XSTATE, addressof(room), len(room))) == len(room):
        room = buffer(2 * len(room))
    return bytes(memoryview(room)[:size])


def set_xstate(tid: int, raw: bytes) -> None:
    """Set the extended state of a stopped thread."""
    room = buffer(len(raw))
    room.raw = raw
    _regset(SETREGSET, tid, NT_X86_XSTATE, addressof(room), len(raw))


def get_sigmask(tid: int) -> int:
    """The blocked signals of a stopped thread; inside sigsuspend, ppoll and the like, those it had before."""
    request(GETSIGMASK, tid, 8, addressof(_word))
    return int.from_bytes(_word.raw, "little")


def set_sigmask(tid: int, mask: int) -> None:
    """Set the blocked signals of a stopped thread."""
    _word.raw = mask.to_bytes(8, "little")
    request(SETSIGMASK, tid, 8, addressof(_word))


def has_io_ports(tid: int) -> bool:
    """Whether a stopped thread was given I/O ports (ioperm(2), iopl(2)).

    Source:  Linux arch/x86/kernel/ptrace.c, the regset NT_386_IOPERM is there only for a thread with a bitmap
    """
    try:
        return _regset(GETREGSET, tid, NT_386_IOPERM, addressof(_xstate), len(_xstate)) > 0
    except OSError:
        return False  # ENXIO: no bitmap; EINVAL, ENODEV: a kernel that gives none


_DEBUG_CONTROL = 848 + 7 * 8  # of struct user: u_debugreg[7] (arch/x86/include/asm/user_64.h)


def debug_control(tid: int) -> int:
    """The debug control register of a stopped thread: which breakpoints and watchpoints are on; 0 for none.

    Source:  Linux arch/x86/kernel/ptrace.c ptrace_get_debugreg; a debugger that goes away leaves them there
    """
    syscall(101, PEEKUSER, tid, _DEBUG_CONTROL, addressof(_word))  # the C library's ptrace would take a value for an error
    return int.from_bytes(_word.raw, "little")


_PEEK = Format("<QIi")  # struct ptrace_peeksiginfo_args: offset, flags, how many
_siginfo = buffer(128 * 32)


def pending_signals(tid: int, shared: bool) -> tuple[bytes, ...]:
    """Pending signals with their siginfo, oldest first, without taking them.

    Shape:   each 128 bytes, struct siginfo
    """
    out: list[bytes] = []
    args = buffer(_PEEK.size)
    while True:
        _PEEK.pack_into(args, 0, len(out), PEEK_SHARED if shared else 0, 32)
        got = request(PEEKSIGINFO, tid, addressof(args), addressof(_siginfo))
        if got:
            raw = _siginfo.raw
            out += [raw[i * 128 : i * 128 + 128] for i in range(got)]
        if got < 32:
            return tuple(out)


_RSEQ = Format("<Q4I")  # struct ptrace_rseq_configuration: pointer, size, signature, flags, pad


def rseq_configuration(tid: int) -> tuple[int, int, int]:
    """Address, size and signature of a stopped thread's rseq area; address 0 where none is registered.

    Raises:  OSError: EIO, this kernel has no PTRACE_GET_RSEQ_CONFIGURATION (before 5.13, or no CONFIG_RSEQ)
    """
    conf = buffer(_RSEQ.size)
    request(GET_RSEQ_CONFIGURATION, tid, _RSEQ.size, addressof(conf))
    pointer, size, signature, _, _ = _RSEQ.unpack(conf)
    return pointer, size, signature


_DISPATCH = Format("<4Q")  # struct ptrace_sud_config: mode, selector, offset, length


def syscall_user_dispatch(tid: int) -> tuple[int, int, int, int]:
    """Mode, selector, offset and length of a stopped thread's syscall user dispatch; mode 0 is off.

    Raises:  OSError: EIO, this kernel has no PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG (before 6.4)
    """
    conf = buffer(_DISPATCH.size)
    request(GET_SYSCALL_USER_DISPATCH_CONFIG, tid, _DISPATCH.size, addressof(conf))
    mode, selector, offset, length = _DISPATCH.unpack(conf)
    return mode, selector, offset, length


def robust_list(tid: int) -> tuple[int, int]:
    """Head and length of a thread's robust futex list.

    Source:  get_robust_list(2)
    """
    pair = buffer(16)  # head, length
    at = addressof(pair)
    syscall(274, tid, at, at + 8)
    head, length = _IOVEC.unpack(pair)
    return head, length


def read_memory(tid: int, addr: int, size: int) -> bytes:
    """Bytes of a task's memory; pages that it may not read itself are an error.

    Raises:  OSError: EFAULT, part of the range is not mapped readable
    """
    room = buffer(size)
    got = _readv(tid, _IOVEC.pack(addressof(room), size), 1, _IOVEC.pack(addr, size), 1, 0)
    if got != size:
        if got < 0:
            raise refused(f"reading {size} bytes at {addr:#x} of task {tid}")
        raise OSError(14, f"reading {size} bytes at {addr:#x} of task {tid}: only {got} could be read")
    raw: bytes = room.raw
    return raw


def write_memory(tid: int, addr: int, data: bytes) -> None:
    """Write a task's memory, as far as it could write it itself.

    Raises:  OSError: EFAULT, part of the range is not mapped writable
    """
    if not data:
        return
    room = buffer(len(data))
    room.raw = data
    got = _writev(tid, _IOVEC.pack(addressof(room), len(data)), 1, _IOVEC.pack(addr, len(data)), 1, 0)
    if got != len(data):
        if got < 0:
            raise refused(f"writing {len(data)} bytes at {addr:#x} of task {tid}")
        raise OSError(14, f"writing {len(data)} bytes at {addr:#x} of task {tid}: only {got} could be written")


def force_memory(tid: int, addr: int, data: bytes) -> None:
    """Write memory that a task we trace cannot write itself, such as its code.

    Raises:  OSError: EIO, nothing is mapped there
    Source:  proc_pid_mem(5), Linux fs/proc/base.c mem_rw (FOLL_FORCE)
    """
    fd = os.open(f"/proc/{tid}/mem", os.O_WRONLY | os.O_CLOEXEC)
    try:
        done = os.pwrite(fd, data, addr)
    finally:
        os.close(fd)
    if done != len(data):
        raise OSError(14, f"writing {len(data)} bytes at {addr:#x} of task {tid}: only {done} could be written")


def transfer(tid: int, into_task: bool, local: int, ranges: list[tuple[int, int]]) -> None:
    """Copy between our memory at `local` and a list of ranges (address, size) of a task, in order."""
    move = _writev if into_task else _readv
    for i in range(0, len(ranges), 512):
        part = ranges[i : i + 512]
        size = sum(n for _, n in part)
        theirs = b"".join([_IOVEC.pack(a, n) for a, n in part])
        got = move(tid, _IOVEC.pack(local, size), 1, theirs, len(part), 0)
        if got != size:
            # a single call moves at most 2 GiB less a page (read(2), Notes): go range by range
            if got < 0:
                raise refused(f"copying {size} bytes of task {tid}")
            for a, n in part:
                _transfer_one(move, tid, local, a, n)
                local += n
            continue
        local += size


def _transfer_one(move: Callable[..., int], tid: int, local: int, addr: int, size: int) -> None:
    done = 0
    while done < size:
        got = move(tid, _IOVEC.pack(local + done, size - done), 1, _IOVEC.pack(addr + done, size - done), 1, 0)
        if got <= 0:
            raise refused(f"copying {size - done} bytes at {addr + done:#x} of task {tid}")
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


def ioctl(fd: int, op: int, address: int) -> int:
    """An ioctl with a pointer argument; releases the interpreter lock while it runs."""
    got = _ioctl(fd, op, address)
    if got < 0:
        raise refused(f"ioctl {op:#x}")
    return got
