"""Kernel memory through BPF: a program of ten instructions that is never attached, only run by a request of ours.

The program copies from a kernel address into an array map that we have mapped, by bpf_probe_read_kernel, which takes a bad
address for an error and not for a fault.

Source:  bpf(2), bpf-helpers(7), kernel/bpf/syscall.c: bpf_prog_test_run, net/bpf/test_run.c: bpf_prog_test_run_raw_tp
"""

from __future__ import annotations

import errno
import mmap
import os
import struct

from holdfast.kernel.libc import LONG, POINTER, addressof, buffer, function, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _ctypes import Array
    from typing import Any

_CREATE_MAP, _LOAD, _RUN = 0, 5, 10
_ARRAY, _MMAPABLE = 2, 1 << 10
_KINDS = (17, 31)  # BPF_PROG_TYPE_RAW_TRACEPOINT; BPF_PROG_TYPE_SYSCALL, since v5.14
_SLEEPABLE = 1 << 4  # what a program of the second kind must be
_CURRENT_TASK, _PROBE_READ_KERNEL = 35, 113
_ROOM = 1 << 16
_LAST, _MOST = (1 << 64) - 1, 1 << 26

_ATTR_ROOM = 144
_LOAD_ATTR = struct.Struct("<IIQQIIQII")
_RUN_ATTR = struct.Struct("<IIIIQQIIIIQQ")
_RETURNED = struct.Struct("<i")
_CONTEXT = struct.Struct("<QQ")

_BPF = 321  # on x86-64
_syscall = function("syscall", LONG, LONG, POINTER, LONG)


def _call(command: int, attr: Array[Any], size: int) -> int:
    done = _syscall(_BPF, command, attr, size)
    if done < 0:
        raise refused("bpf")
    return done


def _insn(code: int, dst: int = 0, src: int = 0, off: int = 0, imm: int = 0) -> bytes:
    return struct.pack("<BBhi", code, dst | src << 4, off, imm)


def _load(kind: int, insns: bytes) -> int:
    code, licence, attr = buffer(len(insns)), buffer(4), buffer(_ATTR_ROOM)
    code.raw, licence.raw = insns, b"GPL\0"  # both helpers are for GPL programs only
    flags = _SLEEPABLE if kind == _KINDS[1] else 0
    _LOAD_ATTR.pack_into(attr, 0, kind, len(insns) // 8, addressof(code), addressof(licence), 0, 0, 0, 0, flags)
    return _call(_LOAD, attr, _ATTR_ROOM)


def _reader(window: int) -> bytes:
    # r0 = bpf_probe_read_kernel(the window, context[1] bytes, context[0]); a size above the window's is refused with -E2BIG
    return b"".join((
        _insn(0x79, 2, 1, 8), _insn(0x25, 2, 0, 5, _ROOM), _insn(0x79, 3, 1, 0), _insn(0x18, 1, 2, 0, window), _insn(0),
        _insn(0x85, 0, 0, 0, _PROBE_READ_KERNEL), _insn(0x95), _insn(0xB7, 0, 0, 0, -errno.E2BIG), _insn(0x95),
    ))  # fmt: skip


def _finder(window: int) -> bytes:
    # the window's first eight bytes = bpf_get_current_task()
    return b"".join((
        _insn(0x85, 0, 0, 0, _CURRENT_TASK), _insn(0x18, 1, 2, 0, window), _insn(0), _insn(0x7B, 1, 0), _insn(0xB7), _insn(0x95),
    ))  # fmt: skip


class BpfMemory:
    """Kernel memory through two BPF programs and one map, all closed with it.

    Needs:   CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before v5.8)
    Raises:  OSError: this kernel, or this user on it, has no such programs
    """

    def __init__(self) -> None:
        self._fds: list[int] = []
        self._window: mmap.mmap | None = None
        self.reads = 0
        try:
            attr = buffer(_ATTR_ROOM)
            struct.pack_into("<IIIII", attr, 0, _ARRAY, 4, _ROOM, 1, _MMAPABLE)
            window = _call(_CREATE_MAP, attr, _ATTR_ROOM)
            self._fds.append(window)
            self._window = mmap.mmap(window, _ROOM)
            self._choose(window)
            os.close(self._fds.pop(0))  # the programs hold the map, and our mapping holds its own descriptor
        except BaseException:
            self.close()
            raise

    def _choose(self, window: int) -> None:
        # the kinds of program that a request may run, as far as this kernel has them
        first: OSError | None = None
        for kind in _KINDS:
            mine: list[int] = []
            try:
                mine.append(_load(kind, _reader(window)))
                mine.append(_load(kind, _finder(window)))
                self._context = buffer(_CONTEXT.size)
                self._reader_attr, self._finder_attr = (self._prepare(program) for program in mine)
                self.current()
            except OSError as cause:
                for fd in mine:
                    os.close(fd)
                first = first or cause
            else:
                self._fds += mine
                return
        assert first is not None
        raise first

    def _prepare(self, program: int) -> Array[Any]:
        attr = buffer(_ATTR_ROOM)
        _RUN_ATTR.pack_into(attr, 0, program, 0, 0, 0, 0, 0, 0, 0, _CONTEXT.size, 0, addressof(self._context), 0)
        return attr

    def read(self, address: int, size: int) -> bytes:
        """The bytes at a kernel address.

        Raises:  OSError: EFAULT, no such memory
        """
        # what an address is worked out from may be garbage by now
        if not 0 <= address <= _LAST - size or size > _MOST:
            raise OSError(errno.EFAULT, f"{size} bytes at {address:#x}: {os.strerror(errno.EFAULT)}")
        if size > _ROOM:
            return b"".join(self.read(address + at, min(_ROOM, size - at)) for at in range(0, size, _ROOM))
        window = self._window
        assert window is not None
        self.reads += 1
        _CONTEXT.pack_into(self._context, 0, address, size)
        attr = self._reader_attr
        if _syscall(_BPF, _RUN, attr, _RUN_ATTR.size) < 0:
            raise refused("bpf")
        (failed,) = _RETURNED.unpack_from(attr, 4)
        if failed:
            raise OSError(-failed, f"{size} bytes at {address:#x}: {os.strerror(-failed)}")
        return window[:size]

    def current(self) -> int:
        """The address of the task_struct of the thread that asks.

        Raises:  OSError: the program may not run
        """
        _call(_RUN, self._finder_attr, _RUN_ATTR.size)
        assert self._window is not None
        return int.from_bytes(self._window[:8], "little")

    def close(self) -> None:
        """Close the programs and the map."""
        if self._window is not None:
            self._window.close()
            self._window = None
        while self._fds:
            os.close(self._fds.pop())
