"""Run programs inside a stopped thread; its registers and signal mask come back on every exit.

The first call into a process (mmap of our area) and the last (munmap) are single system calls at a syscall instruction
that the process has already; everything between is done by the loop of tracee/arch. Single calls are made by
PTRACE_SYSCALL, which needs no trap instruction. While a program runs every signal is blocked except the one that the loop
stops itself with: one that the target ignores and that is not pending, so that it does no harm even where we are
killed before we can swallow it. Where the target ignores none, the loop sends itself none (signal 0): it is followed from call to call
until it pauses, which is slower.
"""

from __future__ import annotations

import os
from errno import EACCES, EAGAIN, EINTR, ENOMEM

from holdfast.errors import InternalError, Refused
from holdfast.kernel.uapi.syscalls import X86_64 as NUMBERS
from holdfast.model.census import Refusal
from holdfast.prog.lower import Lowered, lower
from holdfast.tracee import ptrace
from holdfast.tracee.arch.x86_64 import LOOP, MASK, Registers
from holdfast.tracee.seize import SIGSTOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.prog.call import Answers, Program
    from holdfast.tracee.gadget import Gadget
    from holdfast.tracee.guard import Guard
    from holdfast.tracee.seize import Thread

PAGE = 4096
SIGWINCH, SIGURG, SIGCHLD = 28, 23, 17


class CallFailed(InternalError):
    """A call of a program did not return what it must; the program stopped there."""

    def __init__(self, call: object, result: int, tid: int, answers: Answers | None = None) -> None:
        self.errno = -result if -4096 < result < 0 else 0
        super().__init__(
            "remote_call",
            f"{call!r} in task {tid} returned {result}" + (f" ({os.strerror(self.errno)})" if self.errno else ""),
            where=f"task {tid}",
        )
        self.call, self.result, self.answers = call, result, answers


def quiet_signal(ignored: int, caught: int, pending: int) -> int:
    """The signal that the loop stops itself with: ignored by the target and not pending; 0 where there is none.

    Shape:   masks as in /proc/PID/status, bit n-1 for signal n
    Source:  signal(7): SIGCHLD, SIGURG and SIGWINCH are ignored by default
    """
    signal: int
    for signal in (SIGWINCH, SIGURG, SIGCHLD):
        if not (caught | pending) >> (signal - 1) & 1:
            return signal
    for signal in (*range(34, 65), *range(1, 32)):
        if signal not in (9, 18, 19, 20, 21, 22) and (ignored & ~pending) >> (signal - 1) & 1:
            return signal
    return 0


def blocked(signal: int) -> int:
    """The mask while a hand is in: everything but the signal that the loop stops itself with."""
    return MASK & ~(1 << (signal - 1)) if signal else MASK


class Area:
    """Memory of ours inside one address space: a page of code, then tables and data, and a last page that nobody touches."""

    __slots__ = ("base", "size")

    def __init__(self, base: int, size: int) -> None:
        self.base, self.size = base, size

    @property
    def table(self) -> int:
        """Where programs are placed."""
        return self.base + PAGE

    @property
    def room(self) -> int:
        """The largest program that fits, in bytes."""
        return self.size - 2 * PAGE


class Hand:
    """Our hand inside one stopped thread.

    Needs:   the thread is stopped by us
    """

    def __init__(self, thread: Thread, gadget: Gadget, signal: int = SIGWINCH, guard: Guard | None = None) -> None:
        self.thread, self.gadget, self.signal, self.guard = thread, gadget, signal, guard
        self.tid = thread.tid
        self.process_pid = thread.tid  # of its process; differs for threads that are not the leader
        self.registers = Registers(thread.original)
        self.area: Area | None = None
        self._masked = False
        self._lowered: Lowered | None = None
        self._running = False  # a program was started and has not stopped yet
        self.owed: Program | None = None  # what the next program begins with
        self.given: set[int] = set()  # descriptors that we made in the process (tracee/handover.py)
        self._saved_stack: tuple[int, bytes] | None = None

    # --- single calls

    def _enter(self) -> None:
        if not self._masked:
            mask = self.thread.mask
            if self.guard is not None:
                self.guard.note(self.tid, self.process_pid, mask, self.gadget, self.signal, self.thread.original)
            ptrace.set_sigmask(self.tid, blocked(self.signal))
            self._masked = True
            self.thread.injected = True

    def _step(self) -> None:
        # on to the next syscall stop, past group-stop reports
        while True:
            ptrace.request(ptrace.SYSCALL, self.tid)
            status = self.thread.wait()
            stop = os.WSTOPSIG(status)
            if stop == 5 | 0x80:
                return
            if status >> 16 == ptrace.EVENT_STOP:
                continue
            self._unexpected(status)

    def _unexpected(self, status: int) -> None:
        signal = os.WSTOPSIG(status)
        if status >> 16 == 0 and signal == SIGSTOP:
            self.thread.deferred.append(SIGSTOP)  # cannot be blocked; it is sent again when the task is let go
            if self.guard is not None:
                self.guard.note_deferred(self.tid, len(self.thread.deferred))
            return
        raise InternalError(
            "stop", f"task {self.tid} stopped with status {status:#x} at {Registers(ptrace.get_registers(self.tid))['rip']:#x}"
        )

    def single(self, name: str, *args: int) -> int:
        """One system call at the process's own syscall instruction; the raw result.

        Needs:   PTRACE_O_TRACESYSGOOD is set on the thread
        """
        self._enter()
        regs = self.registers
        result = 0
        for attempt in (1, 2):
            regs.enter_call(self.gadget.syscall, NUMBERS[name], args)
            if self.gadget.spin:
                self._guard_stack(regs)
            ptrace.set_registers(self.tid, regs.pack())
            self._step()
            self._step()
            raw = Registers(ptrace.get_registers(self.tid))["rax"]
            result = raw - (1 << 64) if raw >> 63 else raw
            if result in (-512, -513, -514, -EINTR) and attempt == 1:
                continue
            return result
        return result

    def interrupted(self, name: str, *args: int) -> int:
        """Begin a call that waits and interrupt it at once; the raw result, -ERESTART_RESTARTBLOCK where it would wait.

        The kernel keeps then how to go on with it, until the thread is let go with that result in its registers.
        Source:  Linux kernel/signal.c recalc_sigpending_tsk (a stop that is asked for counts as a signal), include/linux/restart_block.h
        """
        self._enter()
        self.registers.enter_call(self.gadget.syscall, NUMBERS[name], args)
        ptrace.set_registers(self.tid, self.registers.pack())
        self._step()
        ptrace.request(ptrace.INTERRUPT, self.tid)
        self._step()
        raw = Registers(ptrace.get_registers(self.tid))["rax"]
        return raw - (1 << 64) if raw >> 63 else raw

    def _guard_stack(self, regs: Registers) -> None:
        # where we are killed inside the call, the task returns from the gadget into an endless loop, not into nowhere
        stack = (Registers(self.thread.original)["rsp"] - 256) & ~15
        if self._saved_stack is None:
            try:
                old = ptrace.read_memory(self.tid, stack, 8)
                if self.guard is not None:
                    self.guard.note_stack(self.tid, stack, old)
                ptrace.write_memory(self.tid, stack, self.gadget.spin.to_bytes(8, "little"))
            except OSError:
                self.gadget = self.gadget.replace(spin=0)
                return
            self._saved_stack = (stack, old)
        regs["rsp"] = stack
        regs["rbp"] = stack - 8  # for a gadget that ends in leave; ret

    def _unguard_stack(self) -> None:
        if self._saved_stack is not None:
            ptrace.write_memory(self.tid, *self._saved_stack)
            self._saved_stack = None
            if self.guard is not None:
                self.guard.note_stack(self.tid, 0, bytes(8))

    # --- programs

    def map_area(self, size: int, at: int = 0) -> Area:
        """Map an area for programs into the thread's process.

        Raises:  internal.remote_call: mmap failed
                 refused.dump: the process's limits leave no room, and may not be raised
        """
        size = (size + PAGE - 1) // PAGE * PAGE
        self._enter()
        if self.guard is not None:
            self.guard.note_wanted(self.tid, size)
        base, split = self._map(size, at)
        if base in (-ENOMEM, -EAGAIN):
            from holdfast.tracee.limits import Raised  # only a process that has lowered its limits needs it

            with Raised(self.process_pid, self._note_limits):
                base, split = self._map(size, at)
            if base in (-ENOMEM, -EAGAIN):
                raise _no_room(self.process_pid, size, base)
        if -4096 < base < 0:
            raise CallFailed("mmap", base, self.tid)
        self.use_area(Area(base, size))
        if self.guard is not None:
            self.guard.note_area(self.tid, base, size)
        (ptrace.force_memory if split else ptrace.write_memory)(self.tid, base, LOOP)
        if self.guard is not None:
            self.guard.note_wanted(self.tid, 0)
        # from here on it would pause in the area where we are killed; its stack is as it was, also for who copies it
        self.registers.enter_pause(base)
        ptrace.set_registers(self.tid, self.registers.pack())
        self._unguard_stack()
        assert self.area is not None
        return self.area

    def _note_limits(self, limits: Sequence[tuple[int, int, int]]) -> None:
        if self.guard is not None:
            self.guard.note_limits(self.tid, limits)

    # where the area is, or the negative error; and whether its code is apart
    def _map(self, size: int, at: int) -> tuple[int, bool]:
        flags = 0x22 | (0x100000 if at else 0)
        base = self.single("mmap", at, size, 7, flags, MASK, 0)
        split = base == -EACCES
        if split:
            # no memory may be writable and executable (prctl(2) PR_SET_MDWE): a page of code that its tracer alone writes
            base = self.single("mmap", at, size, 3, flags, MASK, 0)
            if base > 0:
                base = self.single("mmap", base, PAGE, 5, 0x32, MASK, 0)
        return base, split

    def use_area(self, area: Area) -> None:
        """Use an area that the thread's address space has already."""
        self.area = area

    def unmap_area(self) -> None:
        """Remove the area; programs can no longer run."""
        if self.area is not None:
            for fd in sorted(self.given):
                self.single("close", fd)
            self.given.clear()
            result = self.single("munmap", self.area.base, self.area.size)
            if result < 0:
                raise CallFailed("munmap", result, self.tid)
            self.area = None
            if self.guard is not None:
                self.guard.note_area(self.tid, 0, 0)

    def start(self, program: Program, offset: int = 0) -> None:
        """Let the thread run a program, placed `offset` bytes into the table space.

        Raises:  internal.area: the program does not fit
        """
        area = self.area
        if area is None:
            raise InternalError("area", f"task {self.tid} has no area")
        self._enter()
        if self.owed is not None:
            first, self.owed = self.owed, None
            first.extend(program)
            program = first
        lowered = self._lowered = lower(program, area.table + offset, NUMBERS)
        if lowered.size + offset > area.room:
            raise InternalError("area", f"a program of {lowered.size} bytes does not fit {area.room - offset} in task {self.tid}")
        ptrace.write_memory(self.tid, lowered.base, lowered.image)
        regs = self.registers
        regs.enter_loop(area.base, lowered.base, self.signal)
        ptrace.set_registers(self.tid, regs.pack())
        ptrace.request(ptrace.CONT if self.signal else ptrace.SYSCALL, self.tid)
        self._running = True

    def finish(self) -> Answers:
        """Wait for a started program; its results.

        Raises:  internal.remote_call: a call did not return what it must
                 target_changed.died: the task ended
        """
        lowered = self._lowered
        assert lowered is not None
        self._await_end()
        memory = ptrace.read_memory(self.tid, lowered.base, lowered.size)
        answers = lowered.answers(memory)
        at = Registers(ptrace.get_registers(self.tid))["rbx"]
        failed = lowered.row_of(at)
        if failed is not None:
            raise CallFailed(failed, answers.value(failed), self.tid, answers)
        return answers

    def _await_end(self) -> None:
        # until the loop has stopped itself, or is about to pause
        while True:
            status = self.thread.wait()
            stop = os.WSTOPSIG(status)
            if status >> 16 == 0 and stop == (self.signal or 5 | 0x80):
                if self.signal:
                    break
                if Registers(ptrace.get_registers(self.tid))["orig_rax"] == NUMBERS["pause"]:
                    self._leave_call()
                    break
            elif status >> 16 != ptrace.EVENT_STOP:
                self._unexpected(status)
            ptrace.request(ptrace.CONT if self.signal else ptrace.SYSCALL, self.tid)
        self._running = False

    def _leave_call(self) -> None:
        # from the stop before a call to the one behind it, without making it
        regs = Registers(ptrace.get_registers(self.tid))
        regs["orig_rax"] = MASK
        ptrace.set_registers(self.tid, regs.pack())
        self._step()

    def run(self, program: Program, offset: int = 0) -> Answers:
        """Run a program to its end; its results."""
        self.start(program, offset)
        return self.finish()

    # --- leaving

    def leave(self) -> None:
        """Remove the area, put registers and signal mask back: the thread is as it was when it stopped.

        The stop that follows a system call is not one where the kernel restarts an interrupted call (it does that only on
        the way through get_signal, arch/x86/kernel/signal.c), so a trap stop is asked for before the registers go back.
        """
        if self._running:  # whoever started it never came to hear of its end
            self._await_end()
        self.unmap_area()
        self.settle()

    def settle(self) -> None:
        """Put registers and mask back without touching the area."""
        if self._masked:
            self.force_settle()

    def force_settle(self) -> None:
        """Put registers and mask back, whoever changed them."""
        if self._running:
            self._await_end()
        self.to_trap_stop()
        ptrace.set_registers(self.tid, self.thread.original)
        self._unguard_stack()
        ptrace.set_sigmask(self.tid, self.thread.mask)
        self._masked = False
        self.thread.injected = False
        if self.guard is not None:
            self.guard.note_out(self.tid)

    def to_trap_stop(self) -> None:
        """Bring the thread to a ptrace-stop inside get_signal without running an instruction of its own."""
        ptrace.request(ptrace.INTERRUPT, self.tid)
        ptrace.request(ptrace.CONT, self.tid)
        while True:
            status = self.thread.wait()
            if status >> 16 == ptrace.EVENT_STOP:
                return
            self._unexpected(status)
            ptrace.request(ptrace.CONT, self.tid)


def _no_room(pid: int, size: int, result: int) -> Refused:
    told = Refusal(
        "memory_limit",
        f"pid {pid} cannot be dumped: its limits leave no room for {size >> 10} KiB of Holdfast's own: {os.strerror(-result)}",
        f"/proc/{pid}/limits",
        "nothing more can be mapped where a limit on memory is used up, and raising a hard limit needs CAP_SYS_RESOURCE; getrlimit(2)",
        "raise its hard limits (prlimit(1) --as, --data, --memlock), or run Holdfast with CAP_SYS_RESOURCE",
    )
    return Refused("dump", told.what, refusals=[told])
