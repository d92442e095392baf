"""Make the tree: every process with its pid, parent, session and group, every thread with its id.

All tasks start as copies of one stub, so this costs microseconds a task and nothing of the image is needed but task.process.

Sessions. A child is born into the session that its parent is in at that moment. So a parent that leads a session first
makes the children that belong to the session it was born into, then calls setsid, then makes the others. A process whose session is neither
(its real parent ended, so that it was handed to the first process) is made by a member of its session through a middle
process that ends at once, which hands the child over as it did in the original.

Birth parts of the plan run where a process has its session and is about to make the children that inherit from it.

Groups. Leaders of groups call setpgid first, then the members follow. A group whose leader is gone is led for that moment by a
helper with the leader's pid, which then ends and is reaped by its parent.

Jobs. The init of a job of `holdfast run` is the parent of the first process and of what it adopted; those have no parent in the image.
"""

from __future__ import annotations

import os
import time
from errno import EEXIST

from holdfast.errors import BadImage, KernelLacks
from holdfast.prog.call import ANY, Block, Program, Struct
from holdfast.tracee import ptrace, spawn
from holdfast.tracee.arch.x86_64 import STUB_SYSCALL
from holdfast.tracee.gadget import Gadget
from holdfast.tracee.inject import CallFailed, Hand
from holdfast.tracee.seize import Held, Process, Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from holdfast.prog.call import Answers
    from holdfast.tracee.inject import Area

SIGNAL = 28
PATIENCE_S = 2.0
PR_SET_TIMERSLACK, PR_SET_CHILD_SUBREAPER = 29, 36
PR_SET_NAME = 15
SIGCHLD, SIGCONT, SIGSTOP = 17, 18, 19
CORE_SIGNALS = frozenset((3, 4, 5, 6, 7, 8, 11, 24, 25, 31))  # signal(7): their default action dumps core
WNOHANG, WUNTRACED, WALL = 1, 2, 0x40000000


class Births:
    """Makes a tree out of a stub.

    Shape:   `pid_of` maps a pid of the tree's own namespace to ours once the task is there
    Needs:   the stub is held by us and stopped
    """

    def __init__(self, held: Held, tree: Mapping[Any, Any], area: tuple[int, int], pid_of: Callable[[int, int], int]) -> None:
        self.held, self.tree, self.place, self._pid_of = held, tree, area, pid_of
        self.hands: dict[str, Hand] = {}
        self.pids: dict[str, int] = {}
        self.processes: dict[str, Process] = {}
        self.processes_made: Callable[[str, int], None] | None = None
        self.at_birth: Callable[[str, Hand], None] | None = None  # called once it leads its session, before it makes whom it leads
        self.slacks: Mapping[int, int] = {}  # default timer slack in ns by tid, where a tree has several: it is its maker's at its birth
        self._late: list[str] = []
        self._subreapers: set[str] = set()

    def grow(self, stub: int, prepare: Program | None, subreapers: frozenset[str]) -> None:
        """Make every task.

        Raises:  kernel_lacks.set_tid: a wanted pid is taken or may not be chosen
                 bad_image.tree: a parent is missing, or sessions cannot be rebuilt
        """
        self._subreapers = set(subreapers)
        stub_thread = Thread(stub)
        hand = Hand(stub_thread, Gadget(STUB_SYSCALL), SIGNAL)
        area = hand.map_area(self.place[1], self.place[0])
        first = Program()
        first.call("close_range", 3, 0xFFFFFFFF, 0)  # what the restorer itself was started with
        if prepare is not None:
            first.extend(prepare)
        roots = [name for name, process in self.tree.items() if process.parent is None]
        for name in roots[:1] if roots else list(self.tree)[:1]:
            self._fork(hand, name, area, parent=True, first=first)
        now = self._strays(hand, roots[1:], area)
        os.kill(stub, 9)
        _reap(stub)
        kids: dict[str, list[str]] = {}
        for name, process in self.tree.items():
            if process.parent is not None:
                if str(process.parent) not in self.tree:
                    raise BadImage("tree", f"{name} has the parent {process.parent}, which is not in the image", where="task.process")
                kids.setdefault(str(process.parent), []).append(str(name))
        self._family(str(roots[0]), kids, area, born_session=-1)
        for name, session in now:
            self._family(name, kids, area, session)
        self._adopted(area)
        self._groups()
        self._zombies()
        self._stops()
        self._continued()

    # --- what the init of a job adopted

    def _strays(self, stub: Hand, strays: Sequence[Any], area: Area) -> list[tuple[str, int]]:
        # Children of the init beside the first process; with each, the session that it was born into. Who leads a session, or is in one
        # outside the job, is the stub's sibling. One whose session's leader is in the tree is made later, by a member. One whose
        # session's leader is gone is made by a helper with the leader's number, which ends: so the init adopts it again.
        leaders = {int(p.nspid) for p in self.tree.values()}
        made: list[tuple[str, int]] = []
        gone: dict[int, list[str]] = {}
        for name in strays:
            rec = self.tree[name]
            session = int(rec.session)
            if session in (0, int(rec.nspid)):
                self._fork(stub, name, area, parent=True)
                made.append((str(name), 0))
            elif session in leaders:
                self._late.append(str(name))
            else:
                gone.setdefault(session, []).append(str(name))
        for session, members in gone.items():
            _, helper, hand = self._born(stub, session, self.tree[members[0]])
            program = Program()
            program.call("setsid", check=session)
            hand.run(program)
            for name in members:
                self._fork(hand, name, area)
                made.append((name, session))
            self._end(stub, session, helper)
        return made

    # --- one process

    def _fork(self, by: Hand, name: Any, area: Area, parent: bool = False, first: Program | None = None) -> None:
        rec = self.tree[name]
        program = first or Program()
        nspid = Block(int(rec.nspid).to_bytes(4, "little") + bytes(4))
        flags = spawn.CLONE_PTRACE | (spawn.CLONE_PARENT if parent else 0)
        exit_signal = 0 if parent else rec.exit_signal
        args = spawn.clone_args(flags, 0, exit_signal)
        self._slack(program, int(rec.nspid))
        program.call("clone3", Struct(args[:64], nspid, args[72:]), 88)
        _run(by, program, rec)
        self._adopt(str(name), area)

    # What PR_SET_TIMERSLACK 0 goes back to is what the maker of a task has when it makes it: kernel/fork.c copy_process.
    def _slack(self, program: Program, tid: int) -> None:
        wanted = self.slacks.get(tid)
        if wanted:
            program.call("prctl", PR_SET_TIMERSLACK, wanted, 0, 0, 0)

    def _adopt(self, name: str, area: Area) -> None:
        rec = self.tree[name]
        pid = self._pid_of(int(rec.nspid), int(rec.nspid))
        process = Process(pid)
        thread = Thread(pid)
        spawn.first_stop(thread)
        process.threads.append(thread)
        self.held.adopt(process)
        self.processes[name] = process
        self.pids[name] = pid
        if self.processes_made is not None:
            self.processes_made(name, pid)
        hand = Hand(thread, Gadget(STUB_SYSCALL), SIGNAL)
        hand.use_area(area)
        self.hands[name] = hand

    def _family(self, name: str, kids: Mapping[str, Sequence[str]], area: Area, born_session: int) -> None:
        rec = self.tree[name]
        hand = self.hands[name]
        leader = int(rec.session) == int(rec.nspid)
        session = int(rec.session)
        early, normal = [], []
        for child in kids.get(name, ()):
            theirs = int(self.tree[child].session)
            if theirs in (session, int(self.tree[child].nspid)):
                normal.append(child)
            elif leader and theirs == born_session:
                early.append(child)
            else:
                self._late.append(child)
        start = Program()
        if name in self._subreapers:
            start.call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        if len(start):
            hand.run(start)
        for child in early:
            self._fork(hand, child, area)
        if leader:
            program = Program()
            program.call("setsid", check=int(rec.nspid))
            if rec.zombie:
                hand.run(program)
            else:
                hand.owed = program  # whatever the process does next; its children come after
        if self.at_birth is not None:
            self.at_birth(name, hand)
        makers = {child: int(self.tree[child].parent_thread) for child in normal}
        for child in normal:
            if not makers[child]:
                self._fork(hand, child, area)
        if not rec.zombie:
            self._threads(name, area)
        for child in normal:
            if makers[child]:
                maker = self.hands.get(f"thread:{makers[child]}")
                if maker is None:
                    raise BadImage("tree", f"{child} is a child of thread {makers[child]}, which is not in the image", where="task.process")
                self._fork(maker, child, area)
        for child in early:
            self._family(child, kids, area, born_session)
        for child in normal:
            self._family(child, kids, area, session)

    def _threads(self, name: str, area: Area) -> None:
        rec = self.tree[name]
        process, hand = self.processes[name], self.hands[name]
        self.hands[f"thread:{int(rec.nspid)}"] = hand
        tids = [int(t) for t in rec.threads if int(t) != int(rec.nspid)]
        if not tids:
            return
        for i in range(0, len(tids), 200):
            program = Program()
            for tid in tids[i : i + 200]:
                self._slack(program, tid)
                block = Block(tid.to_bytes(4, "little") + bytes(4))
                args = spawn.clone_args(spawn.THREAD_FLAGS | spawn.CLONE_PTRACE, 0, 0)
                program.call("clone3", Struct(args[:64], block, args[72:]), 88, check=tid)
            _run(hand, program, rec)
        for tid in tids:
            ours = self._pid_of(int(rec.nspid), tid)
            thread = Thread(ours)
            spawn.first_stop(thread)
            process.threads.append(thread)
            self.held.adopt_thread(thread)
            made = Hand(thread, Gadget(STUB_SYSCALL), SIGNAL)
            made.use_area(area)
            self.hands[f"thread:{tid}"] = made

    # --- sessions that lead elsewhere

    def _adopted(self, area: Area) -> None:
        late, self._late = self._late, []
        wanted = {n for p in self.tree.values() for n in (*map(int, p.threads), int(p.session), int(p.group))} if late else set()
        for name in late:
            rec = self.tree[name]
            member = next((n for n in self.hands if n.startswith("process:") and int(self.tree[n].session) == int(rec.session)), None)
            if member is None:
                raise BadImage("tree", f"{name} is in session {int(rec.session)}, of which no other process is left", where="task.process")
            # through a middle process that ends: the child goes to whoever adopts orphans here
            by = self.hands[member]
            number, pid, middle = self._born(by, 0, rec)
            while number in wanted:  # the kernel counts on
                self._end(by, number, pid)
                number, pid, middle = self._born(by, 0, rec)
            self._fork(middle, name, area)
            self._end(by, number, pid)
            kids: dict[str, list[str]] = {}
            for n, p in self.tree.items():
                if p.parent is not None:
                    kids.setdefault(str(p.parent), []).append(str(n))
            self._family(name, kids, area, int(rec.session))
        if self._late:
            self._adopted(area)

    def _groups(self) -> None:
        leaders = [n for n, p in self.tree.items() if int(p.group) == int(p.nspid) and int(p.session) != int(p.nspid)]
        for name in leaders:
            program = Program()
            program.call("setpgid", 0, 0)
            self.hands[str(name)].run(program)
        gone: dict[int, str] = {}
        known = {int(p.nspid) for p in self.tree.values()}
        for name, p in self.tree.items():
            # whoever is in the group of a session whose leader is gone was born into it
            if int(p.group) and int(p.group) not in known and int(p.group) != int(p.session):
                gone.setdefault(int(p.group), str(name))
        helpers = {group: self._helper(group, name) for group, name in gone.items()}
        for name, p in self.tree.items():
            if int(p.group) and int(p.group) != int(p.nspid):
                program = Program()
                program.call("setpgid", 0, int(p.group))
                self.hands[str(name)].run(program)
        for maker, helper in helpers.values():
            os.kill(helper, 9)
            _reap(helper)
            program = Program()
            program.call("wait4", -1 & ((1 << 64) - 1), 0, 0x80000000 | 1, 0, check=ANY)  # __WCLONE: only the helper has exit signal 0
            maker.run(program)

    def _helper(self, group: int, member: str) -> tuple[Hand, int]:
        # a process with the group's number that leads it while its members join
        by = self.hands[member]
        _, pid, hand = self._born(by, group, self.tree[member])
        lead = Program()
        lead.call("setpgid", 0, 0)
        hand.run(lead)
        return by, pid

    def _born(self, by: Hand, number: int, rec: Any) -> tuple[int, int, Hand]:
        # a helper with this pid inside (0: any), its pid here, and a hand on it; its parent hears nothing of its end
        program = Program()
        block = Block(number.to_bytes(4, "little") + bytes(4))
        args = spawn.clone_args(spawn.CLONE_PTRACE, 0, 0)
        call = program.call("clone3", Struct(args[:64], block, args[72:]) if number else args[:64] + bytes(24), 88)
        number = _run(by, program, rec).value(call)
        pid = self._pid_of(number, number)
        thread = Thread(pid)
        spawn.first_stop(thread)
        hand = Hand(thread, Gadget(STUB_SYSCALL), SIGNAL)
        assert by.area is not None
        hand.use_area(by.area)
        return number, pid, hand

    def _end(self, parent: Hand, number: int, pid: int) -> None:
        os.kill(pid, 9)
        _reap(pid)
        program = Program()
        program.call("wait4", number, 0, WALL, 0, check=number)
        parent.run(program)

    def _zombies(self) -> None:
        for name, rec in self.tree.items():
            if not rec.zombie:
                continue
            hand = self.hands[str(name)]
            code, signal = (rec.exit_status >> 8) & 0xFF, rec.exit_status & 0x7F
            program = Program()
            pid = self.pids[str(name)]
            if rec.zombie_name:
                program.call("prctl", PR_SET_NAME, rec.zombie_name + b"\0")
            if signal:
                if signal in CORE_SIGNALS:
                    program.call("prlimit64", 0, 4, Struct(bytes(16)), 0)  # no core file
                hand.run(program)
                os.kill(pid, signal)
                if signal != 9:
                    _deliver(hand.thread, signal)
            else:
                program.call("exit_group", code)
                hand.start(program)
            _reap(pid)
            self.held.forget(pid)
            self.processes[str(name)].zombie = True
            self.processes[str(name)].threads = []
            del self.hands[str(name)]
            if rec.exit_signal:
                self._unheard(rec, rec.exit_signal)

    def _unheard(self, rec: Any, signal: int) -> None:
        # its parent gets such a signal again only where it waited in the image (task.sigpending); now it is blocked, as in every program
        parent = self.hands.get(str(rec.parent))
        if parent is not None:
            _take(parent, signal)

    # --- job control

    def _stops(self) -> None:
        # while every signal has its default action: a tracee goes on where its tracer says so, stopped or not (ptrace(2), Group-stop)
        for name, rec in self.tree.items():
            if not rec.stop_signal or rec.zombie:
                continue
            process = self.processes[str(name)]
            os.kill(process.pid, SIGSTOP)
            # Linux kernel/signal.c get_signal: only SIGSTOP stops a process of an orphaned group
            _halt(process, SIGSTOP if self._orphaned(rec) else rec.stop_signal)
            parent = self.hands.get(str(rec.parent))
            if parent is not None and rec.stop_reported:
                told = Program()
                told.call("wait4", int(rec.nspid), 0, WNOHANG | WUNTRACED | WALL, 0, check=int(rec.nspid))
                parent.run(told)
            self._unheard(rec, SIGCHLD)

    def _continued(self) -> None:
        # news of the end of a stop (Linux kernel/signal.c prepare_signal, SIGNAL_STOP_CONTINUED)
        for rec in self.tree.values():
            for child in rec.continued:
                name = f"process:{int(child)}"
                process, hand = self.processes.get(name), self.hands.get(name)
                if process is None or hand is None:
                    raise BadImage("tree", f"{name} is told to have gone on after a stop, and is not in the image", where="task.process")
                os.kill(process.pid, SIGSTOP)
                _halt(process, SIGSTOP)
                os.kill(process.pid, SIGCONT)
                for thread in process.threads:
                    ptrace.request(ptrace.CONT, thread.tid)
                    while thread.wait() >> 16 != ptrace.EVENT_STOP:
                        ptrace.request(ptrace.CONT, thread.tid)
                    thread.group_stop = 0
                _take(hand, SIGCONT)
                self._unheard(self.tree[next(n for n in self.tree if str(n) == name)], SIGCHLD)

    def _orphaned(self, rec: Any) -> bool:
        # no parent of a member is in another group of the session; setpgid(2), Linux kernel/exit.c will_become_orphaned_pgrp
        for p in self.tree.values():
            if p.group == rec.group and p.session == rec.session and not p.zombie and p.parent is not None:
                parent = self.tree[p.parent]
                if parent.session == p.session and parent.group != p.group:
                    return False
        return True


def _take(hand: Hand, signal: int) -> None:
    # a signal that waits, as all are blocked
    program = Program()
    program.call("rt_sigtimedwait", (1 << signal - 1).to_bytes(8, "little"), 0, bytes(16), 8, check=signal)
    hand.run(program)


def _run(hand: Hand, program: Program, rec: Any) -> Answers:
    # a wanted number is taken for a moment longer than its process: until every zombie of its group and session is reaped
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return hand.run(program)
        except CallFailed as e:
            at = next(i for i, c in enumerate(program.calls) if c is e.call)
            if e.errno != EEXIST or time.monotonic() > deadline or _alive(int(rec.nspid)):
                raise _cannot(rec, e) from e
            program = Program(program.calls[at:])
            time.sleep(0.001)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb", 0) as f:
            return f.read(1024).rpartition(b")")[2].split()[0] not in b"ZX"
    except OSError:
        return False


def _deliver(thread: Thread, signal: int) -> None:
    ptrace.set_sigmask(thread.tid, 0)
    ptrace.request(ptrace.CONT, thread.tid)
    while True:
        _, status = os.waitpid(thread.tid, ptrace.WALL)
        if not os.WIFSTOPPED(status):
            return
        stop = os.WSTOPSIG(status)
        ptrace.request(ptrace.CONT, thread.tid, 0, stop if status >> 16 == 0 else 0)


def _halt(process: Process, signal: int) -> None:
    # the leader takes the SIGSTOP that waits for it, as `signal`, which must not be blocked meanwhile; then each thread reports the stop
    mask = ptrace.get_sigmask(process.pid)
    ptrace.set_sigmask(process.pid, mask & ~(1 << signal - 1))
    for thread in process.threads:
        ptrace.request(ptrace.CONT, thread.tid)
        while (status := thread.wait()) >> 16 != ptrace.EVENT_STOP:
            ptrace.request(ptrace.CONT, thread.tid, 0, signal)
        thread.group_stop = os.WSTOPSIG(status)
    ptrace.set_sigmask(process.pid, mask)


def _reap(pid: int) -> None:
    while True:
        try:
            _, status = os.waitpid(pid, ptrace.WALL)
        except ChildProcessError:
            return
        if not os.WIFSTOPPED(status):
            return


def _cannot(rec: Any, cause: CallFailed) -> KernelLacks:
    if cause.errno == 17:
        what, why, do = (
            "a process with that pid is there already",
            "clone3(2) set_tid: EEXIST",
            "end it (or reap it: its parent must have waited), or restore into a namespace of its own (holdfast run)",
        )
    elif cause.errno == 1:
        what, why, do = (
            "this user may not choose pids",
            "clone3(2) set_tid needs CAP_CHECKPOINT_RESTORE in the pid namespace",
            "restore as root, or use holdfast run",
        )
    else:
        what, why, do = cause.what, "clone3(2)", "see `holdfast doctor`"
    return KernelLacks("set_tid", f"pid {int(rec.nspid)} cannot be made: {what}", where=f"pid {int(rec.nspid)}", why=why, do=do)
