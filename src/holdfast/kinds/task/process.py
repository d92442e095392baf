"""task.process: who there is: pids, parents, threads, sessions, process groups, zombies, stopped jobs.

Carries:  exact pids and tids (as the tree sees itself), parents and which of their threads made whom, order of children, sessions, process
          groups, exit signals, wait status and names of zombies, job-control stops, whether the parent was told of them, and whether
          news of the end of a stop waits for it.
Loses:    start times and accumulated CPU times; a session or process group of the first process that lies outside the tree becomes
          the restorer's; of a zombie, all but its ids, name and wait status: its credentials, limits and masks become those of the
          restorer, and that it dumped core is not told; which signal stopped a process whose group is orphaned; before Linux 5.17,
          that the parent was not yet told of a stop.
Sources:  clone(2) set_tid, setsid(2), setpgid(2), wait(2), proc_pid_stat(5), proc_pid_status(5).
"""

from __future__ import annotations

from holdfast.kinds.contract import Claim, Difference, Kind, Loss, Refusal, StatusKey, Struct, verbs
from holdfast.model.ids import NsPid, ObjectId
from holdfast.model.record import Record, field
from holdfast.prog.call import ANY, Out, Program, in_turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.prog.call import Answers

P_PID, WNOHANG, WCONTINUED, WNOWAIT, WALL = 1, 1, 8, 0x01000000, 0x40000000


class Process(Record):
    """One process: its place in the tree. Session and group are 0 where they lie outside the tree; a group's leader may be gone, and in a
    job of `holdfast run` a session's. Beside the first process, what the job's init adopted has no parent.
    """

    nspid: NsPid
    parent: ObjectId | None
    threads: tuple[NsPid, ...]
    session: NsPid
    group: NsPid
    exit_signal: int = field(default=17)
    zombie: bool = False
    exit_status: int = field(default=0, unit="wait status")
    stop_signal: int = field(default=0)  # of a job-control stop, 0 while running
    stop_reported: bool = True  # a wait of the parent took the news of the stop
    zombie_name: bytes = b""
    parent_thread: NsPid = field(default=NsPid(0))  # the thread of the parent that is its own parent; 0: the first one
    continued: tuple[NsPid, ...] = ()  # children that have gone on after a stop, which no wait has taken the news of


def detect(ev: ProcessEvidence) -> Claim | None:
    """Every process."""
    return Claim()


def _ids(ev: ProcessEvidence) -> tuple[int, int]:
    status = ev.status
    sessions, groups = status.ns_sids, status.ns_pgids
    return (sessions[-1] if sessions else ev.stat.session), (groups[-1] if groups else ev.stat.pgrp)


def refuse(ev: ProcessEvidence, kernel: Probes) -> Iterator[Verdict]:
    """Sessions and groups that lie outside the tree."""
    session, group = _ids(ev)
    known = ev.tree.by_nspid
    first = ev is ev.tree.processes[0]
    if ev.parent is None and not first:
        return  # its init has adopted it: it can be made in any session
    if session not in (_ids(_parent(ev) or ev)[0], int(ev.nspid)) and _maker(ev):
        yield Refusal(
            "task.parent_thread",
            f"pid {int(ev.pid)} ({ev.stat.comm.decode('utf-8', 'backslashreplace')}) is a child of a thread that has left its session",
            f"/proc/{int(ev.pid)}/stat",
            "a thread is made after its process has made its session, so it could make no child before; setsid(2)",
            "none known",
        )
    if session not in known and first:
        outside = [p for p in ev.tree.processes if _ids(p)[0] == session]
        yield Loss(
            "task.process",
            ev.id,
            f"session {session} lies outside the tree; {len(outside)} processes of it get the restorer's session",
            "setsid(2) can only make a session named after its caller",
        )
        if group not in known:
            yield Loss("task.process", ev.id, f"process group {group} lies outside the tree; it becomes the restorer's", "setpgid(2)")
    if not first and not ev.zombie:
        root_session = _ids(ev.tree.processes[0])[0]
        parent = next(p for p in ev.tree.processes if p.id == ev.parent)
        if session not in known and session != root_session and not (_adopted(parent) and session == _ids(parent)[0]):
            yield Refusal(
                "task.session",
                f"pid {int(ev.pid)} ({ev.stat.comm.decode('utf-8', 'backslashreplace')}) is in session {session}, whose leader is gone",
                f"/proc/{int(ev.pid)}/stat",
                "a session without leader that does not lead back to the first process would have to be made by a process that is gone",
                "dump the whole session, or start the program with setsid",
            )


def _parent(ev: ProcessEvidence) -> ProcessEvidence | None:
    return None if ev.parent is None else next(p for p in ev.tree.processes if p.id == ev.parent)


# The thread of its parent whose child it is, 0 for the first one: PR_SET_PDEATHSIG(2const) and __WNOTHREAD of wait(2) tell.
def _maker(ev: ProcessEvidence) -> NsPid:
    parent = _parent(ev)
    if parent is None or len(parent.threads) < 2:
        return NsPid(0)
    own = b"%d" % int(ev.pid)
    for thread in parent.threads:
        try:
            if own in thread.read("children").split():
                return NsPid(0 if thread is parent.leader else thread.nstid)
        except FileNotFoundError:  # no CONFIG_PROC_CHILDREN, or it has just ended
            continue
    return NsPid(0)


# Whether it is one that a job's init has adopted, or below one.
def _adopted(ev: ProcessEvidence) -> bool:
    while ev.parent is not None:
        ev = next(p for p in ev.tree.processes if p.id == ev.parent)
    return ev is not ev.tree.processes[0]


def dump(ev: ProcessEvidence) -> Process | Generator[Program, Answers, Process]:
    """The place of the process in the tree."""
    children = [p for p in ev.tree.processes if p.parent == ev.id and not p.zombie] if len(ev.tree.processes) > 1 else []
    return _asked(_seen(ev), children) if children else _seen(ev)


def _asked(rec: Process, children: list[ProcessEvidence]) -> Generator[Program, Answers, Process]:
    told = set()
    for some in in_turn(children):
        program, outs = Program(), [Out(128) for _ in some]
        for child, out in zip(some, outs, strict=True):
            program.call("waitid", P_PID, int(child.nspid), out, WNOHANG | WCONTINUED | WNOWAIT | WALL, 0, check=ANY)  # no child any more
        answers = yield program
        told |= {c.nspid for c, out in zip(some, outs, strict=True) if int.from_bytes(answers.data(out)[16:20], "little") == int(c.nspid)}
    return rec.replace(continued=tuple(sorted(told)))


def _seen(ev: ProcessEvidence) -> Process:
    session, group = _ids(ev)
    adopted = _adopted(ev)  # then a session without leader is made again, and in it a group; 0 is one outside the job
    stat = ev.stat
    stop = 0
    if not ev.zombie and ev.leader.stopped is not None and ev.leader.stopped.group_stop:
        stop = ev.leader.stopped.group_stop
    return Process(
        ev.nspid,
        ev.parent,
        tuple(NsPid(t.nstid) for t in ev.threads) if not ev.zombie else (ev.nspid,),
        NsPid(session if adopted or session in ev.tree.by_nspid else 0),
        NsPid(group if adopted or group in ev.tree.by_nspid or session in ev.tree.by_nspid else 0),
        stat.exit_signal,
        ev.zombie,
        stat.exit_code if ev.zombie else 0,
        stop,
        not stop or not stat.exit_code,  # fs/proc/array.c do_task_stat: of a stop, what wait_task_stopped has not taken
        stat.comm if ev.zombie else b"",
        _maker(ev),
    )


def restore(rec: Process, steps: Steps) -> None:
    """Nothing to emit: the engine makes the tree from these records before anything else."""


def compare(before: Process, after: Process, where: ObjectId) -> Iterator[Difference]:
    """Every field; the first process's parent is the restorer, and its exit signal is what its parent asked for."""
    for name, value in before.items():
        now = getattr(after, name)
        if name == "threads":
            value, now = tuple(sorted(value)), tuple(sorted(now))
        if name == "exit_status" and (value ^ now) == 0x80:
            continue  # the core flag of a zombie
        if name == "stop_signal" and value and now == 19:
            continue  # its group is orphaned
        if value != now and not (before.parent is None and name == "exit_signal"):
            yield Difference("task.process", where, name, value, now)


KIND: Any = Kind(
    "task.process",
    record=Process,
    subject="process",
    watches=(
        Struct("task_struct"),
        Struct("signal_struct"),
        Struct("pid"),
        StatusKey("NStgid"),
        StatusKey("NSpid"),
        StatusKey("NSsid"),
        StatusKey("NSpgid"),
    ),
    verbs=verbs(__name__),
)
