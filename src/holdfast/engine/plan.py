"""Image to plan: every call of a restore, in rounds; pure, so `restore --dry-run` is free.

A part is a run of calls for one task. It needs keys, gives keys, and ends keys. Three rules order parts:
  a part runs after every part that gives a key that it needs;
  a part that ends a key runs after every other part that needs or gives it;
  a key that nobody gives must be one of those that hold from the start (`born`, `caps`, ...), else the plan is wrong and says so.
Sorting is Kahn's algorithm over keys with counters, so it costs one step for each (part, key). It ends because every part is
taken once; where parts are left and none is ready, they form a circle, which is an error that names them.

A round is what can run without waiting for another task: each task runs one program in it, then the tracer does its own work
(actions). A part goes in the same round as a part of its own task that it depends on, and in the next round after one of another
task or of the tracer. So a tree is restored in about a dozen round trips however many objects it has.

Birth parts are in no round: engine.births runs them while it makes the tree, parents before children, so what they give holds from
the start. They are sorted here as well, each process's own, and may need only what is there so early.
"""

from __future__ import annotations

from holdfast.engine.steps import BORN_WITH, INITIAL, PlannedPart, PlannedSteps
from holdfast.errors import BadImage, InternalError
from holdfast.kinds.contract import Entry
from holdfast.prog.call import ANY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from typing import Any

    from holdfast.kinds.contract import Kind

TRACER = "tracer"


class Action:
    """Work of the tracer between two rounds: fill memory, write /proc files."""

    __slots__ = ("args", "ends", "gives", "name", "needs", "subject", "task")

    def __init__(self, name: str, subject: str, args: tuple[Any, ...], needs: set[str], gives: set[str]) -> None:
        self.name, self.subject, self.args, self.needs, self.gives = name, subject, args, needs, gives
        self.ends: set[str] = set()
        self.task = TRACER


class Round:
    """One program for each task, then actions."""

    __slots__ = ("actions", "parts")

    def __init__(self) -> None:
        self.parts: dict[str, list[PlannedPart]] = {}
        self.actions: list[Action] = []


class Draft:
    """What is known of an image while its plan is made."""

    def __init__(self, records: Mapping[str, Mapping[str, Any]], paged: Iterable[str]) -> None:
        self.records = records
        self.paged = frozenset(paged)
        self.parts: list[PlannedPart] = []
        self.actions: list[Action] = []
        self.creators: dict[str, str] = {}
        self.wanted_slots: set[tuple[str, str]] = set()
        self.tree: dict[Any, Any] = dict(records.get("task.process", {}))
        if not self.tree:
            raise BadImage("tree", "the image holds no process", where="task.process")
        self._threads: dict[str, str] = {}
        for pid, p in self.tree.items():
            for tid in p.threads:
                self._threads[f"thread:{int(tid)}"] = str(pid)
        self.holders: dict[str, list[tuple[Any, int, bool]]] = {}
        self.tables = records.get("task.descriptors", {})
        top = 15
        for pid, table in self.tables.items():
            for d in table.table:
                self.holders.setdefault(str(d.file), []).append((pid, int(d.fd), d.cloexec))
                top = max(top, int(d.fd))
        self.slot_base = top + 1
        self._slots: dict[str, int] = {}
        self.mappers: dict[str, str] = {}
        for area in records.get("mm.file", {}).items():
            if area[1].inode is not None:
                self.mappers.setdefault(str(area[1].inode), f"process:{area[0].split(':')[1]}")
        self.staging: dict[str, int] = {}
        self.staging_size = 0

    def slot_number(self, file: str) -> int:
        """A number above all final ones, the same in every task."""
        return self._slots.setdefault(file, self.slot_base + len(self._slots))

    @property
    def slots_used(self) -> int:
        """One above the highest slot."""
        return self.slot_base + len(self._slots)

    def task_of(self, subject: str) -> str:
        """The task in which a subject's calls run."""
        room, _, rest = subject.partition(":")
        if room in ("process", "thread"):
            return subject
        if room == "vma":
            return f"process:{rest.split(':')[0]}"
        if subject in self.holders:
            return str(self.holders[subject][0][0])
        if room == "inode":
            # in a process that uses it: any may make it
            for kind in ("fd.regular", "fd.memfd"):
                for file, rec in self.records.get(kind, {}).items():
                    if getattr(rec, "inode", None) == subject and file in self.holders:
                        return str(self.holders[file][0][0])
            if subject in self.mappers:
                return self.mappers[subject]
        return str(next(iter(self.tree)))

    def process_of(self, task: str) -> str:
        """The process of a task."""
        return self._threads.get(task, task) if task.startswith("thread:") else task

    def act(self, name: str, subject: str, args: tuple[Any, ...], needs: Iterable[str], gives: Iterable[str]) -> Action:
        """Add work of the tracer."""
        made = Action(name, subject, args, set(needs), set(gives))
        self.actions.append(made)
        return made

    def part(self, task: str, needs: Iterable[str], gives: Iterable[str], ends: Iterable[str] = ()) -> PlannedPart:
        """Add a part of the engine's own."""
        made = PlannedPart(self, "engine", task, task, set(needs), set(gives), set(ends))
        self.parts.append(made)
        return made


class Plan:
    """A restore, ready to be executed: the tree to make, what its processes do at birth, and rounds of programs and actions."""

    __slots__ = ("births", "draft", "rounds")

    def __init__(self, draft: Draft, births: dict[str, list[PlannedPart]], rounds: list[Round]) -> None:
        self.draft, self.births, self.rounds = draft, births, rounds

    @property
    def parts(self) -> Iterator[PlannedPart]:
        """Every part, those of births first."""
        for mine in self.births.values():
            yield from mine
        for r in self.rounds:
            for mine in r.parts.values():
                yield from mine

    @property
    def calls(self) -> int:
        """How many system calls the plan makes."""
        return sum(len(p.calls) for p in self.parts)


def make_plan(
    records: Mapping[str, Mapping[str, Any]],
    kinds: Mapping[str, Kind],
    paged: Iterable[str],
    layout: Mapping[str, int],
    staging_size: int = 0,
) -> Plan:
    """Sort every call of a restore.

    Shape:   `records`: kind to object to record; `paged`: vmas with page contents; `layout`: shared object to staging address
    Raises:  bad_image.tree: the image's tree makes no sense
             internal.plan: parts wait for each other
    """
    draft = Draft(records, paged)
    draft.staging.update(layout)
    draft.staging_size = staging_size
    for name, kind in kinds.items():
        restore = kind.verbs.get("restore")
        mine = records.get(name)
        if restore is None or not mine:
            continue
        for entries in _groups(kind, mine):
            restore(entries[0].record, PlannedSteps(draft, kind, entries))
    _names(draft)
    _memory(draft)
    _descriptors(draft)
    _inodes(draft)
    for part in draft.parts:
        if part.proc_writes:
            key = f"proc:{id(part)}"
            part.gives.add(key)
            draft.act("proc", part.task, tuple(part.proc_writes), {key}, ())
    births = _births(draft)
    held = {key for mine in births.values() for part in mine for key in part.gives}
    leaders = {f"thread:{int(p.nspid)}": str(pid) for pid, p in draft.tree.items()}
    return Plan(draft, births, _sort([*(p for p in draft.parts if not p.birth), *draft.actions], held, leaders))


def _groups(kind: Kind, mine: Mapping[Any, Any]) -> list[list[Entry]]:
    entries = [Entry(id, rec) for id, rec in mine.items()]
    if kind.group is None:
        return [[e] for e in entries]
    out: dict[Any, list[Entry]] = {}
    for e in entries:
        out.setdefault(kind.group(e.record), []).append(e)
    return list(out.values())


def _names(draft: Draft) -> None:
    # a name that the image itself makes (the file of a socket) is opened after that
    opening = [part for part in draft.parts if part.opened_paths]
    if not opening:
        return
    makers: dict[bytes, list[PlannedPart]] = {}
    for part in draft.parts:
        for _, path in part.made_paths:
            makers.setdefault(path, []).append(part)
    for part in opening:
        for path in part.opened_paths:
            for maker in makers.get(path, ()):
                maker.gives.add(f"path:{path.hex()}")
                part.needs.add(f"path:{path.hex()}")


def _memory(draft: Draft) -> None:
    for pid, process in draft.tree.items():
        if process.zombie:
            continue
        draft.act("clear", str(pid), (), {f"born@{pid}"}, {f"clear@{pid}"})
        draft.act("fill", str(pid), (), {f"mapped@{pid}", f"clear@{pid}"}, {f"filled@{pid}"})
        last = draft.part(str(pid), {f"filled@{pid}", f"sealed@{pid}"}, {f"mm@{pid}"})
        if draft.staging:
            low = min(draft.staging.values())
            last.call("munmap", low, draft.staging_size)


def _descriptors(draft: Draft) -> None:
    wanted: dict[str, set[str]] = {}
    for file, holders in draft.holders.items():
        if file not in draft.creators:
            raise BadImage("file", f"nothing in the image says how to open {file}", where="task.descriptors")
        for pid, _, _ in holders:
            wanted.setdefault(str(pid), set()).add(file)
    for owner, file in draft.wanted_slots:
        wanted.setdefault(owner, set()).add(file)
    fetched_from: dict[str, list[str]] = {}
    for pid, process in draft.tree.items():
        if process.zombie:
            continue
        me = str(pid)
        mine = sorted(wanted.get(me, ()), key=draft.slot_number)
        done: list[str] = []
        sources: dict[str, list[str]] = {}
        for file in mine:
            creator = draft.creators.get(file)
            if creator is None:
                raise InternalError("plan", f"{me} wants {file}, which nobody opens")
            if creator == me:
                part = draft.part(me, {file}, {f"slot:{file}@{me}"})
                done.append(f"slot:{file}@{me}")
            else:
                sources.setdefault(creator, []).append(file)
        for creator, files in sources.items():
            part = draft.part(me, {f"born@{me}", *files}, {f"slot:{f}@{me}" for f in files})
            nspid = int(draft.tree[creator].nspid)
            pidfd = part.call("pidfd_open", nspid, 0)
            for file in files:
                slot = draft.slot_number(file)
                got = part.call("pidfd_getfd", pidfd, slot, 0)
                part.call("dup3", got, slot, 0o2000000, check=slot)
                part.call("close", got)
                done.append(f"slot:{file}@{me}")
            part.call("close", pidfd)
            fetched_from.setdefault(creator, []).extend(f"slot:{f}@{me}" for f in files)
        install = draft.part(me, {f"born@{me}", *done, f"slots@{me}"}, {f"fds@{me}"})
        # what the stub inherited goes first: a descriptor of the restorer must not stay at a number that the image leaves free
        taken = {int(d.fd) for d in draft.tables[pid].table} if pid in draft.tables else set()
        for fd in (0, 1, 2):
            if fd not in taken:
                install.call("close", fd, check=ANY)  # the restorer itself may have been started without it
        if pid in draft.tables:
            for d in draft.tables[pid].table:
                slot = draft.slot_number(str(d.file))
                install.call("dup3", slot, int(d.fd), 0o2000000 if d.cloexec else 0, check=int(d.fd))
    for pid, process in draft.tree.items():
        if process.zombie:
            continue
        me = str(pid)
        close = draft.part(me, {f"fds@{me}", *fetched_from.get(me, ())}, (), {f"slots@{me}"})
        close.call("close_range", draft.slot_base, 0xFFFFFFFF, 0)


def _inodes(draft: Draft) -> None:
    root = str(next(iter(draft.tree)))
    for inode, at in draft.staging.items():
        draft.act("fill_inode", inode, (root, -1, at), {f"born@{root}"}, {f"contents:{inode}"})
    for file, creator in list(draft.creators.items()):
        if file.startswith("inode:"):
            draft.act("fill_inode", file, (creator, draft.slot_number(file), 0), {file, f"slots@{creator}"}, ())
    if draft.staging:
        for part in draft.parts:
            if part.kind == "engine" and any(k.startswith("mm@") for k in part.gives):
                part.needs |= {f"contents:{i}" for i in draft.staging}


def _births(draft: Draft) -> dict[str, list[PlannedPart]]:
    # each process's birth parts in an order that serves their needs: what it finds is what it was born with and what those above it gave
    found: dict[str, list[PlannedPart]] = {}
    for part in draft.parts:
        if part.birth:
            if part.ends or part.task not in draft.tree or draft.tree[part.task].zombie:
                raise InternalError("plan", f"{_title(part)} cannot be done at the birth of {part.task}")
            found.setdefault(part.task, []).append(part)
    out: dict[str, list[PlannedPart]] = {}
    for task, waiting in found.items():
        held = {f"{word}@{task}" for word in BORN_WITH}
        above = draft.tree[task].parent
        while above is not None:
            held.update(key for part in found.get(str(above), ()) for key in part.gives)
            above = draft.tree[above].parent
        out[task] = []
        while waiting:
            first = next((p for p in waiting if p.needs <= held), None)
            if first is None:
                missing = ", ".join(sorted(waiting[0].needs - held))
                raise InternalError("plan", f"{_title(waiting[0])} is to be done at the birth of {task}, but needs {missing}")
            waiting = [p for p in waiting if p is not first]
            held |= first.gives
            out[task].append(first)
    return out


def _sort(
    nodes: Sequence[PlannedPart | Action], held: AbstractSet[str] = frozenset(), leaders: Mapping[str, str] | None = None
) -> list[Round]:
    # `leaders`: first threads to their processes, with which they are one task
    same = leaders or {}
    givers: dict[str, int] = {}
    users: dict[str, int] = {}
    waiting: dict[str, list[PlannedPart | Action]] = {}
    enders: dict[str, list[PlannedPart | Action]] = {}
    for node in nodes:
        for key in node.gives:
            givers[key] = givers.get(key, 0) + 1
        for key in node.needs | node.gives:
            if key not in node.ends:
                users[key] = users.get(key, 0) + 1
    todo: dict[int, int] = {}
    for node in nodes:
        count = 0
        for key in node.needs:
            if key in node.gives:
                raise InternalError("plan", f"a part of {_title(node)} needs and gives {key}")
            if givers.get(key):
                waiting.setdefault(key, []).append(node)
                count += 1
            elif key not in held and key.partition("@")[0] not in INITIAL | {"mapped", "sealed"}:
                raise InternalError("plan", f"{_title(node)} needs {key}, which nothing gives")
        for key in node.ends:
            if users.get(key):
                enders.setdefault(key, []).append(node)
                count += 1
        todo[id(node)] = count
    ready = [n for n in nodes if todo[id(n)] == 0]
    level: dict[int, int] = {}
    earliest: dict[int, int] = {}
    last_task: dict[str, tuple[int, str]] = {}  # key: highest round of its givers, their task or "" where they differ
    end_task: dict[str, tuple[int, str]] = {}
    rounds: list[Round] = []
    done = 0

    def note(table: dict[str, tuple[int, str]], key: str, at: int, task: str) -> None:
        old = table.get(key)
        if old is None:
            table[key] = (at, task)
        else:
            table[key] = (max(at, old[0]), task if task == old[1] else "")

    def after(entry: tuple[int, str], node: PlannedPart | Action) -> int:
        at, task = entry
        return at if isinstance(node, Action) or task == same.get(node.task, node.task) else at + 1

    index = 0
    while index < len(ready):
        node = ready[index]
        index += 1
        done += 1
        at, mine = earliest.get(id(node), 0), same.get(node.task, node.task)
        level[id(node)] = at
        while len(rounds) <= at:
            rounds.append(Round())
        if isinstance(node, Action):
            rounds[at].actions.append(node)
        else:
            rounds[at].parts.setdefault(mine, []).append(node)
        for key in node.gives:
            note(last_task, key, at, mine)
            givers[key] -= 1
            if givers[key] == 0:
                for w in waiting.pop(key, ()):
                    earliest[id(w)] = max(earliest.get(id(w), 0), after(last_task[key], w))
                    todo[id(w)] -= 1
                    if todo[id(w)] == 0:
                        ready.append(w)
        for key in node.needs | node.gives:
            if key in node.ends:
                continue
            note(end_task, key, at, mine)
            users[key] -= 1
            if users[key] == 0:
                for w in enders.pop(key, ()):
                    earliest[id(w)] = max(earliest.get(id(w), 0), after(end_task[key], w))
                    todo[id(w)] -= 1
                    if todo[id(w)] == 0:
                        ready.append(w)
    if done != len(nodes):
        stuck = [_title(n) for n in nodes if id(n) not in level]
        raise InternalError("plan", f"{len(stuck)} parts wait for each other: {', '.join(stuck[:8])}")
    return rounds


def _title(node: PlannedPart | Action) -> str:
    return f"{node.name} of {node.subject}" if isinstance(node, Action) else f"{node.kind} of {node.subject}"
