"""A second process that puts the target right if we are killed while our hands are inside it.

When a tracer dies the kernel lets its tasks run on with the registers that they have, which inside a program are ours. The loop
and the gadgets make that harmless for a moment: the task runs our table to its end and pauses, or spins, with signals blocked. The guard is
forked before the first hand goes in. It shares a table with us that holds, for every thread that a hand is on, what it was. It waits on
a pipe; if the pipe closes without a word, it takes hold of those threads, removes our area and our descriptors, gives registers and mask
back, ends twins, and goes.

Table: rows of 512 bytes, little-endian 64-bit words: tid, process, active, mask, stack address, stack word, area, area size,
gadget, quiet signal, then 27 registers. The last page holds pids of twins.
"""

from __future__ import annotations

import mmap
import os
from struct import Struct as Format

from holdfast.tracee import ptrace

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Mapping
else:
    import _signal  # without the enumerations of `signal`, which cost 5 ms at every start

ROW = 512
HEAD = Format("<10Q")
REGS_AT = 80
ACTIVE_AT, STACK_AT, AREA_AT = 16, 32, 48
TWINS = 512


class Guard:
    """The guard of one dump.

    Shape:   `descriptors`: the descriptor numbers of every process before a hand went in
    """

    def __init__(self, threads: int, descriptors: Mapping[int, frozenset[int]]) -> None:
        self.rows = threads
        self._twins_at = (threads * ROW + 4095) & ~4095
        self._table = mmap.mmap(-1, self._twins_at + TWINS * 8)
        self._row_of: dict[int, int] = {}
        self._twins = 0
        read, self._write = os.pipe2(os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._write)
            _watch(self._table, self.rows, self._twins_at, read, descriptors)
        os.close(read)

    def note(self, tid: int, process: int, mask: int, gadget: int, quiet: int, registers: bytes) -> None:
        """A hand is about to go into a thread."""
        at = self._row_of.setdefault(tid, len(self._row_of)) * ROW
        area, size = Format("<2Q").unpack_from(self._table, at + AREA_AT)
        self._table[at + REGS_AT : at + REGS_AT + 216] = registers
        HEAD.pack_into(self._table, at, tid, process, 1, mask, 0, 0, area, size, gadget, quiet)

    def note_stack(self, tid: int, address: int, word: bytes) -> None:
        """A word of a thread's stack was replaced; address 0: it was put back."""
        at = self._row_of[tid] * ROW + STACK_AT
        self._table[at : at + 16] = address.to_bytes(8, "little") + word

    def note_area(self, tid: int, base: int, size: int) -> None:
        """An area was mapped by a thread; size 0: it was unmapped."""
        at = self._row_of[tid] * ROW + AREA_AT
        self._table[at : at + 16] = base.to_bytes(8, "little") + size.to_bytes(8, "little")

    def note_out(self, tid: int) -> None:
        """The hand is out of a thread."""
        at = self._row_of[tid] * ROW + ACTIVE_AT
        self._table[at : at + 8] = bytes(8)

    def note_twin(self, pid: int) -> None:
        """A twin was made; it is to be ended with us."""
        at = self._twins_at + self._twins % TWINS * 8
        self._table[at : at + 8] = pid.to_bytes(8, "little")
        self._twins += 1

    def dismiss(self) -> None:
        """All hands are out: the guard may go; `reap` waits for it."""
        if self._write < 0:
            return
        try:
            os.write(self._write, b"q")
        except BrokenPipeError:
            pass  # somebody ended the guard; nothing is left for it to do
        os.close(self._write)
        self._write = -1

    def reap(self) -> None:
        """Wait until the guard has gone.

        Needs:   it was dismissed
        """
        if self.pid:
            os.waitpid(self.pid, 0)
            self.pid = 0
            self._table.close()


def _watch(table: mmap.mmap, rows: int, twins_at: int, read: int, descriptors: Mapping[int, frozenset[int]]) -> None:
    # the guard's whole life; it never returns
    code = 1
    try:
        for n in (1, 2, 3, 15):  # HUP, INT, QUIT, TERM
            _signal.signal(n, _signal.SIG_IGN)
        os.setsid()
        os.closerange(0, read)
        os.closerange(read + 1, 1 << 16)
        if os.read(read, 1) != b"q":
            _repair(table, rows, twins_at, descriptors)
        code = 0
    finally:
        os._exit(code)


def _repair(table: mmap.mmap, rows: int, twins_at: int, descriptors: Mapping[int, frozenset[int]]) -> None:
    from holdfast.tracee.gadget import Gadget  # loaded before the fork by whoever made the hands
    from holdfast.tracee.inject import Area, Hand
    from holdfast.tracee.seize import Held, Thread

    held = Held()
    hands: list[tuple[Hand, int, int, int]] = []
    for i in range(rows):
        at = i * ROW
        tid, process, active, mask, stack, _, area, size, gadget, quiet = HEAD.unpack_from(table, at)
        if not active:
            continue
        thread = Thread(tid)
        try:
            ptrace.request(ptrace.SEIZE, tid, 0, ptrace.O_TRACESYSGOOD)
            ptrace.request(ptrace.INTERRUPT, tid)
            status = thread.wait()
            while status >> 16 != ptrace.EVENT_STOP:
                ptrace.request(ptrace.CONT, tid)
                status = thread.wait()
        except (OSError, ChildProcessError):
            continue  # it ended
        thread.group_stop = os.WSTOPSIG(status) != 5
        if stack:
            ptrace.write_memory(tid, stack, bytes(table[at + STACK_AT + 8 : at + STACK_AT + 16]))
        thread.settled(bytes(table[at + REGS_AT : at + REGS_AT + 216]), mask)
        hand = Hand(thread, Gadget(gadget), quiet)
        hand.process_pid = process
        if size:
            hand.use_area(Area(area, size))
        held.adopt_thread(thread)
        hands.append((hand, tid, process, size))
    for hand, _, process, size in hands:
        if size:
            before = descriptors.get(process, frozenset())
            for name in os.listdir(f"/proc/{process}/fd"):
                if int(name) not in before:
                    hand.single("close", int(name))
            hand.leave()
        else:
            hand.force_settle()
    held.release()
    for k in range(TWINS):
        pid = int.from_bytes(table[twins_at + 8 * k : twins_at + 8 * k + 8], "little")
        if pid:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
