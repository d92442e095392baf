"""A second process that puts the target right if we are killed while our hands are inside it.

When a tracer dies the kernel lets its tasks run on with the registers that they have, which inside a program are ours. The loop
and the gadgets make that harmless for a moment: the task runs our table to its end and pauses, or spins, with signals blocked. The guard is
started before the first hand goes in. It shares a table with us that holds, for every thread that a hand is on, what it was. It waits on
a pipe; if the pipe closes without a word, it takes hold of those threads, removes our area and our descriptors, gives registers and mask
back, ends twins, and goes.

We may be killed between any two instructions, so for each thing the table says first what is going to be, and the guard looks what has
become of it:
  a thread is ours where it is inside our loop, or at the gadget with the mask that we give; any other has its own registers already
    and runs: at most its mask is still ours;
  an area is ours where our loop is in it; one that was asked for and not noted yet is what mmap has just returned;
  descriptors are ours where they were noted, or where the table in the area says that a call made them, and no call has closed
    them since: other threads of the process open and close theirs meanwhile;
  a twin that was not noted yet is younger than the guard, has our loop at the area's address, and leads a session of its own.
While we exit, the kernel closes the pipe before it lets our tracees go (Linux kernel/exit.c do_exit), so the guard waits for that.

The guard costs every dump and is needed by almost none. So it is 185 bytes of ELF that read the pipe, and only where that closes
become a Python that runs `main` here. A fork of ours would cost 5 ms: it copies our page tables, and makes us fault on every page
that we touch after it.

Table, in a memfd that descriptor 3 of the guard leads to: a row that says how many rows follow, where the twins are, who the dumper
is; then rows of 512 bytes, little-endian 64-bit words: tid, process, active, mask, stack address, stack word, area, area size,
gadget, quiet signal, then 27 registers, then the place to spin at, size of an area asked for, stop signals put off, number of
descriptors, room for 16 of them, which of the process's limits are raised (bit n: limit n), and the values, soft and hard, of up to three.
The end holds pids of twins.
"""

from __future__ import annotations

import os
import time
from errno import EPERM
from fcntl import F_DUPFD_CLOEXEC, fcntl
from struct import Struct as Format

from holdfast.errors import HoldfastError
from holdfast.kernel.uapi.syscalls import X86_64 as NUMBERS
from holdfast.prog.lower import NOT_RUN, ROW_SIZE
from holdfast.prog.lower import ROW as PROGRAM_ROW
from holdfast.tracee import ptrace
from holdfast.tracee.arch.x86_64 import LOOP, MASK, Registers
from holdfast.tracee.spawn import spawn_sentinel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from mmap import mmap

    from holdfast.tracee.gadget import Gadget
    from holdfast.tracee.inject import Hand
    from holdfast.tracee.seize import Thread

ROW = 512
META = Format("<3Q")
TABLE_FD = 3
START = "import sys; sys.path.insert(0, sys.argv[1]); from holdfast.tracee.guard import main; main()"
HEAD = Format("<10Q")
REGS_AT = 80
ACTIVE_AT, STACK_AT, AREA_AT, MORE_AT = 16, 32, 48, 296
AREA = Format("<2Q")  # address, size
PAIR = Format("<2Q")  # soft, hard
MORE = Format("<4Q")  # spin, wanted, deferred, descriptors
DESCRIPTORS = 16
LIMITS = 3
LIMITS_AT = MORE_AT + MORE.size + 8 * DESCRIPTORS
TWINS = 512
PAGE = 4096
SIGSTOP = 19
PATIENCE_S = 600.0  # for what a program of ours is in the middle of: at most one large write
PAUSED = len(LOOP) - 2  # behind the loop's last system call
UNBLOCKABLE = 1 << 8 | 1 << 18


class Guard:
    """The guard of one dump."""

    def __init__(self, threads: int) -> None:
        self._twins_at = (threads + 1) * ROW
        table = os.memfd_create("holdfast-guard", os.MFD_CLOEXEC)
        try:
            self._table = fcntl(table, F_DUPFD_CLOEXEC, 10)  # a number that none of the guard's is
        finally:
            os.close(table)
        try:
            os.ftruncate(self._table, self._twins_at + TWINS * 8)
            self._put(0, META.pack(threads, self._twins_at, os.getpid()))
            self._row_of: dict[int, int] = {}
            self._areas: dict[int, bytes] = {}
            self._twins = 0
            self.pid, self._write = spawn_sentinel(START, {TABLE_FD: self._table})
        except BaseException:
            os.close(self._table)
            raise

    # a write is there for the guard when it returns, and needs no mapping and no module for one
    def _put(self, at: int, data: bytes) -> None:
        os.pwrite(self._table, data, at)

    def _word(self, at: int, value: int) -> None:
        self._put(at, value.to_bytes(8, "little"))

    def note(self, tid: int, process: int, mask: int, gadget: Gadget, quiet: int, registers: bytes) -> None:
        """A hand is about to go into a thread."""
        at = self._row_of.setdefault(tid, len(self._row_of) + 1) * ROW
        area, size = AREA.unpack(self._areas.get(tid, bytes(16)))
        head = HEAD.pack(tid, process, 0, mask, 0, 0, area, size, gadget.syscall, quiet)
        self._put(at, head + registers + gadget.spin.to_bytes(8, "little"))
        self._word(at + ACTIVE_AT, 1)  # last: a row that is half written is no row

    def note_stack(self, tid: int, address: int, word: bytes) -> None:
        """A word of a thread's stack is about to be replaced; address 0: it was put back."""
        self._put(self._row_of[tid] * ROW + STACK_AT, address.to_bytes(8, "little") + word)

    def note_wanted(self, tid: int, size: int) -> None:
        """An area is about to be mapped by a thread; size 0: our loop is in it."""
        self._word(self._row_of[tid] * ROW + MORE_AT + 8, size)

    def note_area(self, tid: int, base: int, size: int) -> None:
        """An area was mapped by a thread; size 0: it was unmapped."""
        self._areas[tid] = AREA.pack(base, size)
        self._put(self._row_of[tid] * ROW + AREA_AT, self._areas[tid])

    def note_deferred(self, tid: int, count: int) -> None:
        """Stop signals that were taken from a thread and are to be sent again."""
        self._word(self._row_of[tid] * ROW + MORE_AT + 16, count)

    def note_descriptors(self, tid: int, fds: set[int]) -> None:
        """Descriptors of ours in a thread's process; those of the time before are closed."""
        assert len(fds) <= DESCRIPTORS
        at = self._row_of[tid] * ROW + MORE_AT + 24
        self._word(at, 0)
        for i, fd in enumerate(sorted(fds)):
            self._word(at + 8 + 8 * i, fd)
        self._word(at, len(fds))

    def note_limits(self, tid: int, limits: Sequence[tuple[int, int, int]]) -> None:
        """Limits of a thread's process are about to be raised: number, soft and hard value of each; none: they are what they were.

        Shape:   sorted by number
        """
        at = self._row_of[tid] * ROW + LIMITS_AT
        for i, (_, *values) in enumerate(limits):
            self._put(at + 8 + 16 * i, PAIR.pack(*values))
        self._word(at, sum(1 << n for n, _, _ in limits))

    def note_out(self, tid: int) -> None:
        """The hand is out of a thread."""
        self._word(self._row_of[tid] * ROW + ACTIVE_AT, 0)

    def note_twin(self, pid: int) -> None:
        """A twin was made; it is to be ended with us."""
        self._word(self._twins_at + self._twins % TWINS * 8, pid)
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
            try:
                os.waitpid(self.pid, 0)
            except ChildProcessError:
                pass  # SIGCHLD is ignored here, or somebody waits for every child
            self.pid = 0
            os.close(self._table)


def main() -> None:
    """The guard's life after the pipe has closed without a word: repair, and go.

    Needs:   descriptor 3 is the table
    """
    import mmap  # only a guard that has to repair reads the table

    table = mmap.mmap(TABLE_FD, os.fstat(TABLE_FD).st_size)
    rows, twins_at, dumper = META.unpack_from(table)
    _repair(table, rows, twins_at, dumper)


class _Row:
    # what the table says of one thread, and what the guard found
    def __init__(self, table: mmap | bytes, at: int) -> None:
        (self.tid, self.process, self.active, self.mask, self.stack, _, self.area, self.size, self.gadget, self.quiet) = HEAD.unpack_from(
            table, at
        )
        self.word = bytes(table[at + STACK_AT + 8 : at + STACK_AT + 16])
        self.registers = bytes(table[at + REGS_AT : at + REGS_AT + 216])
        self.spin, self.wanted, self.deferred, count = MORE.unpack_from(table, at + MORE_AT)
        start = at + MORE_AT + MORE.size
        self.descriptors = set(Format(f"<{count}Q").unpack_from(table, start)) if count <= DESCRIPTORS else set()
        raised = int.from_bytes(table[at + LIMITS_AT : at + LIMITS_AT + 8], "little")
        numbers = [n for n in range(64) if raised >> n & 1]
        self.limits = [(n, *PAIR.unpack_from(table, at + LIMITS_AT + 8 + 16 * i)) for i, n in enumerate(numbers[:LIMITS])]
        self.hand: Hand | None = None

    def blocked(self) -> int:
        quiet = 1 << (self.quiet - 1) if self.quiet else 0
        return MASK & ~quiet & ~UNBLOCKABLE

    def at_gadget(self, rip: int) -> bool:
        return bool(self.gadget <= rip <= self.gadget + 3 or (self.spin and self.spin <= rip <= self.spin + 2))


def _repair(table: mmap, rows: int, twins_at: int, dumper: int) -> None:
    from holdfast.tracee.seize import Held  # only a repair needs hands of its own

    held = Held()
    found: list[_Row] = []
    for i in range(rows):
        row = _Row(table, (i + 1) * ROW)
        if row.active:
            try:
                if row.limits:
                    from holdfast.tracee.limits import put_back  # hardly any process has some

                    put_back(row.process, row.limits)
                if _take(row, dumper, held):
                    found.append(row)
            except (OSError, HoldfastError):
                continue  # it ended
    twins = {int.from_bytes(table[twins_at + 8 * k : twins_at + 8 * k + 8], "little") for k in range(TWINS)} - {0}
    for row in found:
        if row.size:
            twins |= _unnoted(row.area, {r.process for r in found})
    # who mapped an area takes it away last: the others are still in it
    for row in sorted(found, key=lambda r: r.size > 0):
        assert row.hand is not None
        try:
            if row.size:
                row.hand.leave()
            else:
                row.hand.force_settle()
        except (OSError, HoldfastError):
            continue  # it ended
    held.release()
    for pid in twins:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue


# Take hold of a thread, and let what it is in the middle of come to its end. False where it is not ours any more.
def _take(row: _Row, dumper: int, held: object) -> bool:
    from holdfast.tracee.gadget import Gadget  # as in _repair
    from holdfast.tracee.inject import Area, Hand
    from holdfast.tracee.seize import Held, Thread, wait_status

    assert isinstance(held, Held)
    thread = Thread(row.tid)
    while True:
        try:
            ptrace.request(ptrace.SEIZE, row.tid, 0, ptrace.O_TRACESYSGOOD)
            break
        except OSError as e:
            if e.errno != EPERM or _tracer(row.tid) != dumper:
                raise
            time.sleep(0.0002)
    held.adopt_thread(thread)
    ptrace.request(ptrace.INTERRUPT, row.tid)
    status = wait_status(row.tid, PATIENCE_S)
    while status >> 16 != ptrace.EVENT_STOP:
        if not os.WIFSTOPPED(status):
            held.forget(row.tid)
            return False
        ptrace.request(ptrace.CONT, row.tid, 0, os.WSTOPSIG(status))
        status = wait_status(row.tid, PATIENCE_S)
    thread.group_stop = os.WSTOPSIG(status) != 5
    thread.deferred = [SIGSTOP] * row.deferred
    regs = Registers(ptrace.get_registers(row.tid))
    inside = bool(row.size) and row.area <= regs["rip"] < row.area + PAGE
    if not row.size and not inside:
        # another thread mapped the area
        inside = _is_ours(row.tid, regs["rip"] & ~(PAGE - 1))
    mask = ptrace.get_sigmask(row.tid)
    if not inside and not (row.at_gadget(regs["rip"]) and mask == row.blocked()):
        if mask == row.blocked():
            ptrace.set_sigmask(row.tid, row.mask)
        _ = thread.original  # what our stop has ended is made again
        return False
    if inside:
        _run_out(thread, regs)
    elif row.wanted and not row.size and regs["rip"] != row.gadget and regs["rax"] % PAGE == 0 and 0 < regs["rax"] < 1 << 47:
        row.area, row.size = regs["rax"], row.wanted
    if row.size and not inside and not row.wanted and not _is_ours(row.tid, row.area):
        row.size = 0  # it was unmapped
    if row.stack:
        ptrace.write_memory(row.tid, row.stack, row.word)
    thread.settled(row.registers, row.mask)
    hand = row.hand = Hand(thread, Gadget(row.gadget), row.quiet)
    hand.process_pid = row.process
    if row.size:
        hand.use_area(Area(row.area, row.size))
        made, closed = _made(row.tid, row.area, row.size)
        hand.given = (row.descriptors | made) - closed
    if inside:
        hand.to_trap_stop()  # out of the call that it pauses in
    return True


# Let our loop run to its end, so that whatever a program set it has set back.
def _run_out(thread: Thread, regs: Registers) -> None:
    from holdfast.tracee.seize import wait_status  # as in _repair

    end = (regs["rip"] & ~(PAGE - 1)) + PAUSED
    while regs["rip"] != end:
        ptrace.request(ptrace.SYSCALL, thread.tid)
        status = wait_status(thread.tid, PATIENCE_S)
        if not os.WIFSTOPPED(status):
            raise ProcessLookupError
        if status >> 16 == 0 and os.WSTOPSIG(status) == SIGSTOP:
            thread.deferred.append(SIGSTOP)
        regs = Registers(ptrace.get_registers(thread.tid))


def _is_ours(pid: int, base: int) -> bool:
    try:
        return ptrace.read_memory(pid, base, len(LOOP)) == LOOP
    except OSError:
        return False


# Descriptors that the calls of the table in an area made, and those that they closed; handover is the only one whose outlive a program.
def _made(pid: int, area: int, size: int) -> tuple[set[int], set[int]]:
    made: set[int] = set()
    closed: set[int] = set()
    try:
        for at in range(area + PAGE, area + size - ROW_SIZE, ROW_SIZE):
            number, flags, *args, _, result = PROGRAM_ROW.unpack(ptrace.read_memory(pid, at, ROW_SIZE))
            if number == MASK or result == NOT_RUN:
                break
            if number == NUMBERS["close"] and result == 0 and not flags & 1:
                closed.add(args[0])
            elif number == NUMBERS["socketpair"] and result == 0:
                made |= set(Format("<2I").unpack(ptrace.read_memory(pid, args[3], 8)))
            elif number == NUMBERS["recvmsg"] and result == 1:
                control, _length = Format("<2Q").unpack(ptrace.read_memory(pid, args[1] + 32, 16))
                length = int.from_bytes(ptrace.read_memory(pid, control, 8), "little")
                if 16 < length <= 16 + 4 * DESCRIPTORS:
                    made |= set(Format(f"<{(length - 16) // 4}I").unpack(ptrace.read_memory(pid, control + 16, length - 16)))
    except OSError:
        return made, closed  # the area is not all there: its program was never placed
    return made, closed


# Twins that were made and not noted yet.
def _unnoted(area: int, processes: set[int]) -> set[int]:
    mine = _stat(os.getpid())
    out: set[int] = set()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in processes:
            pid = int(name)
            stat = _stat(pid)
            if stat is None or mine is None or int(stat[19]) < int(mine[19]) or int(stat[3]) != pid or not _is_ours(pid, area):
                continue
            out.add(pid)
    return out


def _stat(pid: int) -> list[bytes] | None:
    # the fields behind the name: 3 is the session, 19 when it started
    try:
        with open(f"/proc/{pid}/stat", "rb", 0) as f:
            return f.read(4096).rpartition(b")")[2].split()
    except OSError:
        return None


def _tracer(tid: int) -> int:
    try:
        with open(f"/proc/{tid}/status", "rb", 0) as f:
            for line in f.read(8192).split(b"\n"):
                if line.startswith(b"TracerPid:"):
                    return int(line.split()[1])
    except OSError:
        return 0
    return 0
