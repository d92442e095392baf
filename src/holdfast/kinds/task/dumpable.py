"""task.dumpable: whether a process may leave a core dump and be looked into by others of its user.

Carries:  off, on, and root_only.
Loses:    nothing.
Sources:  prctl(2) PR_SET_DUMPABLE, proc_sys_fs(5) suid_dumpable, Linux kernel/cred.c commit_creds.
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Refusal, verbs
from holdfast.model.record import Record
from holdfast.prog.call import Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kinds.contract import Host, Steps
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.prog.call import Answers

PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4
NAMES = ("off", "on", "root_only")
SYSCTL = "/proc/sys/fs/suid_dumpable"
NOBODY = 65534


class Dumpable(Record):
    """A process's dumpable setting."""

    dumpable: str


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def dump(ev: ProcessEvidence) -> Generator[Program, Answers, Dumpable]:
    program = Program()
    asked = program.call("prctl", PR_GET_DUMPABLE, 0, 0, 0, 0)
    answers = yield program
    value = answers.value(asked)
    if value >= len(NAMES):
        raise tasks.refused(
            "task.dumpable", ev, f"its dumpable setting {value} has no name", why="prctl(2) PR_GET_DUMPABLE", do="teach it to task.dumpable"
        )
    return Dumpable(NAMES[value])


def ready(rec: Dumpable, host: Host) -> Iterator[Refusal]:
    if rec.dumpable != "root_only":
        return
    with open(SYSCTL, "rb") as f:
        value = f.read().strip()
    if value != b"2":
        yield Refusal(
            "task.dumpable",
            "a process's core dumps are for root only, and this system does not have that setting",
            f"{SYSCTL} is {value.decode()}",
            "prctl(2) cannot set it; a change of credentials sets what the sysctl says, proc_sys_fs(5)",
            "sysctl fs.suid_dumpable=2",
        )


def restore(rec: Dumpable, steps: Steps) -> None:
    value = NAMES.index(rec.dumpable)
    if rec.dumpable != "root_only":
        steps.part(needs=("mm", "creds")).call("prctl", PR_SET_DUMPABLE, value, 0, 0, 0)
        return
    # a change of the filesystem user id, and back, sets what the sysctl says
    part = steps.part(needs=("mm", "caps"))
    before = part.call("setfsuid", NOBODY)
    part.call("setfsuid", before)


KIND = Kind("task.dumpable", record=Dumpable, subject="process", verbs=verbs(__name__))
