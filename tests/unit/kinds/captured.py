"""Kinds of tasks tried on captured text: evidence copied from a kernel, dialogues answered from a table, restores written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.image import codec
from holdfast.kernel.source import Captured, Link
from holdfast.kinds.contract import Entry, Host, Kind, Part, Steps
from holdfast.kinds.evidence import Options, ProcessEvidence, Stopped, ThreadEvidence, TreeEvidence
from holdfast.model.ids import NsPid, ObjectId, Pid, Tid
from holdfast.prog.call import OK, Answers, At, Block, Call, Out, Program, Struct, Word

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from holdfast.prog.call import Arg

# Linux 6.18.44, x86-64: `cat /proc/self/status`, with the pids and the name changed
STATUS = b"""Name:\tsubject
Umask:\t0022
State:\tS (sleeping)
Tgid:\t412
Ngid:\t0
Pid:\t412
PPid:\t1
TracerPid:\t0
Uid:\t0\t0\t0\t0
Gid:\t0\t0\t0\t0
FDSize:\t256
Groups:\t\x20
NStgid:\t412
NSpid:\t412
NSpgid:\t412
NSsid:\t412
Kthread:\t0
VmPeak:\t    3060 kB
VmSize:\t    3060 kB
VmLck:\t       0 kB
VmPin:\t       0 kB
VmHWM:\t    1604 kB
VmRSS:\t    1604 kB
RssAnon:\t     108 kB
RssFile:\t    1496 kB
RssShmem:\t       0 kB
VmData:\t     360 kB
VmStk:\t     132 kB
VmExe:\t      20 kB
VmLib:\t    1528 kB
VmPTE:\t      48 kB
VmSwap:\t       0 kB
HugetlbPages:\t       0 kB
CoreDumping:\t0
THP_enabled:\t1
untag_mask:\t0xffffffffffffffff
Threads:\t1
SigQ:\t0/96363
SigPnd:\t0000000000000000
ShdPnd:\t0000000000000000
SigBlk:\t0000000000000000
SigIgn:\t0000000000000000
SigCgt:\t0000000000000000
CapInh:\t0000000000000000
CapPrm:\t000001fffeffffff
CapEff:\t000001fffeffffff
CapBnd:\t000001fffeffffff
CapAmb:\t0000000000000000
NoNewPrivs:\t0
Seccomp:\t0
Seccomp_filters:\t0
Speculation_Store_Bypass:\tvulnerable
SpeculationIndirectBranch:\talways enabled
Cpus_allowed:\tffffffff,ffffffff
Cpus_allowed_list:\t0-63
Mems_allowed:\t00000000,00000001
Mems_allowed_list:\t0
voluntary_ctxt_switches:\t0
nonvoluntary_ctxt_switches:\t0
"""
# the same kernel; startcode and the fields beside it as the reader who may trace the task sees them
STAT = (
    b"412 (subject) S 1 412 412 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 12345 3133440 401 18446744073709551615 "
    b"4321280 7148169 140729000000000 0 0 0 0 0 0 0 0 0 17 2 0 0 0 0 0 9723336 11027064 378019840 "
    b"140729000001000 140729000001100 140729000001100 140729000002000 0\n"
)
NAMESPACES = {
    f"ns/{name}": Link(f"{kind}:[{4026531832 + n}]".encode())
    for n, (name, kind) in enumerate(
        (
            ("cgroup", "cgroup"),
            ("ipc", "ipc"),
            ("mnt", "mnt"),
            ("net", "net"),
            ("pid", "pid"),
            ("time", "time"),
            ("user", "user"),
            ("uts", "uts"),
        )
    )
}
NAMESPACES["ns/pid_for_children"] = NAMESPACES["ns/pid"]
NAMESPACES["ns/time_for_children"] = NAMESPACES["ns/time"]
FILES: dict[str, bytes | OSError] = {"status": STATUS, "stat": STAT, "setgroups": b"allow\n", **NAMESPACES}
NOTHING = Stopped(bytes(216), bytes(1024), 0, (), (), (0, 0, 0), (0, 24), 0)
PROCESS, THREAD = ObjectId("process:412"), ObjectId("thread:412")


def line(text: bytes, key: str, value: str) -> bytes:
    """A captured status with one line changed, or added at its end."""
    lines = [n for n in text.splitlines() if not n.startswith(key.encode() + b":")]
    return b"\n".join([*lines, f"{key}:\t{value}".encode(), b""])


def process(
    files: Mapping[str, bytes | OSError] | None = None,
    *,
    host: Mapping[str, bytes | OSError] | None = None,
    stopped: Stopped | None = NOTHING,
    threads: Sequence[tuple[int, Mapping[str, bytes | OSError]]] = (),
    cls: type[Captured] = Captured,
    pid: int = 412,
) -> ProcessEvidence:
    """Evidence of process 412, or of a real one, and its first thread, in a tree of its own; `files` are those that differ from FILES."""
    mine = {**FILES, **(files or {})}
    tree = TreeEvidence(ObjectId("tree"), Options(), cls({**{f"self/{k}": v for k, v in NAMESPACES.items()}, **(host or {})}))
    found = ProcessEvidence(PROCESS, cls(mine), tree, Pid(pid), NsPid(412), None)
    for tid, own in ((412, {}), *threads):
        thread = ThreadEvidence(ObjectId(f"thread:{tid}"), cls({**mine, **own}), found, Tid(tid), tid)
        thread.stopped = stopped
        found.threads.append(thread)
    tree.processes.append(found)
    tree.by_nspid[412] = found
    return found


def converse(dialogue: Any, replies: Mapping[tuple[str | int, ...], int | tuple[int, bytes]] | None = None) -> Any:
    """The record that a dialogue ends in; a call's reply is found by its name and its first numbers, the longest match first.

    Shape:   a reply is a result, or a result and what the call writes into its buffer; without a reply it is 0
    """
    if not hasattr(dialogue, "send"):
        return dialogue
    try:
        program = next(dialogue)
        while True:
            program = dialogue.send(_answers(program, replies or {}))
    except StopIteration as end:
        return end.value


def _answers(program: Program, replies: Mapping[tuple[str | int, ...], int | tuple[int, bytes]]) -> Answers:
    values: dict[int, int] = {}
    outs: dict[int, bytearray] = {}
    for call in program.calls:
        key: tuple[str | int, ...] = (call.name, *(a for a in call.args if isinstance(a, int)))
        while key and key not in replies:
            key = key[:-1]
        reply = replies.get(key, 0)
        result, data = reply if isinstance(reply, tuple) else (reply, b"")
        values[id(call)] = result
        assert call.check != OK or result >= 0 or result < -4095, f"{call!r} would fail"
        for arg in call.args:
            out, offset = (arg.of, arg.offset) if isinstance(arg, At) else (arg, 0)
            if isinstance(out, Out):
                buffer = outs.setdefault(id(out), bytearray(out.size))
                buffer[offset : offset + len(data)] = data
                assert len(buffer) == out.size, f"{call!r} would write past its buffer"
                data = b""
    return Answers(values, {k: bytes(v) for k, v in outs.items()})


def dumped(kind: Kind, ev: Any, replies: Mapping[tuple[str | int, ...], int | tuple[int, bytes]] | None = None) -> Any:
    """What a kind dumps, after it has claimed the object and refused nothing; it must survive the image's codec."""
    detect, refuse, dump = kind.verb("detect"), kind.verb("refuse"), kind.verb("dump")
    assert detect is not None
    assert dump is not None
    assert detect(ev) is not None, f"{ev!r} is not claimed by {kind.name}"
    assert [str(v) for v in (refuse(ev, None) if refuse is not None else ())] == []
    record = converse(dump(ev), replies)
    if record is not None:
        assert on_paper(kind, record) == record
    return record


def on_paper(kind: Kind, record: Any) -> Any:
    """A record after it was written to an image and read again."""
    payload = codec.pack(kind.record, [(ObjectId("process:412"), record)])
    [entry] = codec.unpack(payload, codec.bind(kind.record, kind.name, None), [])
    return entry[1]


def verdicts(kind: Kind, ev: Any) -> list[str]:
    """What a kind says against an object: the codes of refusals, the class of the rest; nothing where it does not claim it."""
    detect, refuse = kind.verb("detect"), kind.verb("refuse")
    assert detect is not None
    assert refuse is not None
    if detect(ev) is None:
        return []
    said = list(refuse(ev, None))
    assert all(getattr(v, "why", "") for v in said), "a verdict without a reason"
    return [getattr(v, "code", type(v).__name__) for v in said]


class Written(Part):
    """The calls of one part, as data."""

    def __init__(self, steps: WrittenSteps, task: str, needs: Iterable[str], gives: Iterable[str], ends: Iterable[str]) -> None:
        self.steps, self.task, self.needs, self.gives, self.ends = steps, task, set(needs), set(gives), set(ends)
        self.calls: list[tuple[Any, ...]] = []
        self.checks: list[str | int] = []
        self.proc: dict[str, bytes] = {}
        self.proc_ways: list[tuple[int | None, bool]] = []
        self.proc_written: list[bytes] = []

    def call(self, name: str, *args: Arg, check: str | int = OK) -> Call:
        self.calls.append((name, *map(_plain, args)))
        self.checks.append(check)
        return Call(name, args, check)

    def opened(self, result: Arg, file: ObjectId | None = None) -> None:
        self.calls.append(("opened", _plain(result), file))

    def slot(self, file: ObjectId) -> int:
        return 100

    def write_proc(self, name: str, data: bytes, *, without: int | None = None, needed: bool = True) -> None:
        self.proc[name] = data
        self.proc_written.append(data)
        self.proc_ways.append((without, needed))

    def made(self, path: bytes) -> None:
        raise AssertionError("no kind of tasks makes names")

    def opens(self, path: bytes) -> None:
        raise AssertionError("no kind of tasks opens names that an image makes")


def _plain(arg: Any) -> Any:
    if isinstance(arg, Call):
        return f"<{arg.name}>"
    if isinstance(arg, Out):
        return ("out", arg.size, arg.initial)
    if isinstance(arg, Word):
        return "<word>"
    if isinstance(arg, Block):
        return arg.data
    if isinstance(arg, Struct):
        return tuple(map(_plain, arg.parts))
    return arg


class WrittenSteps(Steps):
    """A restore written down."""

    def __init__(self, subject: ObjectId, record: Any, records: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.subject, self.mates, self.records = subject, [Entry(subject, record)], records or {}
        self.parts: list[Written] = []

    def part(
        self,
        *,
        task: ObjectId | None = None,
        needs: Iterable[str] = ("mm",),
        gives: Iterable[str] = (),
        ends: Iterable[str] = (),
        birth: bool = False,
        patient: bool = False,
    ) -> Written:
        assert not birth, "no kind here has anything that children inherit"
        made = Written(self, task or self.subject, needs, gives, ends)
        self.parts.append(made)
        return made

    def record_of(self, subject: ObjectId, kind: str) -> Any:
        return self.records.get(kind, {}).get(subject)


def written(kind: Kind, record: Any, subject: ObjectId = PROCESS, records: Mapping[str, Mapping[str, Any]] | None = None) -> list[Written]:
    """The parts that a kind's restore makes of a record."""
    restore = kind.verb("restore")
    assert restore is not None
    steps = WrittenSteps(subject, record, records)
    restore(record, steps)
    return steps.parts


def calls(kind: Kind, record: Any, subject: ObjectId = PROCESS, records: Mapping[str, Mapping[str, Any]] | None = None) -> list[Any]:
    """The calls that a kind's restore makes of a record, part after part."""
    return [call for part in written(kind, record, subject, records) for call in part.calls]


class Disk(Host):
    """A machine that has these paths."""

    def __init__(self, paths: Mapping[bytes, Any]) -> None:
        self.paths = paths

    def stat(self, path: bytes) -> Any:
        return self.paths.get(path)


def unready(kind: Kind, record: Any, host: Host) -> list[str]:
    """The codes of what a restore of a record lacks on a machine."""
    ready = kind.verb("ready")
    assert ready is not None
    return [r.code for r in ready(record, host)]


def differences(kind: Kind, before: Any, after: Any) -> list[str]:
    """The fields in which a kind's own compare sees a difference."""
    compare = kind.verb("compare")
    assert compare is not None
    found: Generator[Any] = compare(before, after, PROCESS)
    return [d.field for d in found]
