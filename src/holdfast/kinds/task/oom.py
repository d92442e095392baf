"""task.oom: how likely the kernel ends a process when memory runs out.

Carries:  oom_score_adj; the lowest value that a process without CAP_SYS_RESOURCE may set for itself, which it is made to try.
Loses:    that lowest value, of a process that has the capability, or whose /proc is not there or not its own: it is oom_score_adj
          again. Restored without CAP_SYS_RESOURCE, it is the restorer's.
Sources:  proc_pid_oom_score_adj(5), Linux fs/proc/base.c __set_oom_adj.
"""

from __future__ import annotations

from errno import EACCES

from holdfast.kernel.procfs.scalar import parse_number
from holdfast.kinds.contract import Claim, Difference, Kind, Struct, verbs
from holdfast.model.record import Record, field
from holdfast.prog.call import ANY, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Answers, Call

FILE = "oom_score_adj"
LEAST = -1000
CAP_SYS_RESOURCE = 24
FIRST_USER_NAMESPACE = 0xEFFFFFFD  # its inode number: PROC_USER_INIT_INO, include/linux/proc_ns.h
AT_FDCWD, O_WRONLY = -100, 1


class Oom(Record):
    """A process's weight for the out-of-memory killer."""

    score_adj: int  # -1000 .. 1000
    lowest: int | None = field(default=None)  # that it may set for itself; None: score_adj, or not known


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def dump(ev: ProcessEvidence) -> Generator[Program, Answers, Oom]:
    score = parse_number(FILE, ev.read(FILE))
    if score == LEAST or _may_set_any(ev):
        return Oom(score)
    # it may not set less than `below`, and may set `above`; mostly the first try settles it
    below, above = LEAST - 1, score
    while above - below > 1:
        tried = above - 1 if above == score else (below + above) // 2
        program = Program()
        call = _try(program, tried, score)
        answers = yield program
        result = answers.value(call)
        if result == -EACCES:
            below = tried
        elif result > 0:
            above = tried
        else:
            return Oom(score)
    return Oom(score, None if above == score else above)


# With the capability it would not only be allowed: it would move the limit.
def _may_set_any(ev: ProcessEvidence) -> bool:
    return bool(ev.status.capabilities("Eff") >> CAP_SYS_RESOURCE & 1) and ev.namespace("user") == FIRST_USER_NAMESPACE


def _try(program: Program, value: int, score: int) -> Call:
    # whatever fails, what was is set again before the program ends
    fd = program.call("openat", AT_FDCWD, b"/proc/self/oom_score_adj\0", O_WRONLY, 0, check=ANY)
    call = program.call("write", fd, b"%d\n" % value, len(b"%d\n" % value), check=ANY)
    program.call("write", fd, b"%d\n" % score, len(b"%d\n" % score), check=ANY)
    program.call("close", fd, check=ANY)
    return call


def restore(rec: Oom, steps: Steps) -> None:
    part = steps.part(needs=("mm", "caps"))
    if rec.lowest is not None:
        part.write_proc(FILE, b"%d\n" % rec.lowest, needed=False)
        part.write_proc(FILE, b"%d\n" % rec.score_adj, without=CAP_SYS_RESOURCE)  # with it, this would be the lowest from now on
    else:
        part.write_proc(FILE, b"%d\n" % rec.score_adj)


def compare(before: Oom, after: Oom, where: ObjectId) -> Iterator[Difference]:
    if before.score_adj != after.score_adj:
        yield Difference("task.oom", where, "score_adj", before.score_adj, after.score_adj)
    if before.lowest != after.lowest:
        yield Difference("task.oom", where, "lowest", before.lowest, after.lowest, matters=False)  # Loses: who restores may not be able to


KIND = Kind("task.oom", record=Oom, subject="process", watches=(Struct("signal_struct"),), verbs=verbs(__name__))
