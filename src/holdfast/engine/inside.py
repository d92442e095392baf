"""Our hands inside the processes of a stopped tree: an area in each, a hand on each thread, dialogues run in batches."""

from __future__ import annotations

from holdfast.errors import InternalError, Refused
from holdfast.kinds.evidence import FileEvidence, InodeEvidence, ProcessEvidence, ThreadEvidence, VmaEvidence
from holdfast.model.ids import Pid
from holdfast.prog.call import At, Block, Call, Out, Program, Struct
from holdfast.prog.lower import ROW_SIZE
from holdfast.tracee import gadget
from holdfast.tracee.guard import Guard
from holdfast.tracee.inject import PAGE, Area, Hand, quiet_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from typing import Any

    from holdfast.model.record import Record
    from holdfast.prog.call import Answers
    from holdfast.tracee.gadget import Gadget
    from holdfast.tracee.seize import Held

    Subject = ProcessEvidence | ThreadEvidence | VmaEvidence | FileEvidence | InodeEvidence

AREA = 256 << 10
_Dialogue: type[Generator[Any, Any, Any]] = type(_ for _ in ())  # types.GeneratorType, without the 0.3 ms of types


class Inside:
    """Areas and hands for the processes that we hold.

    Shape:   `there`: by pid, an area that a process has already, and a syscall instruction of its own
    Needs:   every task of the tree is stopped by us
    """

    def __init__(
        self,
        held: Held,
        processes: Sequence[ProcessEvidence],
        size: int = AREA,
        guarded: bool = False,
        there: Mapping[int, tuple[Gadget, Area]] | None = None,
    ) -> None:
        self.held, self._there = held, there or {}
        self.guarded = guarded
        self.guard: Guard | None = None
        self.size = size
        self.hands: dict[int, Hand] = {}
        self.areas: dict[int, Area] = {}
        self._known: dict[int, Area] = {}
        self._processes = {p.pid: p for p in processes if not p.zombie}

    def open(self) -> None:
        """Map an area into every process that has none."""
        if self.guarded:
            self.guard = Guard(sum(len(p.threads) for p in self._processes.values()))
        for process in self._processes.values():
            self._open_one(process)

    def _open_one(self, process: ProcessEvidence) -> None:
        status = process.leader.status
        signal = quiet_signal(status.ignored, status.caught, status.pending | status.shared_pending)
        there = self._there.get(process.pid)
        if there is not None:
            hand = self.hands[process.pid] = Hand(self.held.thread(process.pid), there[0], signal, self.guard)
            area = there[1]
            hand.use_area(area)
        else:
            code = [
                (a.vma.start, a.vma.end, a.vma.offset, a.vma.name.decode("utf-8", "surrogateescape"))
                for a in process.vmas
                if a.vma.prot & 4
            ]
            hand = self.hands[process.pid] = Hand(self.held.thread(process.pid), gadget.find(process.pid, code), signal, self.guard)
            area = hand.map_area(self.size)
        self.areas[process.pid] = self._known[process.pid] = area
        process.area = (area.base, area.base + area.size)

    def hand(self, thread: ThreadEvidence) -> Hand:
        """The hand on one thread."""
        got = self.hands.get(thread.tid)
        if got is None:
            leader = self.hands[thread.process.pid]
            status = thread.status
            signal = quiet_signal(status.ignored, status.caught, status.pending | status.shared_pending)
            got = self.hands[thread.tid] = Hand(self.held.thread(thread.tid), leader.gadget, signal, self.guard)
            got.process_pid = int(thread.process.pid)
            got.use_area(self.areas[thread.process.pid])
        return got

    def area_of(self, process: ProcessEvidence) -> Area | None:
        """Where the process's area is or was: its twin has it still."""
        return self._known.get(process.pid)

    def close(self) -> None:
        """Take areas and hands away: every thread is as it was when it stopped."""
        for hand in self.hands.values():
            if hand.tid not in self.areas:
                hand.settle()
        for pid in list(self.areas):
            self.hands[pid].leave()
            self._processes[Pid(pid)].area = None
            del self.areas[pid]
        self.hands.clear()

    def dismiss(self) -> None:
        """No hand is in any more and no twin is left: the guard may go."""
        if self.guard is not None:
            self.guard.dismiss()

    def reap(self) -> None:
        """Wait for the guard, so that no zombie of ours is left."""
        if self.guard is not None:
            self.guard.dismiss()
            self.guard.reap()
            self.guard = None

    def talk(self, dialogues: Sequence[tuple[Subject, Generator[Program, Answers, Record]]]) -> list[Any]:
        """Run dialogues to their ends, all of one round in one program a thread; in order, the record or the refusal of each."""
        results: list[Any] = [None] * len(dialogues)
        live: list[tuple[int, ThreadEvidence, Generator[Program, Answers, Record], Program]] = []

        def step(i: int, who: ThreadEvidence, g: Generator[Program, Answers, Record], answers: Answers | None) -> None:
            try:
                asked = next(g) if answers is None else g.send(answers)
                live.append((i, who, g, asked))
            except StopIteration as end:
                results[i] = end.value
            except Refused as said:  # the others are asked all the same: all refusals come at once
                results[i] = said

        for i, (subject, g) in enumerate(dialogues):
            step(i, _thread_of(subject), g, None)
        while live:
            batch, live = live, []
            for i, who, g, answers in self._round(batch):
                step(i, who, g, answers)
        return results

    def _round(
        self, batch: Sequence[tuple[int, ThreadEvidence, Generator[Program, Answers, Record], Program]]
    ) -> list[tuple[int, ThreadEvidence, Generator[Program, Answers, Record], Answers]]:
        out = []
        queue = list(batch)
        while queue:
            taken: dict[int, tuple[ThreadEvidence, Program, list[Any]]] = {}
            used: dict[int, int] = {}
            needed: dict[int, int] = {}
            left = []
            for item in queue:
                who, asked = item[1], item[3]
                cost = size_of(asked)
                pid = who.process.pid
                room = self.areas[pid].room if pid in self.areas else 0
                if cost > room:
                    raise InternalError("area", f"a question of {cost} bytes does not fit the area of {room}")
                before = needed.get(who.tid, 0)
                more = _placed(before + cost) - _placed(before)
                if used.get(pid, 0) + more > room:
                    left.append(item)
                    continue
                used[pid] = used.get(pid, 0) + more
                needed[who.tid] = before + cost
                slot = taken.setdefault(who.tid, (who, Program(), []))
                slot[1].extend(asked)
                slot[2].append(item)
            offsets: dict[int, int] = {}
            for who, joined, _ in taken.values():
                offset = offsets.get(who.process.pid, 0)
                self.hand(who).start(joined, offset)
                offsets[who.process.pid] = offset + _placed(needed[who.tid])
            for who, _, items in taken.values():
                answers = self.hand(who).finish()
                out += [(i, t, g, answers) for i, t, g, _ in items]
            queue = left
        return out


# What a thread's program takes of the area: the next one begins on a cache line of its own.
def _placed(size: int) -> int:
    return (size + 63) // 64 * 64


def size_of(program: Program) -> int:
    """An upper bound of a lowered program's size, in bytes."""
    return _rows(program, set())


def _rows(program: Program, seen: set[int]) -> int:
    total = ROW_SIZE * (len(program.calls) + 1) + 64 + PAGE // 64
    for call in program.calls:
        for arg in call.args:
            kind = type(arg)
            if kind is bytes:
                total += len(arg) + 8  # type: ignore[arg-type]
            elif kind is not int and kind is not Call and not isinstance(arg, int):  # a number, or the result of a call before
                total += _data(arg, seen)
        if call.child is not None:
            total += _rows(call.child, seen)
    return total


# What an argument adds to the data of a program; each object lies there once.
def _data(arg: Any, seen: set[int]) -> int:
    if isinstance(arg, bytes):
        return len(arg) + 8
    if id(arg) in seen:
        return 0
    seen.add(id(arg))
    if isinstance(arg, Out):
        return arg.size + 8
    if isinstance(arg, Block):
        return len(arg.data) + 8
    if isinstance(arg, Struct):
        return sum(8 + _data(part, seen) for part in arg.parts) + 8
    return _data(arg.of if isinstance(arg, At) else arg.out, seen)


def _thread_of(subject: Subject) -> ThreadEvidence:
    if isinstance(subject, ThreadEvidence):
        return subject
    if isinstance(subject, ProcessEvidence):
        return subject.leader
    if isinstance(subject, InodeEvidence):
        owner = subject.files[0].process if subject.files else subject.vmas[0].process
        return owner.leader
    return subject.process.leader


def describe(inside: Inside, wanted: Sequence[tuple[Subject, Callable[[Any], Any]]]) -> list[Any]:
    """Call the dump verbs and run the dialogues among them; of each its record, or the Refused that it raised, in order."""
    records: list[Any] = []
    dialogues: list[tuple[Subject, Generator[Program, Answers, Record]]] = []
    places: list[int] = []
    for subject, dump in wanted:
        try:
            got = dump(subject)
        except Refused as said:
            got = said
        if isinstance(got, _Dialogue):
            places.append(len(records))
            dialogues.append((subject, got))
            records.append(None)
        else:
            records.append(got)
    for place, record in zip(places, inside.talk(dialogues), strict=True):
        records[place] = record
    return records
