"""Staying the parent of a restored tree: pass signals on, stop and go on with it, end as it ended.

All signals of interest are blocked from before the restore to the end and taken one by one (sigwaitinfo), so none is lost in
between and none interrupts a system call of the restore. What is asked for while the restore runs (INT, TERM ...) is seen by check(),
which ends it with no process left.

Job control follows what a shell does for a job: a program whose process group is its own gets the terminal that was ours; when it
stops, we take the terminal back and stop too; when we are continued, it is. A program in our own group gets the
keyboard's signals from the kernel, so those are not passed on a second time.

The job of `holdfast run` is the child of its init, and the init ours; it says how the job ended, not that it was stopped. Where the job
is in our own group, the keyboard's stop reaches us too, and we stop by it.
Source:  signal(7), sigwaitinfo(2), termios(3) tcsetpgrp, credentials(7)
"""

from __future__ import annotations

import fcntl
import os

from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Self
else:
    import _signal

# by number: the module `signal` makes enumerations of them, which costs more than a restore's verification
HUP, INT, QUIT, USR1, USR2, ALRM, TERM, CHLD, CONT, STOP, TSTP, TTIN, TTOU, WINCH = 1, 2, 3, 10, 12, 14, 15, 17, 18, 19, 20, 21, 22, 28
ENDS = frozenset((HUP, INT, QUIT, TERM))
PASSED = ENDS | {USR1, USR2, ALRM, CONT, WINCH, TSTP}
FROM_KEYBOARD = frozenset((INT, QUIT, TSTP, TTIN, TTOU, WINCH))
STOPS = frozenset((TSTP, TTIN, TTOU))
SI_KERNEL = 0x80
TIOCGPGRP, TIOCSPGRP = 0x540F, 0x5410


class Interrupted(KeyboardInterrupt):
    """A signal asked for an end while the restore was under way."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Terminal(Record):
    """The terminal that is ours to give: an open descriptor, and our own process group."""

    fd: int
    ours: int

    def give(self, group: int) -> None:
        """Make a process group the one that the keyboard talks to; a terminal that is gone needs no owner."""
        try:
            fcntl.ioctl(self.fd, TIOCSPGRP, group.to_bytes(4, "little"))
        except OSError:
            return


class Signals:
    """The signals of interest, blocked while this is open."""

    def __enter__(self) -> Self:
        _signal.signal(CHLD, _signal.SIG_DFL)  # ignored, it would let the kernel throw away the exit status: wait(2)
        self._passed = frozenset(n for n in PASSED if _signal.getsignal(n) != _signal.SIG_IGN)  # nohup: HUP is not for us
        self._before = _signal.pthread_sigmask(_signal.SIG_BLOCK, self._passed | {CHLD, TTIN, TTOU})
        return self

    def __exit__(self, *_: object) -> None:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._before)

    def check(self) -> None:
        """End the restore if that was asked for.

        Raises:  Interrupted
        """
        for number in _signal.sigpending():
            if number in ENDS:
                _signal.sigwait((number,))
                raise Interrupted(number)

    @property
    def mask_before(self) -> int:
        """The signals that were blocked before; bit n-1 for signal n."""
        return sum(1 << (n - 1) for n in self._before)

    def stay(self, pid: int, group: int = 0) -> int:
        """Wait for the end of the program; its exit status, or 128 + the signal that ended it.

        Shape:   `group`: of the program, where our child is not itself but its init
        Needs:   the program, or its init, is our child
        """
        terminal = None if group else _terminal(pid)
        by_init = group != 0
        group = group or os.getpgid(pid)
        awaited = self._passed | ({CHLD, TTIN, TTOU} if by_init else {CHLD})
        if terminal is not None:
            terminal.give(group)
        try:
            while True:
                info = _signal.sigwaitinfo(awaited)
                if info.si_signo == CHLD:
                    code = _state(pid, group, terminal)
                    if code is not None:
                        return code
                elif info.si_signo == CONT:
                    self._go_on(pid, group, terminal)
                elif info.si_signo in FROM_KEYBOARD and info.si_code == SI_KERNEL and group == os.getpgrp():
                    if by_init and info.si_signo in STOPS:
                        _stop()
                elif info.si_signo in self._passed:
                    os.kill(pid, info.si_signo)
        finally:
            if terminal is not None:
                terminal.give(terminal.ours)

    def _go_on(self, pid: int, group: int, terminal: Terminal | None) -> None:
        if terminal is not None and _foreground(terminal.fd) == terminal.ours:
            terminal.give(group)
        try:
            os.killpg(group, CONT) if group != os.getpgrp() else os.kill(pid, CONT)
        except ProcessLookupError:
            return  # it has just ended


# What became of the program: an exit code, or None while it lives; if it stopped, so do we.
def _state(pid: int, group: int, terminal: Terminal | None) -> int | None:
    while True:
        got, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if not got:
            return None
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        if terminal is not None and os.WSTOPSIG(status) in (TTIN, TTOU) and _foreground(terminal.fd) == group:
            os.killpg(group, CONT)  # it asked for the terminal just before it was given it
            continue
        if terminal is not None:
            terminal.give(terminal.ours)
        _stop()


# The kernel drops TSTP where nobody could continue us (an orphaned group, setpgid(2)); then we go on waiting.
def _stop() -> None:
    os.kill(os.getpid(), TSTP)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (TSTP,))
    _signal.pthread_sigmask(_signal.SIG_BLOCK, (TSTP,))


def ignored() -> frozenset[int]:
    """The signals that this process ignores, those that the C library keeps for itself among them."""
    with open("/proc/self/status", "rb", 0) as f:
        bits = next(int(line.split()[1], 16) for line in f.read(1 << 16).split(b"\n") if line.startswith(b"SigIgn:"))
    return frozenset(n for n in range(1, 65) if bits >> (n - 1) & 1)


# Our terminal, if we have the foreground of it and the program is a group of its own in our session.
def _terminal(pid: int) -> Terminal | None:
    ours = os.getpgrp()
    if os.getsid(pid) != os.getsid(0) or os.getpgid(pid) == ours:
        return None
    for fd in (0, 1, 2):
        if _foreground(fd) == ours:
            return Terminal(fd, ours)
    return None


def _foreground(fd: int) -> int:
    try:
        return int.from_bytes(fcntl.ioctl(fd, TIOCGPGRP, bytes(4)), "little")
    except OSError:
        return -1
