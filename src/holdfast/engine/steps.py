"""Where a kind's restore puts its calls: the plan's side of kinds.contract.Steps and Part."""

from __future__ import annotations

from holdfast.errors import InternalError
from holdfast.kinds.contract import Entry, Part, Steps
from holdfast.prog.call import OK, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from holdfast.engine.plan import Draft
    from holdfast.kinds.contract import Kind
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Arg, Call

# Words that mean something of the task's own process; every other key is an object's name.
PROCESS_WORDS = frozenset(
    ("born", "clear", "mapped", "filled", "sealed", "mm", "fds", "slots", "paths", "caps", "limits", "creds", "actions")
)
BORN_WITH = frozenset(("born", "paths", "caps", "limits"))
INITIAL = BORN_WITH | {"slots"}
DUP3_CLOEXEC = 0o2000000


class PlannedPart(Part):
    """Calls for one task, with the keys that order them."""

    __slots__ = (
        "birth",
        "calls",
        "draft",
        "ends",
        "gives",
        "kind",
        "made_paths",
        "needs",
        "opened_paths",
        "patient",
        "proc_writes",
        "sized",
        "subject",
        "task",
    )

    def __init__(self, draft: Draft, kind: str, subject: str, task: str, needs: set[str], gives: set[str], ends: set[str]) -> None:
        self.draft, self.kind, self.subject, self.task = draft, kind, subject, task
        self.needs, self.gives, self.ends = needs, gives, ends
        self.birth = self.patient = False
        self.calls = Program()
        self.sized = (0, 0)  # how many calls it had when its size was worked out, and that
        self.proc_writes: list[tuple[str, bytes, int | None, bool]] = []
        self.made_paths: list[tuple[int, bytes]] = []  # after how many calls the name is there
        self.opened_paths: list[bytes] = []

    def call(self, name: str, *args: Arg, check: str | int = OK) -> Call:
        """Add a call."""
        return self.calls.call(name, *args, check=check)

    def opened(self, result: Arg, file: ObjectId | None = None) -> None:
        """Move the descriptor to the file's slot and give the file's key."""
        name = str(file if file is not None else self.subject)
        slot = self.draft.slot_number(name)
        if name in self.draft.creators:
            raise InternalError("plan", f"{name} is opened twice")
        self.draft.creators[name] = self.draft.process_of(self.task)
        self.calls.call("dup3", result, slot, DUP3_CLOEXEC, check=slot)
        if not isinstance(result, int):
            self.calls.call("close", result)
        self.gives.add(name)

    def fixed(self, result: Arg) -> int:
        """Move a descriptor to a number known now; the caller closes it."""
        number = self.draft.slot_number("fixed")
        self.calls.call("dup3", result, number, DUP3_CLOEXEC, check=number)
        self.calls.call("close", result)
        return number

    def slot(self, file: ObjectId) -> int:
        """The number at which a file can be used in this task until the slots are closed."""
        process = self.draft.process_of(self.task)
        self.needs.add(f"slot:{file}@{process}")
        self.needs.add(f"slots@{process}")
        self.draft.wanted_slots.add((process, str(file)))
        return self.draft.slot_number(str(file))

    def write_proc(self, name: str, data: bytes, *, without: int | None = None, needed: bool = True) -> None:
        """Write /proc/PID/`name` of the task from outside, after the part's calls, in order."""
        self.proc_writes.append((name, data, without, needed))

    def made(self, path: bytes) -> None:
        """Remember a name to remove where the restore fails."""
        self.made_paths.append((len(self.calls), path))

    def opens(self, path: bytes) -> None:
        """Remember a name that must be there before."""
        self.opened_paths.append(path)


class PlannedSteps(Steps):
    """One record's restore."""

    def __init__(self, draft: Draft, kind: Kind, entries: Sequence[Entry]) -> None:
        self._draft, self._kind = draft, kind
        self.mates = entries
        self.subject = entries[0].id

    def part(
        self,
        *,
        task: ObjectId | None = None,
        needs: Iterable[str] = ("mm",),
        gives: Iterable[str] = (),
        ends: Iterable[str] = (),
        birth: bool = False,
        patient: bool = False,
    ) -> Part:
        """Begin a part."""
        draft = self._draft
        where = str(task) if task is not None else draft.task_of(str(self.subject))
        own = draft.process_of(where)

        def keys(words: Iterable[str]) -> set[str]:
            return {f"{w}@{own}" if w in PROCESS_WORDS else str(w) for w in words}

        made = PlannedPart(draft, self._kind.name, str(self.subject), where, keys(needs), keys(gives), keys(ends))
        made.birth, made.patient = birth, patient
        draft.parts.append(made)
        return made

    def key(self, word: str, subject: ObjectId) -> str:
        """A key of another subject."""
        return f"{word}@{self._draft.process_of(self._draft.task_of(str(subject)))}" if word in PROCESS_WORDS else str(subject)

    def holders(self, file: ObjectId) -> Sequence[tuple[ObjectId, int]]:
        """Process and number of every descriptor of a file."""
        return [(process, fd) for process, fd, _ in self._draft.holders.get(str(file), ())]

    def record_of(self, subject: ObjectId, kind: str) -> Any:
        """The record that a kind keeps about a subject, or None."""
        return self._draft.records.get(kind, {}).get(str(subject))

    def processes(self) -> Sequence[ObjectId]:
        """Every process of the image, root first."""
        return list(self._draft.tree)

    def has_pages(self, subject: ObjectId) -> bool:
        """Whether the image holds page contents for a vma."""
        return str(subject) in self._draft.paged

    def staging(self, inode: ObjectId) -> int:
        """Where an object of shared memory is mapped in every task until `mm`."""
        return self._draft.staging[str(inode)]
