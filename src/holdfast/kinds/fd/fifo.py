"""fd.fifo: a named pipe that is open.

Carries:  path, capacity, data, packets, flags of each open file; whether a reader has seen a writer come and go.
Loses:    how the data lies in the pipe's pages; whether a last single byte is a packet, where the pipe's mode was changed since. A
          restore fails where somebody has put data into the same pipe meanwhile.
Sources:  fifo(7), pipe(7), Linux fs/pipe.c fifo_open, pipe_poll.
"""

from __future__ import annotations

from errno import EAGAIN
from stat import S_ISFIFO

from holdfast.kinds import files
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, compare_fields, verbs
from holdfast.model.record import Record
from holdfast.prog.call import Out, Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Host, Part, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Call

F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
FIONREAD = 0x541B
SPLICE_F_NONBLOCK = 2


class Fifo(Record):
    """One open file of a named pipe; what is of the pipe itself stands with its first file only."""

    fifo: ObjectId  # the pipe's first open file
    path: bytes
    flags: tuple[str, ...]
    untouched: bool = False  # nobody has opened it for writing since this reader opened it: no hang-up shows
    capacity: int = 0  # bytes
    data: tuple[bytes, ...] = ()  # in reading order: one entry, or one for each packet
    packets: bool = False  # each entry of data is a packet
    rest: bool = False  # the last entry of packets is none


WATCHES = (Struct("pipe_inode_info"), Struct("pipe_buffer"), Struct("file"))


def detect(ev: FileEvidence) -> Claim | None:
    if ev.link[:1] != b"/" or ev.flags & files.PATH or not S_ISFIFO(ev.stat.st_mode):
        return None
    return Claim(files.shown(ev.link))


def _untouched(ev: FileEvidence) -> bool:
    return files.readable(ev) and not ev.borrowed.poll(0) & files.POLLHUP and ev.borrowed.writerless()


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.fifo")
    yield from files.lost_name(ev, "fd.fifo")
    if files.first_id(ev) != ev.id:
        return
    if files.leads_out(ev) and not _untouched(ev):
        yield Refusal(
            "fd.fifo.outside",
            f"{files.who(ev)}: {files.shown(ev.link)} is a named pipe whose other end is open outside the tree",
            ev.where,
            "whoever has it open would see the tree hang up; fifo(7)",
            "dump the tree that holds both ends, or close the other end and retry",
        )
    yield from files.mixed(ev, "fd.fifo")
    if not any(files.readable(f) for f in files.ends(ev)) and ev.borrowed.ioctl_int(FIONREAD):
        yield Refusal(
            "fd.fifo.unread",
            f"{files.who(ev)}: {files.shown(ev.link)} holds data that nobody has open for reading",
            ev.where,
            "only a reader can copy it; tee(2)",
            "let a reader open it, and retry",
        )


def dump(ev: FileEvidence) -> Fifo:
    first = files.first_id(ev)
    flags = files.names(ev.flags)
    if first != ev.id:
        return Fifo(first, ev.link, flags, _untouched(ev))
    data, packets, rest = files.waiting(ev)
    return Fifo(first, ev.link, flags, _untouched(ev), int(ev.borrowed.fcntl(F_GETPIPE_SZ)), data, packets, rest)


def ready(rec: Fifo, host: Host) -> Iterator[Refusal]:
    st = host.stat(rec.path)
    if st is None or not S_ISFIFO(st.st_mode):
        path = files.shown(rec.path)
        what = "not there" if st is None else "not a named pipe"
        yield Refusal(
            "fd.fifo.missing", f"{path}, which was open, is {what}", path, "files are not part of an image", "make it again (mkfifo(1))"
        )


def restore(rec: Fifo, steps: Steps) -> None:
    first = next(mate.record for mate in steps.mates if mate.id == rec.fifo)
    part = steps.part(needs=("born", "paths", "caps"))
    # An end that finds nobody at the other waits or fails, so the pipe is first opened for both, which POSIX leaves open and Linux
    # allows. That is a writer, which an untouched reader must not see.
    rest = []
    for mate in steps.mates:
        if not mate.record.untouched:
            rest.append(mate)
            continue
        fd = _end(part, mate.record)
        if mate.id == rec.fifo:
            part.call("fcntl", fd, F_SETPIPE_SZ, first.capacity, check=first.capacity)
        part.opened(fd, mate.id)
    if not rest:
        return
    both = files.open_again(part, first.path, files.RDWR | files.NONBLOCK)
    part.call("fcntl", both, F_SETPIPE_SZ, first.capacity, check=first.capacity)
    if first.data:
        pair = Out(16)
        part.call("pipe2", pair, 0, check=0)
        part.call("tee", both, Word(pair, 4), 1, SPLICE_F_NONBLOCK, check=-EAGAIN)  # else somebody else's data is in it
        part.call("close", Word(pair, 0))
        part.call("close", Word(pair, 4))
    if first.packets:
        part.call("fcntl", both, files.F_SETFL, files.NONBLOCK | files.DIRECT)
    for n, data in enumerate(first.data, 1):
        if first.rest and n == len(first.data):
            part.call("fcntl", both, files.F_SETFL, files.NONBLOCK)
        part.call("write", both, data, len(data), check=len(data))
    for mate in rest:
        part.opened(_end(part, mate.record), mate.id)
    part.call("close", both)


def _end(part: Part, rec: Fifo) -> Call:
    # an open never waits and never refuses O_DIRECT, which a pipe takes only from F_SETFL (fs/open.c do_dentry_open)
    flags = files.bits(rec.flags) & ~(files.ASYNC | files.DIRECT) | files.NONBLOCK
    fd = files.open_again(part, rec.path, flags)
    files.set_flags(part, fd, rec.flags, made=flags)
    return fd


def compare(before: Fifo, after: Fifo, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.fifo", where, before, after)


KIND = Kind("fd.fifo", record=Fifo, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__), group=lambda rec: rec.fifo)
