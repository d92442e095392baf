"""Stop and resume a tree of tasks, leaving no trace of having been there.

A stopped thread is resumed with the registers, signal mask and stop state that it had. PTRACE_O_EXITKILL is never
set on a target: if we die, it runs on.
"""

from __future__ import annotations

import os
import time
from errno import ECHILD, EIO, EPERM, ESRCH

from holdfast.errors import Refused, TargetChanged
from holdfast.tracee import ptrace, rseq
from holdfast.tracee.arch.x86_64 import Registers
from holdfast.tracee.reachable import PATIENCE_S, unstoppable, wait_until_reachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

SIGSTOP = 19


class Thread:
    """One thread that we hold: its registers and signal mask as they were when it stopped."""

    __slots__ = ("_mask", "_raw", "deferred", "group_stop", "injected", "tid")

    def __init__(self, tid: int) -> None:
        self.tid = tid
        self.group_stop = 0  # the signal of the job-control stop that it is in
        self.injected = False
        self.deferred: list[int] = []
        self._raw: bytes | None = None
        self._mask: int | None = None

    @property
    def original(self) -> bytes:
        """The general registers at the stop (read once)."""
        if self._raw is None:
            raw = ptrace.get_registers(self.tid)
            self._raw = rseq.aborted(self.tid, _as_before(self.tid, raw))
            if self._raw != raw:
                ptrace.set_registers(self.tid, self._raw)  # at once: if we are killed, the task goes on with what it has
        return self._raw

    @property
    def mask(self) -> int:
        """The signal mask at the stop (read once)."""
        if self._mask is None:
            self._mask = ptrace.get_sigmask(self.tid)
        return self._mask

    def settled(self, raw: bytes, mask: int) -> None:
        """These registers and this mask are the thread's own from now on."""
        self._raw, self._mask = raw, mask

    def wait(self) -> int:
        """Wait for the next stop; its status as waitpid gives it.

        Raises:  target_changed.died: the task ended
                 target_changed.unstoppable: no stop within 10 s
        """
        status = wait_status(self.tid)
        if os.WIFSTOPPED(status):
            return status
        raise TargetChanged("died", f"task {self.tid} ended while it was held (status {status:#x})", do="try again")


# Calls that a stop ends with EINTR although no handler runs (signal(7), "Interruption of system calls and library functions by
# stop signals"), and the argument that must say "no time limit" for the call to be made again as if nothing had been.
_ENDED_BY_STOP = {
    232: ("r10", 0xFFFFFFFF),  # epoll_wait
    281: ("r10", 0xFFFFFFFF),  # epoll_pwait
    441: ("r10", 0),  # epoll_pwait2
    128: ("rdx", 0),  # rt_sigtimedwait
    65: ("", 0),  # semop
    220: ("r10", 0),  # semtimedop
    208: ("r8", 0),  # io_getevents
}
_EINTR = (1 << 64) - 4


def _as_before(tid: int, raw: bytes) -> bytes:
    # the registers as they were before our stop ended a wait without limit
    regs = Registers(raw)
    if regs["rax"] != _EINTR or regs["orig_rax"] not in _ENDED_BY_STOP:
        return raw
    register, endless = _ENDED_BY_STOP[regs["orig_rax"]]
    if register and regs[register] & (0xFFFFFFFF if endless else (1 << 64) - 1) != endless:
        return raw
    with open(f"/proc/{tid}/status", "rb", 0) as f:
        masks = {
            k: int(v, 16)
            for k, _, v in (line.partition(b":") for line in f.read(8192).split(b"\n"))
            if k[:3] in (b"Sig", b"Shd") and k != b"SigQ"
        }
    if (masks[b"SigPnd"] | masks[b"ShdPnd"]) & ~masks[b"SigBlk"]:
        return raw  # a handler is about to run: EINTR is the program's own
    regs["rax"] = regs["orig_rax"]
    regs["rip"] = regs["rip"] - 2
    regs["orig_rax"] = (1 << 64) - 1
    return regs.pack()


def wait_status(tid: int, patience_s: float = PATIENCE_S) -> int:
    """Wait for a state change of one task; its status as waitpid gives it.

    Raises:  target_changed.unstoppable: nothing within `patience_s`
    """
    deadline = 0.0
    pause = 0.00002
    for spin in range(1 << 30):
        got, status = os.waitpid(tid, ptrace.WALL | os.WNOHANG)
        if got:
            return status
        if spin < 40:
            os.sched_yield()
            continue
        now = time.monotonic()
        if not deadline:
            deadline = now + patience_s
        elif now > deadline:
            break
        time.sleep(pause)
        pause = min(pause * 1.5, 0.002)
    raise unstoppable(tid, patience_s)


class Process:
    """One process that we hold, with all its threads; the leader is first."""

    __slots__ = ("pid", "threads", "zombie")

    def __init__(self, pid: int, zombie: bool = False) -> None:
        self.pid = pid
        self.zombie = zombie
        self.threads: list[Thread] = []

    @property
    def leader(self) -> Thread:
        """The thread whose id is the process id."""
        return self.threads[0]


def _keep(thread: Thread) -> None:
    # read its registers now, so that a wait that our stop has ended is set up to be made again whatever becomes of us
    try:
        _ = thread.original
    except OSError as e:
        if e.errno != EIO:
            raise
        raise Refused(
            "task.compat",
            f"task {thread.tid} cannot be dumped: it runs 32-bit code",
            where=f"ptrace(PTRACE_GETREGSET, {thread.tid})",
            why="its register set is that of another architecture, Linux arch/x86/kernel/ptrace.c task_user_regset_view",
            do="none known",
        ) from e


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb", 0) as f:
            return int(f.read(1024).rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", "rb", 0) as f:
            return f.read(1024).rpartition(b")")[2].split()[0].decode()
    except OSError:
        return "X"


def _children(pid: int, tids: list[int]) -> list[int]:
    out: list[int] = []
    for tid in tids:
        try:
            with open(f"/proc/{pid}/task/{tid}/children", "rb", 0) as f:
                out += map(int, f.read(1 << 20).split())
        except FileNotFoundError:
            if os.path.exists(f"/proc/{pid}/task/{tid}"):
                return _children_by_stat(pid)  # no CONFIG_PROC_CHILDREN
    return out


def _children_by_stat(pid: int) -> list[int]:
    out = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb", 0) as f:
                    if int(f.read(1024).rpartition(b")")[2].split()[1]) == pid:
                        out.append(int(name))
            except OSError:
                continue
    return out


class Held:
    """A tree of stopped processes, root first; release it, or leave by the context manager.

    Needs:   the right to trace every task of the tree (ptrace(2), PTRACE_MODE_ATTACH)
    """

    def __init__(self) -> None:
        self.processes: list[Process] = []
        self._attached: dict[int, Thread] = {}
        self.options = ptrace.O_TRACESYSGOOD

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def thread(self, tid: int) -> Thread:
        """The held thread with this id."""
        return self._attached[tid]

    def adopt(self, process: Process) -> None:
        """Take over a process whose threads we trace already."""
        self.processes.append(process)
        for t in process.threads:
            self._attached[t.tid] = t

    def adopt_thread(self, thread: Thread) -> None:
        """Take over one thread that we trace already."""
        self._attached[thread.tid] = thread

    def forget(self, tid: int) -> None:
        """A task has ended: do not touch it any more."""
        self._attached.pop(tid, None)

    def _seize(self, tid: int) -> Thread | None:
        # None where the task is a zombie or ended before we had it
        try:
            ptrace.request(ptrace.SEIZE, tid, 0, self.options)
        except OSError as e:
            if e.errno == ESRCH:
                return None
            if e.errno == EPERM and _state(tid) in "ZX":
                return None
            raise _refusal(tid, e) from e
        thread = self._attached[tid] = Thread(tid)
        return thread

    # Those that ended before they stopped are not held.
    def _stop(self, threads: list[Thread]) -> None:
        for t in threads:
            try:
                ptrace.request(ptrace.INTERRUPT, t.tid)
            except OSError as e:
                if e.errno != ESRCH:
                    raise
        for t in threads:
            status = wait_status(t.tid)
            while os.WIFSTOPPED(status) and status >> 16 != ptrace.EVENT_STOP:
                # a signal was being delivered when we came: let it be delivered, siginfo and all; the stop comes after
                ptrace.request(ptrace.CONT, t.tid, 0, os.WSTOPSIG(status))
                status = wait_status(t.tid)
            if not os.WIFSTOPPED(status):
                self.forget(t.tid)
                continue
            t.group_stop = os.WSTOPSIG(status) if os.WSTOPSIG(status) != 5 else 0
            _keep(t)

    def freeze(self, root: int) -> None:
        """Stop a process, its threads and all its descendants; what they start meanwhile is found and stopped too.

        Raises:  target_changed.died: the root is gone
                 refused.ptrace: a task may not be traced by us
                 refused.task.vfork: a task waits for a child that it made by vfork(2)
        """
        todo = [root]
        seen: set[int] = set()
        while todo:
            pid = todo.pop(0)
            if pid in seen:
                continue
            seen.add(pid)
            process = self._freeze_one(pid)
            if process is None or (process.zombie and pid == root):
                if pid == root:
                    raise TargetChanged("died", f"process {root} does not exist or is a zombie", do="check the pid")
                continue
            self.processes.append(process)
            if not process.zombie:
                todo += _children(pid, [t.tid for t in process.threads])

    def _freeze_one(self, pid: int) -> Process | None:
        process = Process(pid)
        have: dict[int, Thread] = {}
        while True:
            try:
                tids = [int(n) for n in os.listdir(f"/proc/{pid}/task")]
            except FileNotFoundError:
                return None
            fresh = [t for t in tids if t not in have]
            if not fresh:
                break
            for tid in fresh:
                wait_until_reachable(pid, tid)
            got: list[Thread] = []
            try:
                for tid in fresh:
                    thread = self._seize(tid)
                    if thread is not None:
                        got.append(thread)
                    elif tid == pid and _state(tid) == "Z":
                        if len(tids) == 1:
                            return Process(pid, zombie=True)
                        raise _leader_exited(pid)
            except Refused:
                self._stop(got)  # only what is stopped can be let go
                raise
            have.update((thread.tid, thread) for thread in got)
            if not got and not have:
                return None
            if not got:
                break
            self._stop(got)
        threads = [t for t in have.values() if t.tid in self._attached]
        if not threads:
            return None
        process.threads = sorted(threads, key=lambda t: (t.tid != pid, t.tid))
        return process

    def release(self) -> None:
        """Let every task go on as it was; nothing happens for those that have ended."""
        for thread in list(self._attached.values()):
            self._detach(thread)
        self._attached.clear()

    def _detach(self, thread: Thread) -> None:
        first = thread.deferred.pop(0) if thread.deferred else 0
        try:
            ptrace.request(ptrace.DETACH, thread.tid, 0, 0 if thread.group_stop else first)
        except OSError as e:
            if e.errno != ESRCH:
                raise
        for signal in thread.deferred:
            try:
                ptrace.syscall(200, thread.tid, signal)
            except OSError as e:
                if e.errno != ESRCH:
                    raise

    def kill(self) -> None:
        """Kill every process of the tree and wait until each is gone or belongs to its parent."""
        for process in self.processes:
            try:
                os.kill(process.pid, 9)
            except ProcessLookupError:
                continue
        for process in self.processes:
            for thread in reversed(process.threads):
                if thread.tid in self._attached:
                    _reap(thread.tid, leader=thread is process.threads[0])
        self._attached.clear()


def _reap(tid: int, leader: bool) -> None:
    # our own child stays for whoever started it to wait for
    if leader and _parent(tid) == os.getpid():
        try:
            os.waitid(os.P_PID, tid, os.WEXITED | os.WNOWAIT | ptrace.WALL)
        except ChildProcessError:
            return  # we ignore SIGCHLD, so nobody has to wait for it
        return
    while True:
        try:
            _, status = os.waitpid(tid, ptrace.WALL)
        except OSError as e:
            if e.errno == ECHILD:
                return
            raise
        if not os.WIFSTOPPED(status):
            return


def _leader_exited(pid: int) -> Refused:
    return Refused(
        "task.leader_exited",
        f"pid {pid} cannot be dumped: its main thread has exited and others run on",
        where=f"/proc/{pid}/task/{pid}/stat",
        why="a process whose leader is a zombie cannot be made anew with clone3(2)",
        do="none known",
    )


def _refusal(tid: int, cause: OSError) -> Refused:
    tracer = ""
    try:
        with open(f"/proc/{tid}/status", "rb", 0) as f:
            for line in f.read(8192).split(b"\n"):
                if line.startswith(b"TracerPid:"):
                    tracer = line.split()[1].decode()
    except OSError:
        pass
    if tracer not in ("", "0"):
        return Refused(
            "task.traced",
            f"task {tid} cannot be dumped: process {tracer} traces it",
            where=f"/proc/{tid}/status TracerPid",
            why="a task has at most one tracer, ptrace(2)",
            do="end the debugger or tracer and retry",
        )
    return Refused(
        "task.ptrace",
        f"task {tid} may not be traced by this user",
        where=f"ptrace(PTRACE_SEIZE, {tid})",
        why=f"{cause.strerror}; see ptrace(2), Ptrace access mode checking",
        do="run as its owner or as root; see `holdfast doctor`",
    )


def registers(thread: Thread) -> Registers:
    """A changeable copy of a thread's registers at its stop."""
    return Registers(thread.original)
