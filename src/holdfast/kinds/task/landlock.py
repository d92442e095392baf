"""task.landlock: a thread in a Landlock sandbox.

Carries:  nothing: the kernel shows neither that there is a sandbox nor its rules, and rules cannot be read back.
Loses:    nothing that shows: a thread whose sandbox keeps it from looking at a process that it could look at otherwise is refused.
Sources:  landlock(7) "Ptrace restrictions", ptrace(2) "Ptrace access mode checking", Linux security/landlock/task.c.
"""

from __future__ import annotations

import os

from holdfast.kernel import kcmp
from holdfast.kernel.procfs.status import parse_status
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Struct, Unchecked, verbs
from holdfast.model.record import Record
from holdfast.prog.call import ANY, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kernel.procfs.status import Status
    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import ThreadEvidence, TreeEvidence
    from holdfast.prog.call import Answers

CAP_SYS_PTRACE = 19
EPERM = 1
INIT = 1


class Landlock(Record):
    """Nothing: a thread in a sandbox is refused."""


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


_peers: tuple[TreeEvidence | None, Status | None] = (None, None)


# A process outside every sandbox of the tree, as the tree numbers it: we, or the job's init.
def _peer(tree: TreeEvidence) -> int:
    return INIT if tree.in_run else os.getpid()


def _status_of_peer(tree: TreeEvidence) -> Status:
    global _peers
    known, status = _peers
    if known is not tree or status is None:
        status = parse_status(tree.host.read(f"{tree.init if tree.in_run else 'self'}/status"))
        _peers = (tree, status)
    return status


# Whether the thread may look at the peer as far as users and capabilities go: only then a refusal tells of a sandbox.
def _allowed(ev: ThreadEvidence) -> bool:
    if not ev.tree.in_run and ev.process.namespace("user") != tasks.own_namespace(ev.tree, "user"):
        return False  # what it may is of its own user namespace; ns.user refuses it
    mine = ev.status
    if mine.capabilities("Eff") >> CAP_SYS_PTRACE & 1:
        return True
    theirs = _status_of_peer(ev.tree)
    same = {*theirs.uids[:3]} == {mine.uids[0]} and {*theirs.gids[:3]} == {mine.gids[0]}
    return same and not theirs.capabilities("Prm") & ~mine.capabilities("Prm")


def refuse(ev: ThreadEvidence, kernel: Probes) -> Iterator[Verdict]:
    # a sandbox needs no_new_privs, or CAP_SYS_ADMIN at the time (landlock_restrict_self(2))
    if ev.status.no_new_privs and not _allowed(ev):
        yield Unchecked(
            "task.landlock",
            f"whether {tasks.who(ev)} is in a Landlock sandbox",
            "nothing shows it but what is forbidden to the thread, and its user may not look at us anyway; dump it as its own user",
            "landlock_cred_security.domain",
        )


def dump(ev: ThreadEvidence) -> Generator[Program, Answers, None]:
    if not _allowed(ev):
        return
    program = Program()
    peer = _peer(ev.tree)
    asked = program.call("kcmp", peer, peer, kcmp.VM, 0, 0, check=ANY)
    answers = yield program
    if answers.value(asked) == -EPERM:
        raise tasks.refused(
            "task.landlock",
            ev,
            "it is in a Landlock sandbox",
            why="it may not look at us although its user may: landlock(7); its rules cannot be read back",
            do="start it without the sandbox",
        )


def restore(rec: Landlock, steps: Steps) -> None:
    """Nothing to emit: there is never a record."""


KIND = Kind("task.landlock", record=Landlock, subject="thread", watches=(Struct("landlock_cred_security"),), verbs=verbs(__name__))
