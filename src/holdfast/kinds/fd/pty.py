"""fd.pty: a pseudo terminal whose master is in the tree, and its open slaves, by their own name or as /dev/tty.

Carries:  number, settings (termios), window size, lock, packet mode, exclusive mode, owner and mode of the slave, whether the slave
          has been closed; flags of each end.
Loses:    in line mode, what was typed of a line that is not finished (told as a loss). Data, an end of file (^D) or a packet mode
          event that waits on either side is refused; so is output that is stopped by ^S or tcflow(3), where live kernel structs may
          be read, and is lost where not. A number above 12 comes back only if it is the lowest free one. /dev/tty is refused where its
          first holder is not controlled by that terminal any more.
Sources:  pty(7), ioctl_tty(2), ptmx(4), Linux drivers/tty/pty.c, drivers/tty/n_tty.c.
"""

from __future__ import annotations

from holdfast.kinds import files, terminals
from holdfast.kinds.contract import Claim, FdinfoKey, Kind, Loss, Refusal, Struct, compare_fields, verbs
from holdfast.kinds.terminals import Settings  # noqa: TC001 - a field's type is looked up here
from holdfast.model.record import Record, field
from holdfast.prog.call import Out, Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.kinds.contract import Difference, Entry, Host, Part, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Arg, Call

TIOCGPTN, TIOCSPTLCK, TIOCGPTLCK = 0x80045430, 0x40045431, 0x80045439
TIOCPKT, TIOCGPKT, TIOCEXCL, TIOCGEXCL = 0x5420, 0x80045438, 0x540C, 0x80045440
TIOCGWINSZ, TIOCSWINSZ, FIONREAD, TIOCGPTPEER, TIOCGETD = 0x5413, 0x5414, 0x541B, 0x5441, 0x5424
F_GETFD, F_DUPFD_CLOEXEC = 1, 1030
# numbers that are free in a task until its descriptors are put in place: the engine uses none below 16
LOW, HIGH, ASIDE = 3, 15, 64


class Pty(Record):
    """One end of a pseudo terminal; what is of the terminal itself stands with its master only."""

    number: int
    end: str  # master, slave
    path: bytes
    flags: tuple[str, ...]
    settings: Settings | None = field(default=None)
    rows: int = 0
    columns: int = 0
    width: int = field(default=0, unit="pixels")
    height: int = field(default=0, unit="pixels")
    locked: bool = False  # TIOCSPTLCK: the slave cannot be opened
    packets: bool = False  # TIOCPKT
    exclusive: bool = False  # TIOCEXCL, of this end: every open file of a slave says so
    slave_closed: bool = False  # nobody has the slave open any more
    uid: int = 0
    gid: int = 0
    mode: int = 0


WATCHES = (Struct("tty_struct"), Struct("n_tty_data"), Struct("ktermios"), FdinfoKey("tty-index"))


def detect(ev: FileEvidence) -> Claim | None:
    which = terminals.end(ev)
    if which is None:
        return Claim(files.shown(ev.link)) if terminals.is_tty(ev) else None
    if terminals.outside(ev) and ev.tree.options.shell_job:
        return None
    return Claim(f"{files.shown(ev.link)} {which[1]}")


def _slave_path(index: int) -> bytes:
    return b"/dev/pts/%d" % index


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.pty")
    yield from files.lost_name(ev, "fd.pty")
    which = terminals.end(ev)
    who = files.who(ev)
    if which is None:
        yield Refusal(
            "fd.pty.controlling",
            f"{who} is {files.shown(ev.link)}, opened when a terminal controlled it that is gone or no pseudo terminal",
            ev.where,
            "only pseudo terminals can be made again; tty(4)",
            "close it, or run the program in a pseudo terminal whose master is in the tree",
        )
        return
    if terminals.outside(ev):
        yield Refusal(
            "fd.pty.outside",
            f"{who} is the terminal {files.shown(ev.link)}, whose master is not in the tree",
            ev.where,
            "whoever shows that terminal would be left with one that nobody uses; pty(7)",
            "redirect it, dump the tree that holds the master, or use --shell-job to take the restorer's terminal",
        )
        return
    if terminals.is_tty(ev) and terminals.device(ev.process.stat.tty_nr) != (terminals.SLAVE_MAJOR, which[1]):
        yield Refusal(
            "fd.pty.controlling",
            f"{who} is {files.shown(ev.link)}, opened when it was controlled by /dev/pts/{which[1]}, which it is no more",
            ev.where,
            "/dev/tty leads to the terminal of whoever opens it; tty(4)",
            "close it, or open the terminal by its own name",
        )
    discipline = ev.borrowed.ioctl_int(TIOCGETD)
    if discipline:
        yield Refusal(
            "fd.pty.discipline",
            f"{who} has line discipline {discipline}",
            ev.where,
            "only N_TTY is carried; ioctl_tty(2) TIOCSETD",
            "set N_TTY again and retry",
        )
        return
    # First, because it brings in what is on its way from the other side (Linux drivers/tty/n_tty.c n_tty_poll), the slaves' before the
    # master's, which may be an echo. It alone sees an end of file, or an event of packet mode.
    for slave in terminals.pair(ev, which[1])[1] if which[0] == "master" else ():
        slave.borrowed.poll(files.POLLIN)
    events = ev.borrowed.poll(files.POLLIN)
    waiting = ev.borrowed.ioctl_int(FIONREAD)
    if waiting or (events & files.POLLIN and not events & files.POLLERR):
        yield Refusal(
            "fd.pty.pending",
            f"{who} has {f'{waiting} bytes' if waiting else 'an end of file or a packet mode event'} waiting to be read",
            ev.where,
            "data that waits in a terminal cannot be looked at without taking it; drivers/tty/n_tty.c",
            "let the program read it, and retry",
        )
    if which[0] != "master":
        return
    if ev.flags & files.ACCESS != files.RDWR:
        yield Refusal(
            "fd.pty.access",
            f"{who} is a master that is open for reading or writing only",
            ev.where,
            "a master is opened again until it has its number, and only one for both is what programs use; ptmx(4)",
            "open it with O_RDWR",
        )
    raw = ev.borrowed.ioctl_bytes(terminals.TCGETS2, bytes(44))
    try:
        found = terminals.settings(raw)
    except ValueError as e:
        yield Refusal(
            "fd.pty.settings",
            f"{who} has settings that Holdfast does not know: {e}",
            ev.where,
            "ioctl_tty(2) TCGETS2",
            "see `holdfast drift`",
        )
        return
    if found.discipline:
        yield Refusal(
            "fd.pty.discipline",
            f"{who} has line discipline {found.discipline}",
            ev.where,
            "only N_TTY is carried; ioctl_tty(2) TIOCSETD",
            "set N_TTY again and retry",
        )
    if "ICANON" in found.local:
        yield Loss(
            "fd.pty", ev.id, "what was typed of an unfinished line is lost", "in line mode the kernel shows only finished lines; FIONREAD"
        )
    if files.tree_stat(ev.process, _slave_path(which[1])) is None:
        yield Refusal(
            "fd.pty.path",
            f"{who}: there is no {files.shown(_slave_path(which[1]))}",
            ev.where,
            "it is of another devpts mount",
            "open it below /dev/pts",
        )


def dump(ev: FileEvidence) -> Pty:
    which = terminals.end(ev)
    assert which is not None
    sort, index = which
    b = ev.borrowed
    if sort == "slave":
        return Pty(index, sort, ev.link, files.names(ev.flags), exclusive=b.ioctl_int(TIOCGEXCL) != 0)
    size = b.ioctl_bytes(TIOCGWINSZ, bytes(8))
    rows, columns, width, height = (int.from_bytes(size[i : i + 2], "little") for i in (0, 2, 4, 6))
    st = files.tree_stat(ev.process, _slave_path(index))
    assert st is not None
    uid, gid = files.owner(ev.process, st)
    return Pty(
        index,
        sort,
        ev.link,
        files.names(ev.flags),
        terminals.settings(b.ioctl_bytes(terminals.TCGETS2, bytes(44))),
        rows,
        columns,
        width,
        height,
        b.ioctl_int(TIOCGPTLCK) != 0,
        b.ioctl_int(TIOCGPKT) != 0,
        b.ioctl_int(TIOCGEXCL) != 0,
        bool(b.poll(0) & files.POLLHUP),
        uid,
        gid,
        st.st_mode & 0o7777,
    )


def ready(rec: Pty, host: Host) -> Iterator[Refusal]:
    path = _slave_path(rec.number)
    if rec.end == "master" and host.stat(path) is not None:
        yield Refusal(
            "fd.pty.taken",
            f"{files.shown(path)} is another terminal's now",
            files.shown(path),
            "the tree knows its terminal by that number; a new terminal gets a free one, Linux fs/devpts/inode.c devpts_new_index",
            "close that terminal and retry, or restore on another machine",
        )


# --- restore


def restore(rec: Pty, steps: Steps) -> None:
    masters = sorted((m for m in steps.mates if m.record.end == "master"), key=lambda m: int(m.record.number))

    # at the birth of the first process: a session's leader takes its terminal before it makes the others (task.controlling_terminal)
    def part() -> Part:
        return steps.part(task=steps.processes()[0], needs=("born", "paths", "caps"), birth=True, patient=True)

    low = [m for m in masters if m.record.number <= HIGH - LOW]
    if low:
        _open_by_number(part(), low)
    for m in masters[len(low) :]:
        high = part()
        high.call("close_range", LOW, HIGH, 0)
        fd = files.open_again(high, m.record.path, files.RDWR | terminals.O_NOCTTY)
        out, scale = Out(8), high.call("memfd_create", b"pty\0", 1)
        high.call("ioctl", fd, TIOCGPTN, out)
        high.call("lseek", scale, Word(out), files.SEEK_SET, check=m.record.number)  # else a lower number is free, or this one is not
        high.call("close", scale)
        _settle(high, fd, m)
        high.opened(fd, m.id)
    of = {m.record.number: m.id for m in masters}
    for mate in steps.mates:
        if mate.record.end == "slave":
            # in a holder: /dev/tty leads to the terminal of whoever opens it
            holder = steps.holders(mate.id)[0][0]
            again = steps.part(task=holder, needs=("born", "paths", "caps", of[mate.record.number]))
            flags = files.bits(mate.record.flags) & ~files.ASYNC | terminals.O_NOCTTY
            if flags & files.LARGEFILE:
                fd = files.open_again(again, mate.record.path, flags)
            else:  # the kernel sets O_LARGEFILE in every open: this one was opened through its master, as openpty(3) does
                fd = again.call("ioctl", again.slot(of[mate.record.number]), TIOCGPTPEER, flags)  # O_CLOEXEC would stay with the file
            again.opened(fd, mate.id)
    for mate in steps.mates:
        if mate.record.end == "slave" and mate.record.exclusive:
            # when every slave of it is open
            holder, number = steps.holders(mate.id)[0]
            same = [m for m in steps.mates if m.record.end == "slave" and m.record.number == mate.record.number]
            open_everywhere = {steps.key("fds", p) for m in same for p, _ in steps.holders(m.id)}
            late = steps.part(task=holder, needs=("mm", *sorted(open_everywhere)))
            late.call("ioctl", number, TIOCEXCL, 0)


def _open_by_number(part: Part, masters: Sequence[Entry]) -> None:
    # A master gets the lowest free number, so one of the first N+1 has number N, if that is free. Each is put at descriptor LOW + its
    # number; the sum is made by a seek. Then those that are wanted stand at known descriptors, and the others go.
    # A number is free when the last process that the terminal controlled was waited for (release_one_tty), so it may have to be done again.
    part.call("close_range", LOW, HIGH, 0)
    scale = _aside(part, part.call("memfd_create", b"pty\0", 1))
    for _ in range(masters[-1].record.number + 1):
        out = Out(8)
        fd = _aside(part, files.open_again(part, masters[0].record.path, files.RDWR | terminals.O_NOCTTY))
        part.call("ioctl", fd, TIOCGPTN, out)
        part.call("lseek", scale, LOW, files.SEEK_SET, check=LOW)
        place = part.call("lseek", scale, Word(out), 1)  # SEEK_CUR
        part.call("dup3", fd, place, files.CLOEXEC, check="any")  # a number far above all that are wanted may have no room
        part.call("close", fd)
    part.call("close", scale)
    for m in masters:
        part.call("fcntl", LOW + m.record.number, F_GETFD)
    for m in masters:
        fd = LOW + m.record.number
        _settle(part, fd, m)
        part.opened(fd, m.id)
    part.call("close_range", LOW, HIGH, 0)


def _aside(part: Part, fd: Call) -> Call:
    moved = part.call("fcntl", fd, F_DUPFD_CLOEXEC, ASIDE)
    part.call("close", fd)
    return moved


def _settle(part: Part, fd: Arg, m: Entry) -> None:
    rec = m.record
    path = _slave_path(rec.number) + b"\0"
    part.call("fchownat", files.AT_FDCWD, path, rec.uid, rec.gid, 0x100)  # AT_SYMLINK_NOFOLLOW
    part.call("chmod", path, rec.mode)
    part.call("ioctl", fd, terminals.TCSETS2, terminals.termios2(rec.settings))
    if rec.rows or rec.columns or rec.width or rec.height:
        size = b"".join(n.to_bytes(2, "little") for n in (rec.rows, rec.columns, rec.width, rec.height))
        part.call("ioctl", fd, TIOCSWINSZ, size)
    if rec.packets:
        part.call("ioctl", fd, TIOCPKT, (1).to_bytes(4, "little"))
    part.call("ioctl", fd, TIOCSPTLCK, bytes(4))
    if rec.slave_closed:
        part.call("close", files.open_again(part, path[:-1], files.RDWR | terminals.O_NOCTTY))
    if rec.locked:
        part.call("ioctl", fd, TIOCSPTLCK, (1).to_bytes(4, "little"))
    if rec.exclusive:
        part.call("ioctl", fd, TIOCEXCL, 0)
    part.call("fcntl", fd, files.F_SETFL, files.bits(rec.flags) & files.SETTABLE)


def compare(before: Pty, after: Pty, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.pty", where, before, after)


KIND = Kind("fd.pty", record=Pty, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__), group=lambda rec: "pty")
