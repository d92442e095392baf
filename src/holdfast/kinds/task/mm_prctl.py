"""task.mm_prctl: settings of a process's address space as a whole.

Carries:  transparent huge pages off (PR_SET_THP_DISABLE), merging of equal pages (PR_SET_MEMORY_MERGE), no execution of what was
          writable (PR_SET_MDWE), registered memory barriers (membarrier), locking of what is mapped later (mlockall MCL_FUTURE),
          exact timer ids (PR_TIMER_CREATE_RESTORE_IDS), the number of hash slots for its own futexes (PR_FUTEX_HASH) where it is not
          what the kernel gives to so many threads.
Loses:    that a program asked for just as many slots as the kernel gives: with more threads later it has more of them.
Sources:  prctl(2), membarrier(2), mlock(2), madvise(2), Linux kernel/sys.c, kernel/sched/membarrier.c, mm/mlock.c, kernel/futex/core.c.
"""

from __future__ import annotations

import os

from holdfast.kernel import flags
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, FlagSet, Kind, StatusKey, Struct, compare_fields, verbs
from holdfast.model.record import Record, field
from holdfast.prog.call import ANY, Out, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kinds.contract import Difference, Steps
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Answers, Call

PR_SET_THP_DISABLE, PR_GET_THP_DISABLE, PR_THP_DISABLE_EXCEPT_ADVISED = 41, 42, 2
PR_SET_MDWE, PR_GET_MDWE = 65, 66
PR_SET_MEMORY_MERGE, PR_GET_MEMORY_MERGE = 67, 68
PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_ON, PR_TIMER_CREATE_RESTORE_IDS_GET = 77, 1, 2
PR_FUTEX_HASH, PR_FUTEX_HASH_SET_SLOTS, PR_FUTEX_HASH_GET_SLOTS = 78, 1, 2
LEAST_SLOTS = 16
MEMBARRIER_CMD_GET_REGISTRATIONS = 1 << 9
REGISTER = "MEMBARRIER_CMD_REGISTER_"
# each command that asks for a private barrier
PRIVATE = {"PRIVATE_EXPEDITED": 1 << 3, "PRIVATE_EXPEDITED_SYNC_CORE": 1 << 5, "PRIVATE_EXPEDITED_RSEQ": 1 << 7}
GLOBAL = "GLOBAL_EXPEDITED"
EXPEDITED, EXPEDITED_TOO = 1 << 4, 1 << 6 | 1 << 8  # as commands that register: the plain one, those for cores and rseq
MCL_FUTURE, MCL_ONFAULT = 2, 4
PAGE, MADV_DONTNEED = 4096, 4
EPERM, EINVAL = 1, 22


class MmPrctl(Record):
    """An address space's settings."""

    thp_disabled: str = field(default="")  # "", `always`, or `except_advised`
    memory_merge: bool = False
    mdwe: tuple[str, ...] = field(default=())
    membarriers: tuple[str, ...] = field(default=())
    future_locks: str = field(default="")  # "", `populate`, or `on_fault`
    exact_timer_ids: bool = False
    futex_slots: int | None = field(default=None)  # None: as many as the kernel gives; 0: those that all processes share


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def dump(ev: ProcessEvidence) -> Generator[Program, Answers, MmPrctl]:
    program = Program()
    thp = program.call("prctl", PR_GET_THP_DISABLE, 0, 0, 0, 0)
    # what follows came with later kernels: one that does not know it has no such state
    merge = program.call("prctl", PR_GET_MEMORY_MERGE, 0, 0, 0, 0, check=ANY)
    mdwe = program.call("prctl", PR_GET_MDWE, 0, 0, 0, 0, check=ANY)
    ids = program.call("prctl", PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_GET, 0, 0, 0, check=ANY)
    slots = program.call("prctl", PR_FUTEX_HASH, PR_FUTEX_HASH_GET_SLOTS, 0, 0, 0, check=ANY)
    barriers = program.call("membarrier", MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0, check=ANY)
    assert ev.area is not None  # whoever asks a process something is inside it
    trial = _ask_future_locks(program, ev.area[1])
    answers = yield program
    registered = answers.value(barriers)
    if registered == -EINVAL:
        # before v6.3 (544a4f2ecd45, "sched/membarrier: Introduce MEMBARRIER_CMD_GET_REGISTRATIONS") a barrier tells by EPERM
        again = Program()
        private = {name: again.call("membarrier", command, 0, 0, check=ANY) for name, command in PRIVATE.items()}
        reply = yield again
        # whether it takes part in everybody's barriers cannot be asked; taking part when it did not costs time only
        known = [GLOBAL, *(name for name, c in private.items() if reply.value(c) == 0)]
        registered = flags.bits("membarrier", [REGISTER + name for name in known])
    elif registered > 0 and registered & EXPEDITED and registered & EXPEDITED_TOO:
        # those name the plain one among what is registered without making it ready, kernel/sched/membarrier.c
        once = Program()
        plain = once.call("membarrier", PRIVATE["PRIVATE_EXPEDITED"], 0, 0, check=ANY)
        reply = yield once
        if reply.value(plain) == -EPERM:
            registered &= ~EXPEDITED
    try:
        return MmPrctl(
            _thp(answers.value(thp)),
            answers.value(merge) == 1,
            flags.names("mdwe", max(0, answers.value(mdwe))),
            flags.names("membarrier", max(0, registered)),
            _future_locks(answers, trial),
            answers.value(ids) == 1,
            _asked_slots(answers.value(slots), len(ev.threads)),
        )
    except ValueError as e:
        raise tasks.refused(
            "task.mm_prctl",
            ev,
            f"a setting of its address space is not known: {e}",
            why="prctl(2), membarrier(2)",
            do="teach it to task.mm_prctl",
        ) from e


def _thp(value: int) -> str:
    names = {0: "", 1: "always", 1 | PR_THP_DISABLE_EXCEPT_ADVISED: "except_advised"}
    if value not in names:
        raise ValueError(f"PR_GET_THP_DISABLE gives {value}")
    return names[value]


# The number of slots where a program must have asked for it. The kernel gives four to each thread that was there when the newest was
# made, but to no more than there are processors (kernel/futex/core.c futex_hash_allocate_default); to a single thread it gives none.
def _asked_slots(slots: int, threads: int) -> int | None:
    if slots < 0 or (slots == 0 if threads == 1 else slots == LEAST_SLOTS):
        return None
    makers = threads - 1
    if makers and slots in (_given(makers), _given(min(makers, os.cpu_count() or makers))):
        return None
    return slots


def _given(makers: int) -> int:
    return max(LEAST_SLOTS, 1 << (4 * makers - 1).bit_length())


# Our own area was mapped later than all of the program's, and nobody has touched its last page. A locked page cannot be dropped
# (madvise(2) MADV_DONTNEED: EINVAL), and is there from the start unless locked on fault.
def _ask_future_locks(program: Program, end: int) -> tuple[Out, Call]:
    resident = Out(8)
    program.call("mincore", end - PAGE, PAGE, resident)
    return resident, program.call("madvise", end - PAGE, PAGE, MADV_DONTNEED, check=ANY)


def _future_locks(answers: Answers, trial: tuple[Out, Call]) -> str:
    resident, dropped = trial
    if answers.value(dropped) != -EINVAL:
        return ""
    return "populate" if answers.data(resident)[0] & 1 else "on_fault"


def restore(rec: MmPrctl, steps: Steps) -> None:
    late = steps.part(needs=("mm", "fds", "caps", "limits"))
    disabled = bool(rec.thp_disabled)
    late.call("prctl", PR_SET_THP_DISABLE, disabled, PR_THP_DISABLE_EXCEPT_ADVISED if rec.thp_disabled == "except_advised" else 0, 0, 0)
    if rec.memory_merge:
        late.call("prctl", PR_SET_MEMORY_MERGE, 1, 0, 0, 0)
    for name in rec.membarriers:
        late.call("membarrier", flags.bits("membarrier", (name,)), 0, 0)
    if rec.futex_slots is not None:
        late.call("prctl", PR_FUTEX_HASH, PR_FUTEX_HASH_SET_SLOTS, rec.futex_slots, 0, 0)
    if rec.future_locks:
        late.call("mlockall", MCL_FUTURE | (MCL_ONFAULT if rec.future_locks == "on_fault" else 0))
    if rec.mdwe:
        late.call("prctl", PR_SET_MDWE, flags.bits("mdwe", rec.mdwe), 0, 0, 0)
    if rec.exact_timer_ids and steps.record_of(steps.subject, "task.posix_timers") is None:  # else it sets this after its timers
        late.call("prctl", PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_ON, 0, 0, 0)


def compare(before: MmPrctl, after: MmPrctl, where: ObjectId) -> Iterator[Difference]:
    """Every setting; what the kernel gives by itself it gives as it likes."""
    return compare_fields("task.mm_prctl", where, before, after, () if before.futex_slots is not None else ("futex_slots",))


KIND = Kind(
    "task.mm_prctl",
    record=MmPrctl,
    subject="process",
    watches=(Struct("mm_struct"), FlagSet("mdwe"), FlagSet("membarrier"), StatusKey("THP_enabled")),
    verbs=verbs(__name__),
)
