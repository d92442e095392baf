"""task.sharing: tasks that share or do not share what Holdfast makes for each process.

Carries:  nothing: the usual case needs no record. A process has its own memory, descriptors, file system place and signal actions, and
          all its threads share them.
Loses:    nothing: whatever is shared otherwise is refused, an I/O context too (CLONE_IO); so is a list of System V semaphore adjustments.
Sources:  clone(2), unshare(2), kcmp(2), semop(2) SEM_UNDO, Linux kernel/kcmp.c.
"""

from __future__ import annotations

import errno
import itertools
import os

from holdfast.kernel import kcmp
from holdfast.kernel.uapi.syscalls import X86_64 as NUMBERS
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, Unchecked, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    from holdfast.kinds.contract import Probes, Verdict
    from holdfast.kinds.evidence import ProcessEvidence, ThreadEvidence, TreeEvidence

    T = TypeVar("T")

WHO_PROCESS = 1  # ioprio_set(2) IOPRIO_WHO_PROCESS
OBJECTS = {kcmp.VM: "memory", kcmp.FILES: "descriptor table", kcmp.FS: "working directory and umask", kcmp.SIGHAND: "signal actions"}
LIST = "list of System V semaphore adjustments"
# the others are shared by what a thread is, clone(2)
OF_THREADS = {kcmp.FILES: OBJECTS[kcmp.FILES], kcmp.FS: OBJECTS[kcmp.FS], kcmp.SYSVSEM: LIST}


class Sharing(Record):
    """Nothing: an unusual way of sharing is refused."""


def detect(ev: TreeEvidence) -> Claim | None:
    return Claim()


def refuse(ev: TreeEvidence, kernel: Probes) -> Iterator[Verdict]:
    living = [p for p in ev.processes if not p.zombie]
    try:
        for process in living:
            yield from _threads(process)
        for what, name in OBJECTS.items():
            yield from _processes(living, what, name)
        yield from _contexts(living)
        yield from _lists(living)
        yield from _adjustments(living)
    except OSError as e:
        if e.errno not in (errno.EPERM, errno.ENOSYS, errno.ESRCH):
            raise
        yield Unchecked("task.sharing", "what the tasks of the tree share", f"{e.strerror}; kcmp(2)")


def _threads(process: ProcessEvidence) -> Iterator[Verdict]:
    for thread in process.threads[1:]:
        for what, name in OF_THREADS.items():
            if not kcmp.same(int(process.pid), int(thread.tid), what):
                yield Refusal(
                    "task.unshared_thread",
                    f"{tasks.who(thread)} has its own {name}",
                    tasks.where(thread, ""),
                    "a restored thread shares them with its process, clone(2); it called unshare(2)",
                    "none known",
                )


def _sorted(tasks: Sequence[T], what: int, tid: Callable[[T], int]) -> list[T]:
    # by insertion with bisection: n log n questions, and what is shared comes together
    out: list[T] = []
    for task in tasks:
        low, high = 0, len(out)
        while low < high:
            middle = (low + high) // 2
            if kcmp.order(tid(out[middle]), tid(task), what) == 1:
                low = middle + 1
            else:
                high = middle
        out.insert(low, task)
    return out


def _processes(living: Sequence[ProcessEvidence], what: int, name: str) -> Iterator[Verdict]:
    if not living:
        return
    order = _sorted(living, what, lambda p: int(p.pid))
    for i, b in enumerate(order[1:]):
        a = order[i]
        if kcmp.same(int(a.pid), int(b.pid), what):
            yield _shared(a, f"pid {int(b.pid)}", name)
    first = living[0]
    outside = first.status.ppid
    try:
        shared = outside and kcmp.same(int(first.pid), outside, what)
    except PermissionError:
        return  # a parent with more rights than we have: it does not share its memory or files with a child that has fewer
    if shared:
        yield _shared(first, f"its parent, pid {outside}, which is not in the tree,", name)


def _shared(process: ProcessEvidence, other: str, name: str) -> Refusal:
    return Refusal(
        "task.shared_process",
        f"{tasks.who(process)} and {other} share their {name}",
        tasks.where(process, ""),
        "each restored process has its own, clone(2); vfork(2) shares memory until the child calls execve",
        "wait until the child has called execve, or end one of them",
    )


# Most tasks have no I/O context, and neither have we: a task that has the same as we have has none. Where two others have the same, it is
# shared, or they have none and we have one.
def _contexts(living: Sequence[ProcessEvidence]) -> Iterator[Verdict]:
    pairs = _alike([t for p in living for t in p.threads], kcmp.IO)
    if not pairs:
        return
    with _without_context() as newborn:
        for a, b in pairs:
            if newborn.pid and kcmp.same(newborn.pid, int(a.tid), kcmp.IO):
                continue
            yield Refusal(
                "task.shared_io",
                f"{tasks.who(a)} and {tasks.who(b)} share their I/O context",
                tasks.where(a, ""),
                "each restored task has its own, so that a priority set for one would no longer hold for the other; clone(2) CLONE_IO",
                "none known",
            )


# Pairs of threads that have the same object, which is not ours.
def _alike(threads: Sequence[ThreadEvidence], what: int) -> list[tuple[ThreadEvidence, ThreadEvidence]]:
    if len(threads) < 2:
        return []
    own = os.getpid()
    order = _sorted([t for t in threads if not kcmp.same(own, int(t.tid), what)], what, lambda t: int(t.tid))
    return [(a, b) for a, b in itertools.pairwise(order) if kcmp.same(int(a.tid), int(b.tid), what)]


# Most processes with one thread have no list, and neither have we: as with contexts.
def _lists(living: Sequence[ProcessEvidence]) -> Iterator[Verdict]:
    pairs = _alike([p.leader for p in living], kcmp.SYSVSEM)
    if not pairs:
        return
    with kcmp.Newborn() as newborn:
        for a, b in pairs:
            if not newborn.pid or not kcmp.same(newborn.pid, int(a.tid), kcmp.SYSVSEM):
                yield _shared(a.process, f"pid {int(b.process.pid)}", LIST)


# A child inherits a priority, and with it a context.
def _without_context() -> kcmp.Newborn:
    import ctypes  # only for a tree that looks as if it shared one, so for a dumper with a priority

    call = ctypes.CDLL(None).syscall
    own = call(NUMBERS["ioprio_get"], WHO_PROCESS, 0)
    call(NUMBERS["ioprio_set"], WHO_PROCESS, 0, 0)
    try:
        return kcmp.Newborn()
    finally:
        call(NUMBERS["ioprio_set"], WHO_PROCESS, 0, own)


# A list without entries is nothing, and every process that has or had threads has one: clone(2) CLONE_SYSVSEM. There are entries only
# where a semaphore was operated on (removing a set frees them, ipc/sem.c freeary), so mostly there is nothing to ask.
def _adjustments(living: Sequence[ProcessEvidence]) -> Iterator[Verdict]:
    if not living or not _operated(living[0].tree):
        return
    with kcmp.Newborn() as newborn:
        for process in living:
            threads = [t for t in process.threads if newborn.pid == 0 or not kcmp.same(newborn.pid, int(t.tid), kcmp.SYSVSEM)]
            if threads and len(process.threads) == 1 and newborn.pid:
                yield _undo(threads[0])
            elif threads:
                yield Unchecked(
                    "task.sharing",
                    f"whether {tasks.who(process)} has System V semaphore adjustments to be made when it ends",
                    "every process with threads has a list of them, mostly empty, and nothing reads it; semop(2) SEM_UNDO",
                    "sysv_sem.undo_list",
                )


def _operated(tree: TreeEvidence) -> bool:
    # whether there is a semaphore set on which somebody has operated: its otime, the last column but one
    try:
        lines = tree.host.read("sysvipc/sem").splitlines()[1:]
    except FileNotFoundError:  # no CONFIG_SYSVIPC
        return False
    return any(line.split()[-2] != b"0" for line in lines)


def _undo(thread: ThreadEvidence) -> Refusal:
    return Refusal(
        "task.sem_undo",
        f"{tasks.who(thread)} cannot be dumped: it has System V semaphore adjustments to be made when it ends",
        tasks.where(thread, ""),
        "semop(2) SEM_UNDO; nothing reads or sets the list",
        "let it finish with its semaphores, or end it",
    )


KIND = Kind(
    "task.sharing",
    record=Sharing,
    subject="tree",
    watches=(Struct("files_struct"), Struct("sighand_struct"), Struct("sysv_sem"), Struct("io_context")),
    verbs=verbs(__name__),
)
