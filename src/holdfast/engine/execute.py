"""Plan to outcome: make the tree, run the rounds, set registers, check, let go.

Until the last step the whole tree dies with us (PTRACE_O_EXITKILL), and whatever fails kills it, so a failed restore leaves no process;
names that it made in file systems are removed.
"""

from __future__ import annotations

import os
import time

from holdfast.engine import faults
from holdfast.engine.births import PATIENCE_S, Births
from holdfast.engine.collect import stopped_tree
from holdfast.engine.fill import Filler
from holdfast.engine.inside import size_of
from holdfast.errors import InternalError, KernelLacks
from holdfast.kernel.procfs.maps import parse_maps
from holdfast.kernel.sched import keep_near, let_run
from holdfast.kernel.source import Live
from holdfast.model.record import Record
from holdfast.prog.call import Program
from holdfast.tracee import privilege, ptrace
from holdfast.tracee.arch.x86_64 import SYSCALL_INSN, Registers
from holdfast.tracee.gadget import Gadget
from holdfast.tracee.inject import CallFailed
from holdfast.tracee.seize import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from holdfast.engine.plan import Action, Plan
    from holdfast.engine.steps import PlannedPart
    from holdfast.image.read import Image
    from holdfast.tracee.inject import Area, Hand
    from holdfast.tracee.leavings import Leavings
    from holdfast.tracee.names import Names

M64 = (1 << 64) - 1
MAP_NORESERVE = 0x4000
KERNEL_AREAS = ("vvar", "vvar_vclock", "vdso")
TOP = 0x7FFFFFFFF000
LOW = 0x200000
SLACK = 64 << 12  # room behind the area for the kernel's own areas while they are moved
RESTART_BLOCK = 516  # ERESTART_RESTARTBLOCK: go on with what restart_syscall(2) knows
INT_MAX, TIMESPEC = (1 << 31) - 1, 16
CLOCKS = {"realtime": 0, "monotonic": 1, "boottime": 7, "tai": 11}
RESTARTS = {M64 - 511: True, M64 - 512: True, M64 - 513: True}


class Outcome(Record):
    """What a restore did.

    Unit:    times in ns
    """

    pid: int
    group: int  # process group of the first process
    pids: tuple[int, ...]
    rounds: int
    calls: int
    fill_ns: int
    total_ns: int
    warnings: tuple[str, ...] = ()  # what the image holds that this version ignored, as the image allows


def choose_hole(used: list[tuple[int, int]], size: int) -> int:
    """An address where `size` bytes are free in every process of the image, and likely in the stub.

    Raises:  kernel_lacks.address_space: there is no such hole
    """
    previous = LOW
    for a, b in sorted(used):
        if a - previous >= size + 2 * SLACK:
            return (previous + SLACK) & ~0xFFFF
        previous = max(previous, b)
    if TOP - (1 << 40) - previous >= size:
        return (previous + SLACK) & ~0xFFFF
    raise KernelLacks("address_space", f"no {size} bytes of address space are free in every process of the image", do="none known")


class Execution:
    """One restore under way.

    Shape:   `names`: what the tree's tasks are called here, where it grows in a pid namespace of its own
    """

    def __init__(self, plan: Plan, image: Image, hole: int, size: int, names: Names | None = None) -> None:
        self.plan, self.image = plan, image
        self.hole, self.size, self.names = hole, size, names
        self.held = Held()
        self.hands: dict[str, Hand] = {}
        self.pids: dict[str, int] = {}
        self.areas: dict[int, tuple[Gadget, Area]] = {}
        self.made_paths: list[tuple[str, bytes]] = []
        self.fill_ns = 0
        anonymous: dict[str, list[tuple[int, int]]] = {}
        for where, rec in plan.draft.records.get("mm.anon", {}).items():
            if "droppable" not in rec.flags:
                anonymous.setdefault(f"process:{str(where).split(':')[1]}", []).append((rec.start, rec.end))
        self.filler = Filler(image, {p: sorted(a) for p, a in anonymous.items()})
        self._births: Births | None = None
        self._leavings: Leavings | None = None
        self._stub_maps: list[Any] = []

    # --- the tree

    def start(self, stub: int) -> None:
        """Make every task of the tree.

        Needs:   the stub is traced by us, and stopped
        Raises:  kernel_lacks.set_tid: a pid is taken, or may not be chosen
        """
        faults.point("restore.stub")
        keep_near(stub)  # and so every task of the tree, until it is settled
        with Live(f"/proc/{stub}") as source:
            self._stub_maps = parse_maps(source.read("maps"))
        draft = self.plan.draft
        prepare = Program()
        _room_for_descriptors(prepare, draft.slots_used)
        if draft.staging:
            memory = {str(i): rec for i, rec in draft.records["mm.shared_memory"].items()}
            for inode, at in draft.staging.items():
                flags = 0x21 | 0x100000 | (MAP_NORESERVE if memory[inode].no_reserve else 0)
                prepare.call("mmap", at, (memory[inode].size + 4095) & ~4095, 3, flags, M64, 0, check=at)
        subreapers = frozenset(str(i) for i in draft.records.get("task.child_subreaper", {}))
        births = self._births = Births(self.held, draft.tree, (self.hole, self.size), self._pid_of)
        births.at_birth = self._at_birth
        births.slacks = _slacks(draft.records, next(iter(draft.tree.values())))
        self._expect_names(stub)
        self.hands, self.pids = births.hands, births.pids
        births.grow(stub, prepare, subreapers)
        faults.point("restore.born")

    def _at_birth(self, task: str, hand: Hand) -> None:
        for part in self.plan.births.get(task, ()):
            if self._leavings is not None:
                self._leavings.note(hand.process_pid)
            deadline = time.monotonic() + PATIENCE_S
            while True:
                try:
                    hand.run(part.calls)
                    break
                except CallFailed as e:
                    if part.patient and time.monotonic() < deadline:
                        time.sleep(0.001)
                        continue
                    self._note_names([part], e)
                    raise _explain(e, [part]) from e
            self._note_names([part], None)

    def _pid_of(self, nspid: int, nstid: int) -> int:
        if self.names is None:
            return nstid
        if nspid == nstid:
            return self.names.process(nspid)
        return self.names.thread(nstid, self.pids_by_nspid(nspid))

    def pids_by_nspid(self, nspid: int) -> int:
        """Our pid of a process of the tree."""
        assert self._births is not None
        return self._births.pids[f"process:{nspid}"]

    # --- rounds

    def run(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Run every round of the plan."""
        if self._leavings is not None:
            self._leavings.note(*self.pids.values())
        total = len(self.plan.rounds)
        for i, r in enumerate(self.plan.rounds):
            self._programs(r.parts)
            for action in r.actions:
                self._act(action)
            if progress is not None:
                progress(i + 1, total)
        self._forget_names()
        faults.point("restore.rounds")

    def _expect_names(self, stub: int) -> None:
        parts = [p for r in self.plan.rounds for mine in r.parts.values() for p in mine]
        parts += [p for mine in self.plan.births.values() for p in mine]
        names = sorted({path for p in parts for _, path in p.made_paths})
        if names:
            from holdfast.tracee.leavings import Leavings  # most trees make no name

            self._leavings = Leavings(names, stub)

    def _forget_names(self) -> None:
        if self._leavings is not None:
            self._leavings.dismiss()
            self._leavings = None

    def _programs(self, parts: Mapping[str, list[PlannedPart]]) -> None:
        # a process and its first thread are one task: their parts are one program
        merged: dict[int, tuple[str, list[PlannedPart]]] = {}
        for task, mine in parts.items():
            merged.setdefault(id(self.hands[task]), (task, []))[1].extend(mine)
        queue = list(merged.values())
        while queue:
            used: dict[int, int] = {}
            started: list[tuple[Hand, list[PlannedPart]]] = []
            left: list[tuple[str, list[PlannedPart]]] = []
            for task, mine in queue:
                hand = self.hands[task]
                group = id(hand) if task.startswith("process:") else self._process_key(task)
                assert hand.area is not None
                room = hand.area.room - used.get(group, 0)
                program = Program()
                cost = 0
                taken = 0
                for part in mine:
                    size = part_size(part)
                    if cost + size > room and taken:
                        break
                    if cost + size > room:
                        break
                    program.extend(part.calls)
                    cost += size
                    taken += 1
                if not taken:
                    if not used.get(group):
                        raise InternalError("area", f"a part of {part_size(mine[0])} bytes does not fit the area of {hand.area.room}")
                    left.append((task, mine))
                    continue
                if mine[taken:]:
                    left.append((task, mine[taken:]))
                if len(program):
                    hand.start(program, used.get(group, 0))
                    used[group] = used.get(group, 0) + (cost + 63) // 64 * 64
                    started.append((hand, mine[:taken]))
            failure: BaseException | None = None
            for hand, ran in started:
                try:
                    hand.finish()
                except CallFailed as e:
                    failure = failure or _explain(e, ran)
                    self._note_names(ran, e)
                else:
                    self._note_names(ran, None)
            if failure is not None:
                raise failure
            queue = left

    def _note_names(self, parts: list[PlannedPart], error: CallFailed | None) -> None:
        # names that were made before the call that failed; where that call was to make one, what is there belongs to somebody else
        for part in parts:
            failed = next((i for i, c in enumerate(part.calls.calls) if error is not None and c is error.call), None)
            self.made_paths += [(part.task, path) for after, path in part.made_paths if failed is None or after <= failed]
            if failed is not None:
                return

    def _process_key(self, task: str) -> int:
        return id(self.hands[self.plan.draft.process_of(task)])

    def _act(self, action: Action) -> None:
        if action.name == "clear":
            self._clear(action.subject)
        elif action.name == "fill":
            began = time.monotonic_ns()
            self.filler.process(action.subject, self.pids[action.subject], self.hands[action.subject])
            self.fill_ns += time.monotonic_ns() - began
            faults.point("restore.filled")
        elif action.name == "fill_inode":
            self.filler.inode(action.subject, *self._inode_place(action))
        elif action.name == "proc":
            self._write_proc(action)
        else:
            raise InternalError("plan", f"no such action: {action.name}")

    def _inode_place(self, action: Action) -> tuple[int, int, int]:
        # pid, descriptor there (or -1), staging address (or 0)
        return self.pids[action.args[0]], action.args[1], action.args[2]

    def _write_proc(self, action: Action) -> None:
        task = action.subject
        pid = self.hands[task].tid
        folder = f"/proc/{self.pids[self.plan.draft.process_of(task)]}"
        for name, data, without, needed in action.args:
            path = f"{folder}/task/{pid}/{name}" if task.startswith("thread:") else f"{folder}/{name}"
            try:
                fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
                try:
                    if without is None:
                        os.write(fd, data)
                    else:
                        with privilege.Without(without):
                            os.write(fd, data)
                finally:
                    os.close(fd)
            except OSError as e:
                if not needed:
                    continue
                raise KernelLacks(
                    "proc_write", f"{path} does not take {data!r}", where=path, why=e.strerror or "", do="restore as root; see proc(5)"
                ) from e

    # --- the address space

    def _clear(self, name: str) -> None:
        """Unmap the stub's memory and move the kernel's own areas to where they were."""
        hand = self.hands[name]
        wanted = {
            rec.name: rec
            for id, rec in self.plan.draft.records.get("mm.vdso", {}).items()
            if str(id).startswith(f"vma:{name.split(':')[1]}:")
        }
        mine = {v.special: v for v in self._stub_maps if v.special in KERNEL_AREAS}
        program = Program()
        spare = self.hole + self.size
        for area, v in mine.items():
            if area in wanted:
                program.call("mremap", v.start, v.size, v.size, 3, spare, check=spare)
                mine[area] = v.replace(start=spare, end=spare + v.size)
                spare += v.size
        staging = self.plan.draft.staging
        low = min(staging.values(), default=self.hole)
        keep_low, keep_high = min(low, self.hole), max(spare, (max(staging.values(), default=0)) and low + self.plan.draft.staging_size)
        program.call("munmap", 0, keep_low)
        program.call("munmap", keep_high, TOP - keep_high)
        for area, v in mine.items():
            if area in wanted:
                program.call("mremap", v.start, v.size, v.size, 3, wanted[area].start, check=wanted[area].start)
        hand.run(program)
        vdso = wanted.get("vdso")
        gadget = Gadget(0)
        if vdso is not None:
            code = ptrace.read_memory(hand.tid, vdso.start, vdso.end - vdso.start)
            gadget = Gadget(vdso.start + code.index(SYSCALL_INSN))
        hand.gadget = gadget
        for task, other in self.hands.items():
            if task.startswith("thread:") and self.plan.draft.process_of(task) == name:
                other.gadget = gadget
        faults.point("restore.cleared")

    # --- the end

    def settle(self, leave: bool = True) -> None:
        """Set extended state, signal masks and registers of every thread.

        Shape:   `leave`: take the areas away; else whoever looks at the tree does, for whom they stay in `areas`
        """
        records = self.plan.draft.records
        # an area from before says nothing of how memory is mapped after such a call
        renewed = {p.task for p in self.plan.parts for c in p.calls.calls if c.name == "mlockall"}
        states, cpus = records.get("task.cpu", {}), records.get("task.affinity", {})
        masks = records.get("task.sigmask", {})
        for name, rec in self.plan.draft.tree.items():
            if rec.zombie:
                continue
            hand = self.hands[str(name)]
            waits = {tid: _begin(self.hands.get(f"thread:{int(tid)}", hand), states[f"thread:{int(tid)}"]) for tid in rec.threads}
            if leave or hand.area is None or hand.given or str(name) in renewed:
                hand.unmap_area()
            else:
                self.areas[hand.tid] = (hand.gadget, hand.area)
            for tid in rec.threads:
                thread = f"thread:{int(tid)}"
                th = self.hands.get(thread, hand)
                th.to_trap_stop()
                cpu = states[thread]
                ptrace.set_xstate(th.tid, cpu.xstate)
                words = Registers(bytes(27 * 8))
                for register, value in cpu.items():
                    if register not in ("xstate", "wait"):
                        words[register] = value
                raw = _waiting(words, waits[tid]).pack()
                ptrace.set_registers(th.tid, raw)
                mask = masks[thread].blocked if thread in masks else 0
                ptrace.set_sigmask(th.tid, mask)
                th.thread.settled(raw, mask)
                _let_run(thread, th.tid, cpus[thread].cpus if thread in cpus else ())
        faults.point("restore.registers")

    def look(self, options: Any) -> Any:
        """Evidence of the restored tree, still stopped."""
        return stopped_tree(self.held, options, ours={pid: (a.base, a.base + a.size) for pid, (_, a) in self.areas.items()})

    def let_go(self) -> int:
        """Release the tree; our pid of its first process."""
        for process in self.held.processes:
            for thread in process.threads:
                try:
                    ptrace.request(ptrace.SETOPTIONS, thread.tid, 0, 0)
                except OSError:
                    continue  # a zombie
        self.held.release()
        return next(iter(self.pids.values()))

    def abandon(self) -> None:
        """Kill what was made and remove the names that it made."""
        for task, path in self.made_paths:
            try:
                os.unlink(b"/proc/%d/root%s" % (self.pids[self.plan.draft.process_of(task)], path))
            except OSError:
                continue  # it was removed in time, or never made
        self._forget_names()
        births = self._births
        if births is not None:
            self.held.kill()
            for pid in self.pids.values():
                try:
                    os.waitpid(pid, ptrace.WALL)
                except ChildProcessError:
                    continue  # a child of one of the others


def _let_run(thread: str, tid: int, cpus: tuple[int, ...]) -> None:
    try:
        let_run(tid, cpus)
    except OSError as cause:
        raise KernelLacks(
            "affinity",
            f"task.affinity of {thread} cannot be restored: it may not run on the CPUs {cpus or 'that there are'}",
            where=f"sched_setaffinity of task {tid}",
            why=cause.strerror or "",
            do="restore in a cpuset that has these CPUs; the tree was destroyed, the image is whole",
        ) from cause


def _slacks(records: Mapping[str, Mapping[str, Any]], root: Any) -> dict[int, int]:
    # by tid; where all have one default it is enough that the stub has it when it makes the first process, from which all others come
    found = {int(str(id).partition(":")[2]): r.default_ns for id, r in records.get("task.timer_slack", {}).items() if r.default_ns}
    several = set(found.values())
    return found if len(several) != 1 else {int(root.nspid): several.pop()}


def _room_for_descriptors(prepare: Program, count: int) -> None:
    # slots stand above every final number; task.rlimits sets the limit of the image last
    if count < 256:  # the least that POSIX systems allow by default
        return
    import resource  # few trees need it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 64
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    hard = max(hard, wanted) if os.geteuid() == 0 and hard != resource.RLIM_INFINITY else hard
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    prepare.call("prlimit64", 0, resource.RLIMIT_NOFILE, limit.to_bytes(8, "little") + (hard & M64).to_bytes(8, "little"), 0)


# A wait is begun again with the time that remained, from our area, and interrupted at once, so that the thread goes on with it as after
# any stop. What it wrote to the program's memory on the way is taken back: the stop of the dump has written it too.
def _begin(hand: Hand, cpu: Any) -> int | None:
    wait = cpu.wait
    if wait is None:
        return None
    assert hand.area is not None
    if wait.call == "poll":
        return hand.interrupted("poll", cpu.rdi, cpu.rsi, min(-(-wait.remaining_ns // 1_000_000), INT_MAX))
    at = hand.area.table
    ptrace.write_memory(hand.tid, at, b"".join(n.to_bytes(8, "little") for n in divmod(wait.remaining_ns, 1_000_000_000)))
    if wait.call == "futex":
        return hand.interrupted("futex", cpu.rdi, cpu.rsi, cpu.rdx, at, cpu.r8, cpu.r9)
    try:
        kept = ptrace.read_memory(hand.tid, wait.remainder, TIMESPEC) if wait.remainder else b""
    except OSError:  # it is not there any more: the call will say so
        kept = b""
    result = hand.interrupted("clock_nanosleep", CLOCKS[wait.clock], 0, at, wait.remainder)
    if kept:
        ptrace.write_memory(hand.tid, wait.remainder, kept)
    return result


def _waiting(regs: Registers, begun: int | None) -> Registers:
    # registers of a thread as they go on: in a wait that was begun again, after one that was over at once, or with its call made again
    if begun is None:
        return rewound(regs)
    regs["rax"] = begun & M64
    if begun != -RESTART_BLOCK:
        regs["orig_rax"] = M64
    return regs


def rewound(regs: Registers) -> Registers:
    """Registers with an interrupted system call set up to be made again, as the kernel does on return from a stop.

    Source:  arch/x86/kernel/signal.c arch_do_signal_or_restart
    """
    if regs["orig_rax"] >> 63 == 0 and regs["rax"] in (*RESTARTS, M64 - 515):
        regs["rax"] = regs["orig_rax"]
        regs["rip"] = regs["rip"] - 2
    regs["orig_rax"] = M64
    return regs


def part_size(part: PlannedPart) -> int:
    """An upper bound of a part's bytes in a program."""
    calls, size = part.sized
    if not size or calls != len(part.calls):
        size = size_of(part.calls)
        part.sized = (len(part.calls), size)
    return size


def _explain(error: CallFailed, parts: list[PlannedPart]) -> KernelLacks:
    for part in parts:
        if any(c is error.call for c in part.calls.calls):
            return KernelLacks(
                "restore_call",
                f"{part.kind} of {part.subject} cannot be restored: {error.what}",
                where=f"{part.task}; kinds/{part.kind.replace('.', '/', 1)}.py",
                why="the kernel did not do what it did for the original",
                do="see `holdfast doctor`; the tree was destroyed, the image is whole",
            )
    return KernelLacks("restore_call", error.what, where=error.where)


def plan_layout(records: Mapping[str, Mapping[str, Any]], size: int) -> tuple[int, dict[str, int], int]:
    """Where the area and shared memory's staging go: area address, object to address, size of the staging."""
    used = []
    for kind in ("mm.anon", "mm.file", "mm.shared", "mm.vdso"):
        used += [(rec.start, rec.end) for rec in records.get(kind, {}).values()]
    for kind, recs in records.items():
        if kind.startswith("mm.") and kind not in ("mm.anon", "mm.file", "mm.shared", "mm.vdso"):
            used += [(rec.start, rec.end) for rec in recs.values() if hasattr(rec, "start") and hasattr(rec, "end")]
    shared = {str(i): (rec.size + 4095) & ~4095 for i, rec in records.get("mm.shared_memory", {}).items()}
    staging_size = sum(shared.values())
    hole = choose_hole(used, size + SLACK + staging_size)
    at = hole + size + SLACK
    layout = {}
    for inode, n in shared.items():
        layout[inode] = at
        at += n
    return hole, layout, staging_size
