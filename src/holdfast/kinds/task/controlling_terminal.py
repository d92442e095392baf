"""task.controlling_terminal: the terminal that a session is controlled from, and the process group in its foreground.

Carries:  a session's pseudo terminal, where its master is in the tree; the foreground group; which processes of the session gave the
          terminal up.
Loses:    nothing of its own. A session outside the tree is the restorer's, with whatever terminal that has (told by task.process).
Sources:  ioctl_tty(2) TIOCSCTTY, TIOCNOTTY, TIOCSPGRP, proc_pid_stat(5) tty_nr, tpgid, credentials(7), Linux drivers/tty/tty_jobctrl.c
          tiocsctty, kernel/fork.c copy_process: only a session's leader can take a terminal, the others have it from their birth.
"""

from __future__ import annotations

from holdfast.kinds import files, terminals
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, compare_fields, verbs
from holdfast.model.ids import NsPid
from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Part, Probes, Steps, Verdict
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Arg

TIOCSCTTY, TIOCSPGRP, TIOCNOTTY = 0x540E, 0x5410, 0x5422


class ControllingTerminal(Record):
    """What controls the session that a process leads."""

    terminal: ObjectId  # an open file of it, its master
    path: bytes
    foreground: NsPid  # a process group
    without: tuple[ObjectId, ...] = field(default=())  # processes of the session that it does not control


def detect(ev: ProcessEvidence) -> Claim | None:
    st = ev.stat
    return Claim() if st.tty_nr and st.session == st.pid and not ev.zombie else None


def _group(ev: ProcessEvidence, pgrp: int) -> int:
    for p in ev.tree.processes:
        if p.stat.pgrp == pgrp:
            inner = p.status.ns_pgids
            return inner[-1] if inner else pgrp
    return 0


def refuse(ev: ProcessEvidence, kernel: Probes) -> Iterator[Verdict]:
    major, index = terminals.device(ev.stat.tty_nr)
    masters = terminals.ends(ev.tree).get(index, ([], []))[0] if major == terminals.SLAVE_MAJOR else []
    comm = ev.stat.comm.decode("utf-8", "backslashreplace")
    where = f"/proc/{int(ev.pid)}/stat"
    if not masters:
        yield Refusal(
            "task.controlling_terminal.outside",
            f"pid {int(ev.pid)} ({comm}) leads a session that terminal {major}:{index} controls, whose master is not in the tree",
            where,
            "a restored session would have no terminal; ioctl_tty(2) TIOCSCTTY",
            "dump the tree that holds the master (the terminal emulator, sshd, tmux), or start the program by setsid(1)",
        )
        return
    if not _group(ev, ev.stat.tpgid):
        yield Refusal(
            "task.controlling_terminal.foreground",
            f"pid {int(ev.pid)} ({comm}) leads a session whose foreground process group {ev.stat.tpgid} has no process in the tree",
            where,
            "ioctl_tty(2) TIOCSPGRP",
            "bring a process group of the tree to the foreground",
        )


def dump(ev: ProcessEvidence) -> ControllingTerminal:
    _, index = terminals.device(ev.stat.tty_nr)
    master = terminals.ends(ev.tree)[index][0][0]
    mates = [p for p in ev.tree.processes if p.stat.session == ev.stat.session and not p.zombie]
    without = tuple(p.id for p in mates if not p.stat.tty_nr)
    return ControllingTerminal(master.id, b"/dev/pts/%d" % index, NsPid(_group(ev, ev.stat.tpgid)), without)


def restore(rec: ControllingTerminal, steps: Steps) -> None:
    def terminal(part: Part, request: int, arg: Arg = 0) -> None:
        fd = files.open_again(part, rec.path, files.RDWR | terminals.O_NOCTTY)
        part.call("ioctl", fd, request, arg)
        part.call("close", fd)

    terminal(steps.part(needs=("born", "paths", "caps", rec.terminal), birth=True), TIOCSCTTY)
    # its groups are there when all are born; from the background this would stop it with SIGTTOU, were that not blocked in programs
    terminal(steps.part(needs=("born", "paths", "caps")), TIOCSPGRP, int(rec.foreground).to_bytes(4, "little"))
    for process in rec.without:
        terminal(steps.part(task=process, needs=("born", "paths", "caps")), TIOCNOTTY)


def compare(before: ControllingTerminal, after: ControllingTerminal, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("task.controlling_terminal", where, before, after)


KIND = Kind(
    "task.controlling_terminal",
    record=ControllingTerminal,
    subject="process",
    watches=(Struct("signal_struct"), Struct("tty_struct")),
    verbs=verbs(__name__),
)
