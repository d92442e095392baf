"""A copy-on-write twin of a stopped process: its memory at this moment, while the process itself goes on.

The process makes a child that makes the twin and ends at once. Both have exit signal 0, so there is no SIGCHLD, and the process
waits for the first with __WALL, so there is no zombie. The twin belongs to whoever adopts orphans. It has closed every
descriptor, is alone in its session, and only pauses with every signal blocked.

A twin is not made where the process would notice: when it, or a relative in the tree, adopts orphans itself.
Source:  clone(2), wait(2); kernel/exit.c reparent_leader gives an orphan the exit signal SIGCHLD
"""

from __future__ import annotations

import os

from holdfast.prog.call import ANY, Program
from holdfast.tracee import ptrace, spawn
from holdfast.tracee.inject import Hand
from holdfast.tracee.seize import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_VM, CLONE_VFORK = 0x100, 0x4000
WALL = 0x40000000
ALL = 0xFFFFFFFF
SIGALRM = 14
PATIENCE_S = 600


class Twin:
    """A twin that we found and hold."""

    def __init__(self, pid: int, hand: Hand) -> None:
        self.pid = pid
        self.thread = Thread(pid)
        self._hand = hand
        self.hand: Hand | None = None

    def seize(self) -> Hand:
        """Take hold of the twin; its hand.

        Needs:   the process has been left by our hand, or is about to be
        """
        ptrace.request(ptrace.SEIZE, self.pid, 0, ptrace.O_TRACESYSGOOD)
        ptrace.request(ptrace.INTERRUPT, self.pid)
        spawn.first_stop(self.thread)
        hand = self.hand = Hand(self.thread, self._hand.gadget, self._hand.signal)
        hand.single("alarm", 0)
        return hand

    def end(self) -> None:
        """Kill the twin."""
        try:
            os.kill(self.pid, 9)
        except ProcessLookupError:
            return
        if self.hand is not None:
            try:
                while not os.WIFSIGNALED(os.waitpid(self.pid, ptrace.WALL)[1]):
                    pass
            except ChildProcessError:
                pass


def make(hand: Hand, find: Callable[[int], int]) -> Twin | None:
    """Make a twin of the process that a hand is in; None where the kernel would not fork.

    Shape:   `find` turns a pid of the process's own namespace into ours
    """
    asleep = Program()
    asleep.call("close_range", 0, ALL, 0, check=ANY)
    asleep.call("setsid", check=ANY)
    asleep.call("rt_sigaction", SIGALRM, bytes(32), 0, 8)
    asleep.call("rt_sigprocmask", 1, (1 << (SIGALRM - 1)).to_bytes(8, "little"), 0, 8)
    asleep.call("alarm", PATIENCE_S)  # where nobody ever comes for it
    middle = Program()
    made = middle.fork("clone", 0, 0, 0, 0, 0, child=asleep)
    middle.call("exit", 0)
    program = Program()
    first = program.fork("clone", CLONE_VM | CLONE_VFORK, 0, 0, 0, 0, child=middle)
    program.call("wait4", first, 0, WALL, 0, check=ANY)
    from holdfast.tracee.inject import CallFailed  # local: only here can a fork fail

    try:
        answers = hand.run(program)
    except CallFailed:
        return None
    nspid = answers.value(made)
    if nspid <= 0:
        return None
    return Twin(find(nspid), hand)
