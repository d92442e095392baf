"""The process that a recipe runs in: it pauses, and makes one system call at a time with its own registers.

It is a static ELF without libc, threads or a stack in use, so that what is in it is what the recipe made. For each line it is seized,
sent through its gate, and let go; between lines nobody traces it. A line that blocks is left alone inside the call: its result is
in memory when it comes back. The same object goes on with the task that a restore has made, which has the same pids.
"""

from __future__ import annotations

import os
import time

from holdfast.errors import TargetChanged
from holdfast.kernel.uapi.syscalls import X86_64 as NUMBERS
from holdfast.model.record import Record
from holdfast.prog.text import Const, Line, Parts, Pointer, Ref, Room, Taken
from holdfast.tracee import ptrace
from holdfast.tracee.arch import x86_64
from holdfast.tracee.arch.x86_64 import Registers
from holdfast.tracee.seize import wait_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from holdfast.prog.text import Value

HANDLER = Const("HANDLER", x86_64.SUBJECT_HANDLER)
RESTORER = Const("RESTORER", x86_64.SUBJECT_RESTORER)
COUNTER = Const("COUNTER", x86_64.SUBJECT_COUNTER)

_LASTING = x86_64.SUBJECT_SCRATCH + 64  # buffers that later lines may name
_PASSING = x86_64.SUBJECT_SCRATCH + (x86_64.SUBJECT_SCRATCH_SIZE * 3 // 4)  # buffers of lines that only look
_END = x86_64.SUBJECT_SCRATCH + x86_64.SUBJECT_SCRATCH_SIZE
_STOPPED = 0x80
_PATIENCE_S = 2.0
_PAUSE = NUMBERS["pause"]
_RESTART = b"%d" % NUMBERS["restart_syscall"]
TASK_MAKERS = frozenset(("clone", "clone3", "fork", "vfork", "getpid", "gettid", "getppid", "setsid", "getsid", "getpgid", "getpgrp"))
"""Calls whose result is the number of a task, which every run has others of."""
ADDR_NO_RANDOMIZE = 0x0040000
SIGNALS = (*range(1, 32), *range(34, 65))
NOT_BACK = -(1 << 62)
"""What a line that blocks has returned while it has not come back."""


class Seen(Record):
    """What one line returned and wrote."""

    result: int
    data: tuple[bytes, ...] = ()

    @property
    def error(self) -> int:
        """The errno, or 0."""
        return -self.result if -4096 < self.result < 0 and self.result != NOT_BACK else 0


class _Placed:
    # the words and buffers of one line, as they are put into the subject's memory
    def __init__(self, at: int) -> None:
        self.start = self.at = at
        self.image = bytearray()
        self.rooms: list[tuple[int, int]] = []

    def put(self, data: bytes, size: int = 0) -> int:
        self.image += bytes(-len(self.image) % 16)
        address = self.start + len(self.image)
        self.image += data.ljust(max(size, len(data), 1), b"\0")
        self.at = self.start + len(self.image)
        return address


class Subject:
    """One running subject.

    Needs:   the caller may trace its own children, and reaps orphans that come to it
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.names: dict[str, int] = {}
        self.rooms: dict[str, tuple[int, int]] = {}
        self.made: set[int] = set()  # pids and tids that lines have returned
        self.blocked: dict[int, tuple[Line, int, list[tuple[int, int]]]] = {}  # by tid: what it is inside of
        self._at = _LASTING

    @classmethod
    def start(cls, path: str) -> Subject:
        """Start one from the file at `path`, which is written where it is not there."""
        if not os.path.exists(path):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
            os.write(fd, x86_64.subject_elf())
            os.close(fd)
        null: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_OPEN, n, "/dev/null", os.O_RDWR, 0) for n in range(3)]
        own = ptrace.syscall(NUMBERS["personality"], 0xFFFFFFFF)
        ptrace.syscall(NUMBERS["personality"], own | ADDR_NO_RANDOMIZE)  # every subject has the same addresses
        try:
            made = cls(os.posix_spawn(path, ["subject"], {}, file_actions=null, setsid=True, setsigmask=[], setsigdef=SIGNALS))
        finally:
            ptrace.syscall(NUMBERS["personality"], own)
        # posix_spawn returns when execve(2) has let the old memory go, before the new one is mapped (fs/exec.c: exec_mmap)
        _until(lambda: _inside(made.pid, _PAUSE), made.pid, "does not start")
        made.run((Line("close_range", (3, 0x7FFFFFFF, 0)), Line("personality", (own,))), passing=True)
        return made

    # --- lines

    def run(self, lines: Iterable[Line], *, passing: bool = False) -> list[Seen]:
        """Make lines one after the other; what each returned.

        Shape:   one for each line; NOT_BACK for one that blocks. `passing`: nothing later names their results
        Raises:  target_changed.*: a task died, or a line that must not block did not come back
        """
        at, out = self._at, []
        grips: dict[int, _Grip] = {}
        if passing:
            at = _PASSING
        try:
            for line in lines:
                seen, at = self._line(line, at, grips)
                out.append(seen)
                if not passing:
                    self._at = at
        finally:
            for grip in grips.values():
                grip.leave()
        return out

    def _line(self, line: Line, at: int, grips: dict[int, _Grip]) -> tuple[Seen, int]:
        tid = self.names[line.actor] if line.actor else self.pid
        placed = _Placed(at)
        slot = placed.put(NOT_BACK.to_bytes(8, "little", signed=True))
        args = tuple(self._value(a, placed) & x86_64.MASK for a in line.args)
        if placed.at + 16 > (_END if at >= _PASSING else _PASSING):
            raise TargetChanged(
                "subject.room", f"the lines need more than {x86_64.SUBJECT_SCRATCH_SIZE >> 10} KiB of buffers", where=str(line)
            )
        if line.call == "peek":
            return Seen(0, (ptrace.read_memory(tid, args[0], args[1]),)), at
        ptrace.write_memory(tid, placed.start, bytes(placed.image))
        if line.call == "poke":
            assert isinstance(line.args[1], bytes)
            ptrace.write_memory(tid, args[0], line.args[1])
            return Seen(0), placed.at
        grip = grips.get(tid)
        if grip is None:
            if tid in self.blocked:
                self.back(tid)
            grip = grips[tid] = _Grip(tid)
        number = NUMBERS[line.call]
        if line.blocks:
            grip.send(number, args, slot)
            del grips[tid]
            self.blocked[tid] = (line, slot, placed.rooms)
            _until(lambda: _inside(tid, number) or self._word(tid, slot) != NOT_BACK, tid, "does not block")
            return Seen(NOT_BACK), placed.at
        if line.call in ("exit", "exit_group"):
            grip.send(number, args, slot)
            del grips[tid]
            try:
                _until(lambda: _state(tid) in "XZ", tid, "does not end")
            except TargetChanged:
                if os.path.exists(f"/proc/{tid}"):
                    raise
            if tid == self.pid and len(os.listdir(f"/proc/{tid}/task")) == 1:
                raise _died(tid, "it ended itself")
            return Seen(0), placed.at
        result = grip.call(number, args, slot)
        if line.call in TASK_MAKERS and result > 0:
            self.made.add(result)
        if line.result:
            self.names[line.result] = result
        return Seen(result, self._data(tid, placed.rooms)), placed.at

    def returned(self, tid: int) -> int:
        """What the line that a task was left in has returned; NOT_BACK while it waits."""
        return self._word(tid, self.blocked[tid][1])

    def _word(self, tid: int, address: int) -> int:
        return int.from_bytes(ptrace.read_memory(tid, address, 8), "little", signed=True)

    def _data(self, tid: int, rooms: list[tuple[int, int]]) -> tuple[bytes, ...]:
        out = []
        for address, size in rooms:
            try:
                out.append(ptrace.read_memory(tid, address, size))
            except OSError:
                out.append(b"")  # the task unmapped its own buffers, or is gone with the call
        return tuple(out)

    def back(self, tid: int, patience_s: float = _PATIENCE_S) -> Seen:
        """Wait until a task has come back from the line that it was blocked in; what that returned.

        Raises:  target_changed.subject.blocked: it does not come back
        """
        line, slot, rooms = self.blocked[tid]
        _until(lambda: _inside(tid, _PAUSE), tid, f"does not come back from {line}", patience_s)
        del self.blocked[tid]
        result = self._word(tid, slot)
        if line.result:
            self.names[line.result] = result
        return Seen(result, self._data(tid, rooms))

    # --- arguments

    def _value(self, value: Value | Pointer, placed: _Placed) -> int:
        if isinstance(value, int):
            return value
        if isinstance(value, Const):
            return value.value
        if isinstance(value, Ref):
            return self.names[value.name] + value.add
        if isinstance(value, Taken):
            address, _ = self.rooms[value.name]
            return int.from_bytes(ptrace.read_memory(self.pid, address + value.offset, value.size), "little")
        if isinstance(value, bytes):
            return placed.put(value)
        if isinstance(value, Room):
            address = placed.put(value.initial, value.size)
            placed.rooms.append((address, value.size))
            if value.name:
                self.rooms[value.name] = (address, value.size)
            return address
        if isinstance(value, Pointer):
            return self._value(value.to, placed)
        assert isinstance(value, Parts)
        body = b""
        for part in value.parts:
            if isinstance(part, bytes):
                body += part
            else:
                size = 8 if isinstance(part, Pointer) else part.size
                body += (self._value(part, placed) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        return placed.put(body)

    def settle(self, patience_s: float = _PATIENCE_S) -> None:
        """Wait until every task sleeps where it was: in its pause, inside the line that it is blocked in, or back from it.

        Raises:  target_changed.*: one is gone or runs on
        """
        if not self.alive() and len(os.listdir(f"/proc/{self.pid}/task")) == 1:
            raise _died(self.pid, "gone")
        for pid in self.tasks().values():
            for tid in map(int, os.listdir(f"/proc/{pid}/task")):
                if (tid != self.pid and _state(tid) == "Z") or _works_for_the_kernel(tid):
                    continue
                inside = NUMBERS[self.blocked[tid][0].call] if tid in self.blocked else _PAUSE
                _until(lambda t=tid, n=inside: _inside(t, n) or _inside(t, _PAUSE) or _state(t) in "TtZ", tid, "does not sleep", patience_s)  # type: ignore[misc]

    # --- the end

    def tasks(self) -> dict[str, int]:
        """Every process of the subject by the name of the line that made it; the first is `leader`."""
        mine = set(descendants(self.pid))
        return {"leader": self.pid} | {n: v for n, v in self.names.items() if v in mine}

    def alive(self) -> bool:
        """Whether the first process is there and no zombie."""
        return _state(self.pid) not in "XZ"

    def end(self) -> None:
        """Kill every task of it and wait until none is there."""
        end_tree(self.pid)


def end_tree(pid: int) -> None:
    """Kill a tree of ours, stopped tasks too, and reap what of it is or becomes our child."""
    gone: list[int] = []
    for _ in range(64):
        found = [p for p in (pid, *descendants(pid)) if p not in gone]
        if not found:
            break
        for one in found:
            try:
                os.kill(one, 9)
            except ProcessLookupError:
                pass
            gone.append(one)
    reap(gone)


def reap(pids: Iterable[int]) -> None:
    """Wait until processes that were killed are gone, so that their pids are free."""
    left, deadline = list(pids), time.monotonic() + 10.0
    # in any order: the first process of a pid namespace ends when all others of it were reaped
    while left := [one for one in left if not _reap(one)]:
        if time.monotonic() > deadline:
            raise TargetChanged(
                "subject.blocked", f"task {left[0]} of the subject does not end within 10 s", where=f"/proc/{left[0]}/status"
            )
        time.sleep(0.0001)


def _reap(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG | ptrace.WALL)[0] == pid
    except ChildProcessError:
        return not os.path.exists(f"/proc/{pid}")


class _Grip:
    # one task in our hands while it makes calls
    def __init__(self, tid: int) -> None:
        self.tid = tid
        try:
            ptrace.request(ptrace.SEIZE, tid, 0, ptrace.O_TRACESYSGOOD)
        except OSError as cause:
            raise _died(tid, f"it cannot be seized: {cause.strerror}") from cause
        self.held = True
        ptrace.request(ptrace.INTERRUPT, tid)
        while self._wait() >> 16 != ptrace.EVENT_STOP:
            pass

    def _wait(self, patience_s: float = _PATIENCE_S) -> int:
        status = wait_status(self.tid, patience_s)
        if not os.WIFSTOPPED(status):
            self.held = False
            raise _died(self.tid, f"status {status:#x}")
        signal = os.WSTOPSIG(status)
        # a signal that is delivered goes through as if nobody looked
        self.signal = 0 if status >> 16 or signal == 5 | _STOPPED else signal
        return status

    def _next(self) -> Registers:
        # on to the next stop at a system call
        while True:
            ptrace.request(ptrace.SYSCALL, self.tid, 0, self.signal)
            if os.WSTOPSIG(self._wait()) == 5 | _STOPPED:
                return Registers(ptrace.get_registers(self.tid))

    def _enter(self, number: int, args: tuple[int, ...], slot: int) -> None:
        regs = Registers(ptrace.get_registers(self.tid))
        regs.enter_gate(number, args, slot)
        ptrace.set_registers(self.tid, regs.pack())
        while self._next()["rip"] != x86_64.SUBJECT_GATE + 2:
            pass  # a handler that ends

    def call(self, number: int, args: tuple[int, ...], slot: int) -> int:
        self._enter(number, args, slot)
        regs = self._next()
        value = regs["rax"]
        regs.enter_idle()
        ptrace.set_registers(self.tid, regs.pack())
        return value - (1 << 64) if value >> 63 else value

    def send(self, number: int, args: tuple[int, ...], slot: int) -> None:
        # Not from inside the call: whoever is let go there has TIF_SIGPENDING set (kernel/ptrace.c: __ptrace_unlink), and a wait that
        # is never restarted would say EINTR at once.
        regs = Registers(ptrace.get_registers(self.tid))
        regs.enter_gate(number, args, slot)
        ptrace.set_registers(self.tid, regs.pack())
        self.held = False
        ptrace.request(ptrace.DETACH, self.tid, 0, self.signal)

    def leave(self) -> None:
        if not self.held:
            return
        self.held = False
        try:
            regs = Registers(ptrace.get_registers(self.tid))
            regs.enter_idle()
            ptrace.set_registers(self.tid, regs.pack())
            ptrace.request(ptrace.DETACH, self.tid, 0, self.signal)
            _until(lambda: _inside(self.tid, _PAUSE) or _state(self.tid) in "TXZ", self.tid, "does not pause")
        except (ProcessLookupError, TargetChanged):
            pass  # it is gone: whoever looks next will say so


def _died(tid: int, how: str) -> TargetChanged:
    return TargetChanged("subject.died", f"task {tid} of the subject ended while a line was made ({how})")


def _state(tid: int) -> str:
    try:
        with open(f"/proc/{tid}/stat", "rb", 0) as f:
            return f.read(1024).rpartition(b")")[2].split()[0].decode()
    except OSError:
        return "X"


_PF_IO_WORKER, _PF_USER_WORKER = 0x10, 0x4000


def _works_for_the_kernel(tid: int) -> bool:
    # a thread that the kernel made in the process, as io_uring does: it runs no program (include/linux/sched.h)
    try:
        with open(f"/proc/{tid}/stat", "rb", 0) as f:
            return bool(int(f.read(1024).rpartition(b")")[2].split()[6]) & (_PF_IO_WORKER | _PF_USER_WORKER))
    except OSError:
        return False


def _inside(tid: int, number: int) -> bool:
    # whether a task sleeps inside this call (proc_pid_syscall(5))
    try:
        with open(f"/proc/{tid}/syscall", "rb", 0) as f:
            found = f.read(64).partition(b" ")[0]
            # a timed wait that was let go by a tracer waits on in restart_syscall(2)
            return found in (str(number).encode(), _RESTART if number != _PAUSE else b"") and _state(tid) in "SD"
    except OSError:
        return False


def _until(ready: Callable[[], bool], tid: int, what: str, patience_s: float = _PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    spin = 0
    while not ready():
        if not os.path.exists(f"/proc/{tid}"):
            raise _died(tid, "gone")
        if time.monotonic() > deadline:
            raise TargetChanged(
                "subject.blocked", f"task {tid} of the subject {what} within {patience_s:g} s", where=f"/proc/{tid}/syscall"
            )
        spin += 1
        if spin < 200:
            os.sched_yield()
        else:
            time.sleep(0.0002)


def descendants(pid: int) -> list[int]:
    """Every process below one, parents first."""
    out: list[int] = []
    for one in _children(pid):
        out += [one, *descendants(one)]
    return out


def _children(pid: int) -> list[int]:
    out: list[int] = []
    try:
        tids = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return out
    for tid in tids:
        try:
            with open(f"/proc/{pid}/task/{tid}/children", "rb", 0) as f:
                out += map(int, f.read(1 << 16).split())
        except OSError:
            continue
    return out


def own_numbers(subject: Subject) -> frozenset[int]:
    """Numbers of a run that another run has others for: pids, and results above 4095 that are addresses."""
    return frozenset((subject.pid, *subject.made, *(v for v in subject.names.values() if v > 4095)))
