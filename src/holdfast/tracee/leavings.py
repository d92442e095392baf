"""A second process that removes the names that a restore makes for a moment, if we are killed in that moment.

Our tracees die with us (PTRACE_O_EXITKILL); a file that one of them has just made to remove it a few calls later would stay. So, where a
restore makes such names, a sentinel is told them beforehand. It is the small program that guards a dump (tracee/guard.py).

Table, in a memfd that descriptor 3 leads to: 64-bit words: length of the names, number of pids, up to 510 pids; then the names, each
ended by a zero byte. Descriptor 4 is the root directory that they begin at.
"""

from __future__ import annotations

import mmap
import os
import select
from fcntl import F_DUPFD_CLOEXEC, fcntl
from struct import Struct as Format

from holdfast.tracee.spawn import spawn_sentinel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

START = "import sys; sys.path.insert(0, sys.argv[1]); from holdfast.tracee.leavings import main; main()"
HEAD = Format("<2Q")
PIDS = 510
NAMES_AT = HEAD.size + 8 * PIDS
TABLE_FD, ROOT_FD = 3, 4
PATIENCE_MS = 10_000


class Leavings:
    """The sentinel of one restore.

    Shape:   `names`: paths that begin at the root directory of process `pid`
    """

    def __init__(self, names: Iterable[bytes], pid: int) -> None:
        text = b"".join(n + b"\0" for n in names)
        table = os.memfd_create("holdfast-leavings", os.MFD_CLOEXEC)
        os.ftruncate(table, NAMES_AT + len(text))
        os.pwrite(table, text, NAMES_AT)
        self._table = mmap.mmap(table, NAMES_AT + len(text))
        HEAD.pack_into(self._table, 0, len(text), 0)
        self._known: set[int] = set()
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_CLOEXEC)
        high = [fcntl(fd, F_DUPFD_CLOEXEC, 10) for fd in (table, root)]
        try:
            self.pid, self._write = spawn_sentinel(START, {TABLE_FD: high[0], ROOT_FD: high[1]})
        finally:
            for fd in (table, root, *high):
                os.close(fd)
        self.note(pid)

    def note(self, *pids: int) -> None:
        """These processes may make names; the sentinel waits for their end before it looks."""
        for pid in pids:
            n = len(self._known)
            if pid not in self._known and n < PIDS:
                self._known.add(pid)
                at = HEAD.size + 8 * n
                self._table[at : at + 8] = pid.to_bytes(8, "little")
                self._table[8:16] = (n + 1).to_bytes(8, "little")

    def dismiss(self) -> None:
        """Every name is gone: so may the sentinel."""
        if self._write < 0:
            return
        try:
            os.write(self._write, b"q")
        except BrokenPipeError:
            pass  # somebody ended it
        os.close(self._write)
        self._write = -1
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # SIGCHLD is ignored here, or somebody waits for every child
        self._table.close()


def main() -> None:
    """The sentinel's life after the pipe has closed without a word: wait until the tree is dead, remove the names.

    Needs:   descriptors 3 and 4 as the table's form says
    """
    table = os.pread(TABLE_FD, os.fstat(TABLE_FD).st_size, 0)
    size, count = HEAD.unpack_from(table)
    for pid in Format(f"<{count}Q").unpack_from(table, HEAD.size):
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            continue  # it has ended
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(PATIENCE_MS)
        os.close(pidfd)
    for name in table[NAMES_AT : NAMES_AT + size].split(b"\0"):
        if name:
            try:
                os.unlink(name.lstrip(b"/"), dir_fd=ROOT_FD)
            except OSError:
                continue  # it was never made, or is removed already
