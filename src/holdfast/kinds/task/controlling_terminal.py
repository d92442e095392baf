"""task.controlling_terminal: the terminal that a session is controlled from, and the process group in its foreground.

Carries:  for a session of one process, its pseudo terminal, where its master is in the tree; the foreground group.
Loses:    nothing of its own; a session of several processes is refused. A session outside the tree is the restorer's, with whatever
          terminal that has (told by task.process).
Sources:  ioctl_tty(2) TIOCSCTTY, TIOCSPGRP, proc_pid_stat(5) tty_nr, tpgid, credentials(7).
"""

from __future__ import annotations

from holdfast.kinds import files, terminals
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, compare_fields, verbs
from holdfast.model.ids import NsPid
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import ProcessEvidence
    from holdfast.model.ids import ObjectId

TIOCSCTTY, TIOCSPGRP = 0x540E, 0x5410


class ControllingTerminal(Record):
    """What controls the session that a process leads."""

    terminal: ObjectId  # an open file of it, its master
    path: bytes
    foreground: NsPid  # a process group; 0: none, or one that has no process


def _device(tty_nr: int) -> tuple[int, int]:
    # Linux include/linux/kdev_t.h new_encode_dev
    return tty_nr >> 8 & 0xFFF, (tty_nr & 0xFF) | (tty_nr >> 12 & 0xFFF00)


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
    major, index = _device(ev.stat.tty_nr)
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
    others = [p for p in ev.tree.processes if p is not ev and p.stat.session == ev.stat.session and p.stat.tty_nr and not p.zombie]
    if others:
        yield Refusal(
            "task.controlling_terminal.members",
            f"pid {int(ev.pid)} ({comm}) leads a session with a controlling terminal and {len(others)} further processes, "
            f"such as pid {int(others[0].pid)}",
            where,
            "only a session's leader can take a terminal, and others have it from the moment they are born; they are born before terminals "
            "are made again. Linux drivers/tty/tty_jobctrl.c tiocsctty",
            "end the jobs of that session, or start them by setsid(1)",
        )
    if ev.stat.tpgid > 0 and not _group(ev, ev.stat.tpgid):
        yield Refusal(
            "task.controlling_terminal.foreground",
            f"pid {int(ev.pid)} ({comm}) leads a session whose foreground process group {ev.stat.tpgid} has no process in the tree",
            where,
            "ioctl_tty(2) TIOCSPGRP",
            "bring a process group of the tree to the foreground",
        )


def dump(ev: ProcessEvidence) -> ControllingTerminal:
    _, index = _device(ev.stat.tty_nr)
    master = terminals.ends(ev.tree)[index][0][0]
    return ControllingTerminal(master.id, b"/dev/pts/%d" % index, NsPid(_group(ev, ev.stat.tpgid)))


def restore(rec: ControllingTerminal, steps: Steps) -> None:
    part = steps.part(needs=("born", "paths", "caps", rec.terminal))
    fd = files.open_again(part, rec.path, files.RDWR | terminals.O_NOCTTY)
    part.call("ioctl", fd, TIOCSCTTY, 0)
    if rec.foreground:
        # from the background this would stop us with SIGTTOU, were it not blocked while a program runs
        part.call("ioctl", fd, TIOCSPGRP, int(rec.foreground).to_bytes(4, "little"))
    part.call("close", fd)


def compare(before: ControllingTerminal, after: ControllingTerminal, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("task.controlling_terminal", where, before, after)


KIND = Kind(
    "task.controlling_terminal",
    record=ControllingTerminal,
    subject="process",
    watches=(Struct("signal_struct"), Struct("tty_struct")),
    verbs=verbs(__name__),
)
