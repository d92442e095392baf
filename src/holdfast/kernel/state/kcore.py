"""Kernel memory through /proc/kcore: an ELF core file whose program headers say where each address range is in the file.

Source:  proc_kcore(5), fs/proc/kcore.c, elf(5)
"""

from __future__ import annotations

import bisect
import errno
import os
import struct

_PATH = "/proc/kcore"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_CORE, _X86_64, _LOAD = 4, 62, 1
_MOST_TASKS = 1 << 22  # PID_MAX_LIMIT


def ranges(head: bytes, table: bytes) -> list[tuple[int, int, int]]:
    """Start address, size and place in the file of each range of memory, by address.

    Raises:  OSError: ENOEXEC, this is no core file of a 64-bit x86 kernel
    """
    if len(head) < _HEADER.size:
        raise OSError(errno.ENOEXEC, f"{len(head)} bytes are no ELF header")
    ident, kind, machine, _, _, _, _, _, _, entry_size, count, _, _, _ = _HEADER.unpack_from(head)
    if ident[:6] != b"\x7fELF\x02\x01" or kind != _CORE or machine != _X86_64:
        raise OSError(errno.ENOEXEC, "not an ELF core file of a 64-bit x86 kernel")
    if entry_size != _PROGRAM.size or len(table) < entry_size * count:
        raise OSError(errno.ENOEXEC, f"{count} program headers of {entry_size} bytes are not in {len(table)} bytes")
    out = []
    for n in range(count):
        what, _, place, address, _, _, size, _ = _PROGRAM.unpack_from(table, n * entry_size)
        if what == _LOAD and size:
            out.append((address, size, place))
    return sorted(out)


def table_place(head: bytes) -> tuple[int, int]:
    """Where the program headers are in the file, and their size.

    Raises:  OSError: ENOEXEC, this is no ELF header
    """
    if len(head) < _HEADER.size:
        raise OSError(errno.ENOEXEC, f"{len(head)} bytes are no ELF header")
    fields = _HEADER.unpack_from(head)
    return fields[5], fields[9] * fields[10]


class KcoreMemory:
    """Kernel memory through /proc/kcore.

    Needs:   CAP_SYS_RAWIO
    Raises:  OSError: this kernel, or this user on it, has no such file
    """

    def __init__(self, path: str = _PATH) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.reads = 0
        try:
            head = os.pread(self._fd, _HEADER.size, 0)
            place, size = table_place(head)
            self._ranges = ranges(head, os.pread(self._fd, size, place))
        except BaseException:
            os.close(self._fd)
            raise
        self._starts = [start for start, _, _ in self._ranges]
        self._found: tuple[int, int] = (0, 0)  # the process that asked, and its task

    def read(self, address: int, size: int) -> bytes:
        """The bytes at a kernel address.

        Raises:  OSError: EFAULT, no range of the file holds all of them
        """
        self.reads += 1
        n = bisect.bisect_right(self._starts, address) - 1
        if n >= 0:
            start, length, place = self._ranges[n]
            if address + size <= start + length:
                data = os.pread(self._fd, size, place + address - start)
                if len(data) == size:
                    return data
        raise OSError(errno.EFAULT, f"{size} bytes at {address:#x}: {os.strerror(errno.EFAULT)}")

    def current(self) -> int:
        """The address of the task_struct of the process that asks: the task whose id in its namespace is ours, and whose namespace is ours.

        Raises:  OSError: this kernel's symbols do not list init_task (CONFIG_KALLSYMS_ALL), or nobody is us
        """
        number = os.getpid()
        if self._found[0] != number:
            self._found = (number, self._search(number))
        return self._found[1]

    def _search(self, number: int) -> int:
        # kernel memory by itself knows no structs; only this way of reading must find itself in a list
        from holdfast.kernel.state.layouts import load
        from holdfast.kernel.state.symbols import Symbols

        layouts = load()
        symbols = Symbols()
        first = symbols.address("init_task")
        symbols.close()
        if not first:
            raise OSError(errno.ENOENT, "init_task is not in /proc/kallsyms: no CONFIG_KALLSYMS_ALL, or kernel.kptr_restrict hides it")
        ours = os.stat("/proc/self/ns/pid").st_ino
        at, task = layouts.at, first

        def word(address: int, size: int = 8) -> int:
            return int.from_bytes(self.read(address, size), "little")

        for _ in range(_MOST_TASKS):
            task = word(task + at("task_struct.tasks")) - at("task_struct.tasks")
            if task == first:
                break
            pid = word(task + at("task_struct.thread_pid"))
            if not pid:
                continue
            own = pid + at("pid.numbers") + word(pid + at("pid.level"), 4) * layouts.size("upid")
            if word(own + at("upid.nr"), 4) == number and word(word(own + at("upid.ns")) + at("pid_namespace.inum"), 4) == ours:
                return task
        raise OSError(errno.ESRCH, "no task is the one that asks")

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
