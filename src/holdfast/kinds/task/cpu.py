"""task.cpu: what the processor held for a thread: registers, extended state, the system call that was interrupted.

Carries:  every general register, fs and gs base, the whole XSAVE state; a system call that was waiting is made again or ends as the
          kernel would have ended it; what remains of a time limit, where live kernel structs may be read.
Loses:    where they may not be, nanosleep, poll, and futex waits with a relative timeout start their time anew if the program gave no
          place for what remains, and one that was stopped before ends with EINTR. So does a sleep on a clock of CPU time or an alarm
          clock. A wait that another machine restores keeps absolute times. epoll_wait, rt_sigtimedwait, semtimedop and io_getevents
          with a time limit, and calls on a socket with a timeout, end with EINTR at any stop, as signal(7) says, and so does the mask
          that such a call came with; without a limit they are made again. A write, or a receive with MSG_WAITALL, that has done a
          part returns that. A check tells what a dump would, but of parts. ppoll, pselect6 and select write what remains to where
          their limit is at any stop, and not only when they end.
Sources:  ptrace(2), Linux arch/x86/kernel/signal.c (arch_do_signal_or_restart), kernel/signal.c (restart_block).
"""

from __future__ import annotations

from struct import Struct as Format

from holdfast.kinds import tasks, waits
from holdfast.kinds.contract import Claim, Difference, Kind, Loss, Refusal, Struct, Unchecked, verbs
from holdfast.model.ids import Fd
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.model.ids import ObjectId

REGISTERS = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs".split()
PRSTATUS = Format("<27Q")
RESTARTS = tuple((1 << 64) - n for n in (512, 513, 514, 516))  # ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK
ARGUMENTS = "rdi rsi rdx r10 r8 r9".split()
# restart_syscall(2), and the call that its restart block stands for: nanosleep and clock_nanosleep have one
RESTART_SYSCALL, AGAIN = 219, {"nanosleep": 230, "futex": 202, "poll": 7}
FUTEX_COMMAND, FUTEX_WAIT = 0x7F, 0
SOL_SOCKET, O_NONBLOCK = 1, 0o4000
USER_CS = (0x33,)


class Wait(Record):
    """What remained of a wait, and where nanosleep tells what remains if it ends early (0: nowhere)."""

    call: str  # nanosleep, futex or poll
    clock: str
    remaining_ns: int
    remainder: int = 0


class Cpu(Record):
    """One thread's processor state; `xstate` is in the XSAVE standard format of the machine that `show` names."""

    r15: int
    r14: int
    r13: int
    r12: int
    rbp: int
    rbx: int
    r11: int
    r10: int
    r9: int
    r8: int
    rax: int
    rcx: int
    rdx: int
    rsi: int
    rdi: int
    orig_rax: int
    rip: int
    cs: int
    eflags: int
    rsp: int
    ss: int
    fs_base: int
    gs_base: int
    ds: int
    es: int
    fs: int
    gs: int
    xstate: bytes
    wait: Wait | None = None


def detect(ev: ThreadEvidence) -> Claim | None:
    """Every thread."""
    return Claim()


def refuse(ev: ThreadEvidence, kernel: Probes) -> Iterator[Verdict]:
    """32-bit code, and waits whose remaining time nobody can read."""
    if ev.stopped is None:
        yield from _running(ev)
        return
    regs = dict(zip(REGISTERS, PRSTATUS.unpack(ev.stopped.registers), strict=True))
    if regs["cs"] not in USER_CS:
        yield Refusal(
            "task.cpu.mode",
            f"thread {int(ev.tid)} runs in code segment {regs['cs']:#x}",
            f"/proc/{int(ev.process.pid)}/task/{int(ev.tid)}",
            "only 64-bit user code (cs 0x33) is carried",
            "none known",
        )
    if ev.stopped.io_ports:
        yield Refusal(
            "task.cpu.io_ports",
            f"thread {int(ev.tid)} of pid {int(ev.process.pid)} may use I/O ports",
            f"/proc/{int(ev.process.pid)}/task/{int(ev.tid)}",
            "ioperm(2), iopl(2): no kind carries the right to I/O ports",
            "give the ports back and retry",
        )
    if ev.stopped.debug_control:
        yield Refusal(
            "task.cpu.debug_registers",
            f"{tasks.who(ev)} cannot be dumped: a debugger has left breakpoints in its debug registers",
            tasks.where(ev, ""),
            f"debug control register {ev.stopped.debug_control:#x}, ptrace(2) PTRACE_PEEKUSER: no kind carries them",
            "let the debugger delete its hardware breakpoints and watchpoints before it detaches",
        )
    status = ev.status
    handled = bool((status.pending | status.shared_pending) & ~status.blocked)
    arguments = [regs[r] for r in ARGUMENTS]

    def blocks(fd: int) -> bool:
        file = ev.process.fds.get(Fd(fd))
        return file is not None and not file.flags & O_NONBLOCK

    lost = waits.of_stopped(regs["rax"], regs["orig_rax"], arguments, handled, ev.stopped.restart is not None, blocks)
    if lost:
        yield _told(ev, lost)


def _told(ev: ThreadEvidence, lost: str) -> Loss:
    if lost.endswith(waits.PART):
        return Loss("task.cpu", ev.id, lost, "signal(7): what it has not done yet would be another call")
    if lost.endswith(waits.ENDS):
        return Loss("task.cpu", ev.id, lost, "signal(7): how long it has waited cannot be seen")
    return Loss("task.cpu", ev.id, lost, "the kernel's restart block could not be read")


# The same of a thread that runs: what it is blocked in now.
def _running(ev: ThreadEvidence) -> Iterator[Verdict]:
    try:
        text = ev.read("syscall")
    except FileNotFoundError:  # no CONFIG_HAVE_ARCH_TRACEHOOK, or it has just ended
        return
    except PermissionError:
        yield Unchecked("task.cpu", f"which system call {tasks.who(ev)} waits in", "who may trace it may read it, proc_pid_syscall(5)")
        return

    def limited(fd: int, option: int) -> bool:
        file = ev.process.fds.get(Fd(fd))
        return file is not None and file.link.startswith(b"socket:") and any(file.borrowed.getsockopt(SOL_SOCKET, option, 16))

    lost = waits.of_running(text, limited, ev.tree.sees_waits)
    if lost:
        yield _told(ev, lost)


def dump(ev: ThreadEvidence) -> Cpu:
    """The state at the stop."""
    assert ev.stopped is not None
    regs = dict(zip(REGISTERS, PRSTATUS.unpack(ev.stopped.registers), strict=True))
    restart, wait = ev.stopped.restart, None
    if restart is not None:
        if regs["orig_rax"] == RESTART_SYSCALL:
            regs["orig_rax"] = AGAIN[restart.call]
        # a futex wait until a moment keeps it, in its own arguments
        if restart.remaining_ns is not None and (restart.call != "futex" or regs["rsi"] & FUTEX_COMMAND == FUTEX_WAIT):
            wait = Wait(restart.call, restart.clock, restart.remaining_ns, restart.remainder)
    return Cpu(**regs, xstate=ev.stopped.xstate, wait=wait)


def restore(rec: Cpu, steps: Steps) -> None:
    """Nothing to emit: the engine sets registers last of all, through ptrace."""


def compare(before: Cpu, after: Cpu, where: ObjectId) -> Iterator[Difference]:
    """Every register; an interrupted call as it is set up to be made again, which is how it is restored. A wait may be over."""
    on, again = _going_on(before), _going_on(after)
    if before.wait is not None and after.rip == before.rip and after.orig_rax >> 63:
        again = on
    for name, value in before.items():
        now = getattr(after, name)
        if name == "xstate":
            value, now = _used_xstate(value), _used_xstate(now)
        elif name in on:
            value, now = on[name], again[name]
        elif name in ("orig_rax", "wait"):
            continue
        if value != now:
            yield Difference("task.cpu", where, name, value, now)


# Where a thread goes on and with what, as the kernel decides it on the way out of a stop: arch_do_signal_or_restart.
def _going_on(rec: Cpu) -> dict[str, int]:
    if rec.orig_rax >> 63 == 0 and rec.rax in RESTARTS:
        return {"rax": rec.orig_rax, "rip": rec.rip - 2}
    return {"rax": rec.rax, "rip": rec.rip}


def _used_xstate(raw: bytes) -> bytes:
    # the reserved 48 bytes at 464 are the kernel's own note of the sizes (struct _fpx_sw_bytes)
    return raw[:464] + bytes(48) + raw[512:]


KIND: Any = Kind(
    "task.cpu",
    record=Cpu,
    subject="thread",
    watches=(Struct("thread_struct"), Struct("fpu"), Struct("fpstate"), Struct("restart_block")),
    verbs=verbs(__name__),
)
