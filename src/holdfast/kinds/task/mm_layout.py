"""task.mm_layout: the program that a process runs, and where its parts are said to be.

Carries:  the executable; the bounds of code, data, heap, stack, arguments and environment that /proc shows; brk; the auxiliary vector.
Loses:    where the kernel looks first for room for a new mapping, which it chose at exec: a later mmap(2) may go elsewhere.
Sources:  prctl(2) PR_SET_MM_MAP, proc_pid_stat(5), proc_pid_exe(5), proc_pid_auxv(5), Linux kernel/sys.c prctl_set_mm_map.
"""

from __future__ import annotations

import stat
from struct import Struct as Format

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, Unchecked, verbs
from holdfast.model.ids import ObjectId, RemoteAddr
from holdfast.model.record import Record
from holdfast.prog.call import Block, Program
from holdfast.prog.call import Struct as Pointers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kinds.contract import Host, Probes, Steps, Verdict
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.prog.call import Answers

PR_SET_MM, PR_SET_MM_MAP = 35, 14
ADDRESSES = Format("<11Q")  # the start of struct prctl_mm_map
MAP_SIZE = 104
AT_FDCWD, O_CLOEXEC = -100, 0o2000000
DELETED = b" (deleted)"  # an executable whose name ends like this is refused too: the two cannot be told apart


class MmLayout(Record):
    """A process's executable and the layout that the kernel keeps for it."""

    exe: bytes
    start_code: RemoteAddr
    end_code: RemoteAddr
    start_data: RemoteAddr
    end_data: RemoteAddr
    start_brk: RemoteAddr
    brk: RemoteAddr
    start_stack: RemoteAddr
    arg_start: RemoteAddr
    arg_end: RemoteAddr
    env_start: RemoteAddr
    env_end: RemoteAddr
    auxv: bytes


FIELDS = tuple(n for n in MmLayout._names if n not in ("exe", "auxv"))


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def refuse(ev: ProcessEvidence, kernel: Probes) -> Iterator[Verdict]:
    try:
        path = ev.readlink("exe")
    except PermissionError:
        yield Unchecked("task.mm_layout", f"the executable of {tasks.who(ev)}", "only its owner or root may read it, proc_pid_exe(5)")
        return
    if path.endswith(DELETED) or not path.startswith(b"/"):
        yield Refusal(
            "task.exe",
            f"{tasks.who(ev)} cannot be dumped: its executable has no name any more",
            f"{tasks.where(ev, 'exe')} -> {path.decode('utf-8', 'backslashreplace')}",
            "/proc/PID/exe is set by opening a file, prctl(2) PR_SET_MM_EXE_FILE",
            "restart the program from a file that stays",
        )


def dump(ev: ProcessEvidence) -> Generator[Program, Answers, MmLayout]:
    program = Program()
    brk = program.call("brk", 0)
    answers = yield program
    s = ev.stat
    heap = (s.start_brk, answers.value(brk))
    values = (s.startcode, s.endcode, s.start_data, s.end_data, *heap, s.startstack, s.arg_start, s.arg_end, s.env_start, s.env_end)
    return MmLayout(exe=ev.readlink("exe"), auxv=ev.read("auxv"), **dict(zip(FIELDS, map(RemoteAddr, values), strict=True)))


def ready(rec: MmLayout, host: Host) -> Iterator[Refusal]:
    found = host.stat(rec.exe)
    if found is None or not stat.S_ISREG(found.st_mode):
        yield Refusal(
            "task.exe_gone",
            f"the executable {rec.exe.decode('utf-8', 'backslashreplace')} is not there",
            rec.exe.decode("utf-8", "backslashreplace"),
            "prctl(2) PR_SET_MM_EXE_FILE",
            "install it again",
        )


def restore(rec: MmLayout, steps: Steps) -> None:
    # the number must be known when the structure is written, so the file goes to a slot first; the engine closes that later
    exe = ObjectId(f"exe:{steps.subject.partition(':')[2]}")
    first = steps.part(needs=("born", "paths", "caps"))
    first.opened(first.call("openat", AT_FDCWD, rec.exe + b"\0", O_CLOEXEC, 0), exe)
    # nothing of the stub's executable may be mapped any more: the kernel says EBUSY (kernel/fork.c replace_mm_exe_file)
    part = steps.part(needs=("clear", "mapped", "caps", "limits"), gives=("sealed",))
    layout = ADDRESSES.pack(*(int(getattr(rec, n)) for n in FIELDS))
    tail = Format("<II").pack(len(rec.auxv), part.slot(exe))
    part.call("prctl", PR_SET_MM, PR_SET_MM_MAP, Pointers(layout, Block(rec.auxv), tail), MAP_SIZE, 0)


KIND = Kind("task.mm_layout", record=MmLayout, subject="process", watches=(Struct("mm_struct"),), verbs=verbs(__name__))
