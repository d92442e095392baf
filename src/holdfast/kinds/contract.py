"""What a kind file fills in, and what it is handed.

A kind is one file with a record, up to six verbs, and one value `KIND`. Verbs, in this order:

    detect(ev) -> Claim | None          is it mine? cheap; no side effect; target running or stopped
    refuse(ev, kernel) -> Iterator of Refusal, Loss or Unchecked      what I cannot carry; target running or stopped
    dump(ev) -> record, None (nothing beside the default), or a dialogue that ends in one      target stopped
                                        raises Refused where only the task could tell that it cannot be carried
    ready(rec, host) -> Iterator of Refusal     before a restore: is what it needs there, unchanged? reads only
    restore(rec, steps) -> None         emits steps; does nothing itself
    generate(draw) -> Program           makes such an object in a fresh task (for conformance tests and the hunter)
    compare(before, after, where) -> Iterator of Difference            default: every field

A dialogue is a generator that yields a Program to be run in the target and receives its Answers; the engine joins the programs
of all kinds into one run, so a question costs 0.3 us, not a round trip.

Subjects: a kind is about a `tree`, a `process`, a `thread`, a `vma`, a `file` (one open file description) or an `inode` (a file
without a name, or shared anonymous memory, that files and vmas of the tree lead to). For each vma, file and inode exactly one kind
with claims=True must say yes, or the dump is refused. Kinds with claims=False are facets: they add what the object has beside
(locks, an owner to signal, a policy). Process and thread kinds are all facets.

Order of restore is declared: a part of a restore lists the keys that it needs, gives and ends; engine.plan sorts. Keys are words,
own process implied (`mm`), or of another subject (`steps.key("fds", other_process_id)`):

    born   the task exists, with the stub's memory            given by the engine
    clear  the stub's own memory is gone; vdso is in place    given by the engine
    mapped every vma is mapped, writable where it once was    given by the vma kinds
    filled its pages are in place                             given by the engine
    mm     its address space is the image's                   given by the engine, after all that give `sealed`
    sealed a vma has its final protection and advice          given by the vma kinds
    file:N (a file's id) it is open, at its slot              given by Part.opened
    inode:X (an inode's id) it exists and can be opened       given by the inode kinds; who removes its name ends it
    fds    its descriptor table is final                      given by the engine
    paths  root and cwd are still the restorer's: whoever opens files by path needs `born` and is over before task.fs_root ends it
    caps   it still has every capability: whoever uses one `needs` it; task.creds `ends` it (runs after all who need it)
    limits its resource limits are still high: task.rlimits ends it
    creds  its threads' credentials are the image's: each change resets what hangs on them
    actions its signal actions are the image's, and no timer runs yet: whoever queues signals needs it, the kinds of timers end it

What must be there before a process makes its children, because they only inherit it, goes in a birth part (`birth=True`). It runs in
its process right after that is born and leads its session, if it leads one, with the stub's memory; what it gives holds from then
on, for every part of the rounds. It may need `born`, `paths`, `caps`, `limits`, and what birth parts of its own process or of
processes above it give, and ends nothing. Descriptors that it opens are inherited too, out of the way of final numbers, and are closed in
whoever does not hold them. A `patient` one is run again for a while where a call fails, because what it asks for may be taken for a moment
longer than its last user lives; its first calls undo what it may have begun.
"""

from __future__ import annotations

from holdfast.model.census import Loss, Refusal, Unchecked
from holdfast.model.difference import Difference
from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from holdfast.kernel.probe import Answer
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Answers, Arg, Call, Program

    Dialogue = Generator[Program, Answers, Any]
    Verdict = Refusal | Loss | Unchecked
    Probes = Callable[[str], Answer]

__all__ = [
    "Claim",
    "Difference",
    "Entry",
    "FdinfoKey",
    "FlagSet",
    "Kind",
    "Link",
    "Loss",
    "Refusal",
    "StatusKey",
    "Steps",
    "Struct",
    "Unchecked",
]


# --- watches: what a kind relies on in the kernel


class Struct(Record):
    """A kernel struct whose fields decide what this kind must carry."""

    name: str
    why_absent: str = ""  # why no BTF holds it


class FdinfoKey(Record):
    """A key of /proc/PID/fdinfo/FD; one that no kind of the file watches refuses the dump."""

    name: str


class StatusKey(Record):
    """A key of /proc/PID/status."""

    name: str


class FlagSet(Record):
    """A set of named bits in kernel.flags."""

    name: str


class Link(Record):
    """What readlink of /proc/PID/fd/FD begins with, such as `anon_inode:[eventfd]`."""

    prefix: str


class Claim(Record):
    """This object is mine; `what` is a word for a person, such as the path or the socket's address."""

    what: str = ""


class Entry(Record):
    """One record with the name of the object that it is about."""

    id: ObjectId
    record: Any


# --- restore


class Steps:
    """Where a kind's restore puts what is to be done; engine.plan gives the implementation."""

    subject: ObjectId
    mates: Sequence[Entry]  # all records of the group, this one first (kinds with `group`), else this one alone

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
        """Begin a part: calls that run together, in order, in one task (default: the subject's process, thread or first holder)."""
        raise NotImplementedError

    def key(self, word: str, subject: ObjectId) -> str:
        """A key of another subject."""
        raise NotImplementedError

    def holders(self, file: ObjectId) -> Sequence[tuple[ObjectId, int]]:
        """Process and descriptor number for every descriptor of a file, lowest first."""
        raise NotImplementedError

    def record_of(self, subject: ObjectId, kind: str) -> Any:
        """The record that a kind keeps about a subject, or None. The only way to see another kind's record: by name, as data."""
        raise NotImplementedError

    def processes(self) -> Sequence[ObjectId]:
        """Every process of the image, root first."""
        raise NotImplementedError

    def has_pages(self, subject: ObjectId) -> bool:
        """Whether the image holds page contents for a vma."""
        raise NotImplementedError

    def staging(self, inode: ObjectId) -> int:
        """Where every task of the tree has an object of shared memory mapped, readable and writable, until `mm`."""
        raise NotImplementedError


class Part:
    """Calls of one kind for one task that run together."""

    def call(self, name: str, *args: Arg, check: str | int = "ok") -> Call:
        """Add a call."""
        raise NotImplementedError

    def opened(self, result: Arg, file: ObjectId | None = None) -> None:
        """The descriptor that a call returned is the file (default: the steps' subject). It is moved out of the way at once
        and put at its numbers, with their close-on-exec flags, in every holder, later; the file's key is then given.
        """
        raise NotImplementedError

    def fixed(self, result: Arg) -> int:
        """A number, known now, at which the descriptor that a call returned can be used until this part ends: for structures
        that hold a descriptor number. The caller closes it within the part.
        """
        raise NotImplementedError

    def slot(self, file: ObjectId) -> int:
        """The descriptor number at which a file given before can be used in this task until `fds`; asks for it to be there."""
        raise NotImplementedError

    def write_proc(self, name: str, data: bytes, *, without: int | None = None, needed: bool = True) -> None:
        """Write /proc/PID/`name` of the task from outside, after the part's calls, and after what the part wrote to it before.

        Shape:   `without`: the number of a capability that the restorer lays down for it; not `needed`: it may be refused
        """
        raise NotImplementedError

    def made(self, path: bytes) -> None:
        """A name was made in the file system; where the restore fails before it is removed, we remove it."""
        raise NotImplementedError

    def opens(self, path: bytes) -> None:
        """A name that this part opens: where the image makes it, this part runs after that."""
        raise NotImplementedError


class Host:
    """What `ready` may ask about the machine that a restore is to happen on; paths are as the restored tree will see them."""

    def stat(self, path: bytes) -> Any:
        """os.stat_result of a path, following links, or None where there is nothing or it may not be seen."""
        raise NotImplementedError

    def record_of(self, subject: ObjectId, kind: str) -> Any:
        """The record that a kind keeps about a subject, or None."""
        raise NotImplementedError

    def kernel_area(self, name: str) -> Any:
        """`size` and `digest` of one of the restorer's own kernel areas (vdso, vvar, vvar_vclock), or None."""
        raise NotImplementedError


# --- the kind itself

SUBJECTS = ("tree", "process", "thread", "vma", "file", "inode")


class Kind(Record):
    """One kind: its permanent name, the version of its record, its verbs, what it watches."""

    name: str
    record: type[Record]
    subject: str
    version: int = 1
    claims: bool = False
    watches: tuple[Struct | FdinfoKey | StatusKey | FlagSet | Link, ...] = ()
    verbs: Mapping[str, Callable[..., Any]] = field(default=None)
    upgrades: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = field(default=None)
    group: Callable[[Any], Any] | None = None  # records with one value here are restored together

    def verb(self, name: str) -> Callable[..., Any] | None:
        """A verb, or None where the default holds."""
        return self.verbs.get(name)

    @property
    def fdinfo_keys(self) -> frozenset[str]:
        """The fdinfo keys that this kind understands."""
        return frozenset(w.name for w in self.watches if isinstance(w, FdinfoKey))


VERBS = ("detect", "refuse", "dump", "ready", "restore", "generate", "compare")


def verbs(module: str) -> dict[str, Callable[..., Any]]:
    """The verbs that a kind's module defines."""
    import sys  # the module is being executed, so it is there by name

    space = vars(sys.modules[module])
    return {v: space[v] for v in VERBS if v in space}


def unsupported(why: str, source: str = "") -> Callable[..., Any]:
    """A verb that cannot be done, and why."""

    def verb(*_: object, **__: object) -> Any:
        raise NotImplementedError(f"{why} ({source})" if source else why)

    verb.why = why  # type: ignore[attr-defined]
    return verb


def compare_fields(kind: str, where: ObjectId, before: Record, after: Record, ignore: Iterable[str] = ()) -> Iterator[Difference]:
    """A Difference for every field that is not equal."""
    skip = frozenset(ignore)
    for name, value in before.items():
        if name not in skip and value != (now := getattr(after, name)):
            yield Difference(kind, where, name, value, now)
