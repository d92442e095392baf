"""Kinds of open files tried on this process: evidence of its own descriptors, and restores whose calls it makes itself.

What a kind's restore emits is a list of system calls. Making them here, one by one, shows in a few microseconds and without
a tracer that the object they make is the object that was dumped.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

from holdfast.kernel.borrowed import Borrowed
from holdfast.kernel.source import Live
from holdfast.kernel.uapi.syscalls import X86_64 as NUMBERS
from holdfast.kinds.contract import Entry, Host, Kind, Part, Steps
from holdfast.kinds.evidence import FileEvidence, InodeEvidence, Options, ProcessEvidence, ThreadEvidence, TreeEvidence
from holdfast.model.ids import Fd, NsPid, ObjectId, Pid, Tid
from holdfast.prog.call import ANY, OK, Answers, At, Block, Call, Out, Program, Struct, Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.prog.call import Arg

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
MASK = (1 << 64) - 1


class Machine:
    """Makes a program's calls in this process."""

    def __init__(self) -> None:
        self.results: dict[int, int] = {}
        self.memory: dict[int, ctypes.Array[ctypes.c_char]] = {}
        self.kept: list[object] = []  # ids stay unique as long as their objects live

    def _address(self, arg: Out | Struct | Block | At) -> int:
        if isinstance(arg, At):
            return self._address(arg.of) + arg.offset
        found = self.memory.get(id(arg))
        if found is None:
            if isinstance(arg, Out):
                found = ctypes.create_string_buffer(arg.initial, max(arg.size, 1))
            elif isinstance(arg, Block):
                found = ctypes.create_string_buffer(arg.data, max(len(arg.data), 1))
            else:
                raw = b"".join(p if isinstance(p, bytes) else self._address(p).to_bytes(8, "little") for p in arg.parts)
                found = ctypes.create_string_buffer(raw, len(raw))
            self.memory[id(arg)] = found
            self.kept.append(arg)
        return ctypes.addressof(found)

    def value(self, arg: Arg) -> int:
        """An argument as a machine word."""
        if isinstance(arg, int):
            return arg & MASK
        if isinstance(arg, bytes):
            buffer = ctypes.create_string_buffer(arg, max(len(arg), 1))
            self.kept.append(buffer)
            return ctypes.addressof(buffer)
        if isinstance(arg, Call):
            return self.results[id(arg)] & MASK
        if isinstance(arg, Word):
            return int.from_bytes(ctypes.string_at(self._address(arg.out) + arg.offset, 8), "little")
        return self._address(arg)

    def make(self, call: Call) -> int:
        """Make one call; its raw result, checked as the call wants it."""
        # a 32-bit argument is the low half of its word: the kernel casts, as it does for a program's rows
        words = [ctypes.c_ulong(self.value(a)) for a in call.args]
        result = int(_libc.syscall(ctypes.c_long(NUMBERS[call.name]), *words))
        if result == -1:
            result = -ctypes.get_errno()
        self.results[id(call)] = result
        self.kept.append(call)
        if call.check == OK:
            assert result >= 0 or result < -4095, f"{call!r} failed: {os.strerror(-result)}"
        elif call.check != ANY:
            assert result == call.check, f"{call!r} returned {result}, not {call.check}"
        return result

    def run(self, program: Program) -> Answers:
        """Make every call of a program."""
        for call in program.calls:
            self.make(call)
        return Answers(dict(self.results), {k: bytes(v) for k, v in self.memory.items()})


class NativeSteps(Steps):
    """A restore whose calls are made at once; `files` are the descriptors that it opened."""

    def __init__(self, entries: Sequence[Entry], records: dict[str, dict[str, Any]] | None = None) -> None:
        self.mates = entries
        self.subject = entries[0].id
        self.machine = Machine()
        self.files: dict[ObjectId, int] = {}
        self.records = records or {}
        self.parts: list[NativePart] = []

    def part(
        self,
        *,
        task: ObjectId | None = None,
        needs: Iterable[str] = ("mm",),
        gives: Iterable[str] = (),
        ends: Iterable[str] = (),
        birth: bool = False,
        patient: bool = False,
    ) -> NativePart:
        """Parts are made in the order in which they are asked for: what a part needs must have been given before."""
        made = NativePart(self, frozenset(needs), frozenset(ends))
        self.parts.append(made)
        return made

    def key(self, word: str, subject: ObjectId) -> str:
        return f"{word}@{subject}"

    def holders(self, file: ObjectId) -> Sequence[tuple[ObjectId, int]]:
        return [(self.processes()[0], self.files.get(file, -1))]

    def record_of(self, subject: ObjectId, kind: str) -> Any:
        return self.records.get(kind, {}).get(subject)

    def processes(self) -> Sequence[ObjectId]:
        return [ObjectId(f"process:{os.getpid()}")]


class NativePart(Part):
    """Calls that are made as they are added."""

    def __init__(self, steps: NativeSteps, needs: frozenset[str], ends: frozenset[str]) -> None:
        self.steps, self.needs, self.ends = steps, needs, ends
        self.calls: list[Call] = []
        self.names: list[bytes] = []

    def call(self, name: str, *args: Arg, check: str | int = OK) -> Call:
        call = Call(name, args, check)
        self.calls.append(call)
        self.steps.machine.make(call)
        return call

    def opened(self, result: Arg, file: ObjectId | None = None) -> None:
        name = file if file is not None else self.steps.subject
        assert name not in self.steps.files, f"{name} is opened twice"
        fd = self.steps.machine.value(result) & 0xFFFFFFFF
        self.steps.files[name] = os.dup(fd)
        if not isinstance(result, int):
            os.close(fd)

    def slot(self, file: ObjectId) -> int:
        return self.steps.files[file]

    def made(self, path: bytes) -> None:
        self.names.append(path)

    def opens(self, path: bytes) -> None:
        """As the interface says; nothing here is made in another order."""

    def write_proc(self, name: str, data: bytes, *, without: int | None = None, needed: bool = True) -> None:
        with open(f"/proc/self/{name}", "wb") as f:
            f.write(data)


class NativeHost(Host):
    """This machine, asked about its files."""

    def __init__(self, records: dict[str, dict[str, Any]] | None = None) -> None:
        self.records = records or {}

    def stat(self, path: bytes) -> os.stat_result | None:
        try:
            return os.stat(path)
        except OSError:
            return None

    def record_of(self, subject: ObjectId, kind: str) -> Any:
        return self.records.get(kind, {}).get(subject)


def tree(*fds: int, options: Options | None = None) -> TreeEvidence:
    """Evidence of this process with these descriptors, each a file of its own: `file:0`, `file:1`..."""
    found = TreeEvidence(ObjectId("tree"), options if options is not None else Options(), Live("/proc"))
    pid = os.getpid()
    process = ProcessEvidence(ObjectId(f"process:{pid}"), found.host.at(str(pid)), found, Pid(pid), NsPid(pid), None)
    process.threads.append(ThreadEvidence(ObjectId(f"thread:{pid}"), found.host.at(f"{pid}/task/{pid}"), process, Tid(pid), pid))
    found.processes.append(process)
    found.by_nspid[pid] = process
    for n, fd in enumerate(fds):
        file = FileEvidence(ObjectId(f"file:{n}"), found, process.source.readlink(f"fd/{fd}"), process.source.read(f"fdinfo/{fd}"))
        file.holders.append((process, Fd(fd), not os.get_inheritable(fd)))
        process.fds[Fd(fd)] = file
        found.files.append(file)
        st = os.fstat(fd)
        if file.link.endswith(b" (deleted)") and (not st.st_nlink or file.link.startswith(b"/memfd:")):
            file.inode = next((i for i in found.inodes if (i.dev, i.ino) == (st.st_dev, st.st_ino)), None)
            if file.inode is None:
                file.inode = InodeEvidence(ObjectId(f"inode:{len(found.inodes)}"), found, st.st_dev, st.st_ino, file.link)
                found.inodes.append(file.inode)
            file.inode.files.append(file)
    return found


def lend(fd: int) -> Borrowed:
    """A borrowed descriptor of this process."""
    return Borrowed(os.getpid(), fd)


def close(evidence: TreeEvidence) -> None:
    """Give back what evidence holds open."""
    for file in evidence.files:
        file.close()
    for process in evidence.processes:
        process.source.close()
        for thread in process.threads:
            thread.source.close()
    evidence.host.close()


def answer(asked: str) -> Any:
    raise AssertionError(f"no kind may ask {asked!r} here")


def record(kind: Kind, ev: Any) -> Any:
    """What a kind dumps of an object; a dialogue's programs are run in this process."""
    dump = kind.verb("dump")
    assert dump is not None
    got = dump(ev)
    if not hasattr(got, "send"):
        return got
    machine = Machine()
    try:
        program = next(got)
        while True:
            program = got.send(machine.run(program))
    except StopIteration as end:
        return end.value


def records(kind: Kind, *fds: int) -> list[Any]:
    """The records of descriptors, all claimed by the kind and refused by none of its verdicts."""
    evidence = tree(*fds)
    try:
        return [_admitted(kind, file) for file in evidence.files]
    finally:
        close(evidence)


def _admitted(kind: Kind, file: FileEvidence) -> Any:
    detect, refuse = kind.verb("detect"), kind.verb("refuse")
    assert detect is not None
    assert detect(file) is not None, f"{file} is not claimed by {kind.name}"
    assert [str(v) for v in (refuse(file, answer) if refuse is not None else ())] == []
    return record(kind, file)


def verdicts(kind: Kind, *fds: int, options: Options | None = None) -> list[str]:
    """The codes of what a kind says against descriptors; a Loss or Unchecked by the name of its class."""
    evidence = tree(*fds, options=options)
    refuse = kind.verb("refuse")
    assert refuse is not None
    try:
        return [getattr(v, "code", type(v).__name__) for file in evidence.files for v in refuse(file, answer)]
    finally:
        close(evidence)


def restored(
    kind: Kind, recs: Sequence[Any], known: dict[str, dict[str, Any]] | None = None, before: dict[ObjectId, int] | None = None
) -> list[int]:
    """Descriptors of what a kind makes of records that are restored together, in their order."""
    entries = [Entry(ObjectId(f"file:{n}"), rec) for n, rec in enumerate(recs)]
    steps = NativeSteps(entries, known)
    steps.files.update(before or {})
    restore = kind.verb("restore")
    assert restore is not None
    restore(recs[0], steps)
    return [steps.files[e.id] for e in entries]


def again(kind: Kind, *fds: int) -> list[int]:
    """Dump descriptors and make what was dumped: new descriptors; asserts that a second dump of them says the same."""
    first = records(kind, *fds)
    made = restored(kind, first) if kind.group is not None else [restored(kind, [rec])[0] for rec in first]
    second = records(kind, *made)
    assert second == first
    return made
