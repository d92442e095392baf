"""fd.pipe: a pipe: any number of open files on its two ends, and the data in it.

Carries:  which open files belong together, capacity, data, packets (O_DIRECT), owner and mode, flags of each end.
Loses:    inode number and times; how the data lies in the pipe's pages, so that a little more may fit; whether a last single byte is a
          packet, where the pipe's mode was changed since; that splice(2) put a page there that is still a file's or a mapping's, which
          a dump refuses where live kernel structs may be read; a second holder outside the tree of an end that the tree holds too,
          which loses the pipe.
Sources:  pipe(2), pipe(7), tee(2), Linux fs/pipe.c.
"""

from __future__ import annotations

from errno import ENODEV, ENOTTY

from holdfast.kinds import files
from holdfast.kinds.contract import Claim, Kind, Link, Refusal, Struct, compare_fields, verbs
from holdfast.model.record import Record
from holdfast.prog.call import Out, Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Entry, Part, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Arg

F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
FIONREAD, IOC_WATCH_QUEUE_SET_SIZE = 0x541B, 0x5760


class Pipe(Record):
    """One open file of a pipe; what is of the pipe itself stands with its first file only."""

    pipe: ObjectId  # the pipe's first open file
    flags: tuple[str, ...]
    capacity: int = 0  # bytes
    data: tuple[bytes, ...] = ()  # in reading order: one entry, or one for each packet
    packets: bool = False  # each entry of data is a packet
    uid: int = 0
    gid: int = 0
    mode: int = 0o600
    rest: bool = False  # the last entry of packets is none


LINK = b"pipe:["
WATCHES = (Struct("pipe_inode_info"), Struct("pipe_buffer"), Struct("file"), Link("pipe:["))


def detect(ev: FileEvidence) -> Claim | None:
    if not ev.link.startswith(LINK) or ev.flags & files.PATH or files.inherited(ev):
        return None
    return Claim(ev.link.decode())


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.pipe")
    if files.first_id(ev) != ev.id:
        return
    if files.leads_out(ev):
        yield Refusal(
            "fd.pipe.outside",
            f"{files.who(ev)} is a pipe whose other end is held outside the tree",
            ev.where,
            "the other end would be a pipe that nobody writes or reads; fs/pipe.c pipe_poll shows that somebody holds it",
            "dump the tree that holds both ends, redirect it to a file, or, for descriptors 0 to 2, use --external-stdio",
        )
    try:
        ev.borrowed.ioctl(IOC_WATCH_QUEUE_SET_SIZE, 0)  # a size of 0 is never good: no watch queue says ENODEV, others EINVAL or EBUSY
    except OSError as e:
        watching = e.errno not in (ENODEV, ENOTTY)
    else:
        watching = True
    if watching:
        yield Refusal(
            "fd.pipe.notification",
            f"{files.who(ev)} is a notification pipe",
            ev.where,
            "what it watches cannot be read back; Documentation/core-api/watch_queue.rst",
            "close it and retry",
        )
    mates = files.ends(ev)
    if all(f.flags & files.LARGEFILE for f in mates):
        yield Refusal(
            "fd.pipe.reopened",
            f"{files.who(ev)} is a pipe whose first two open files are closed; others were opened through /proc/PID/fd",
            ev.where,
            "such a file can only be opened while one of the first two is open",
            "keep one of them open",
        )
    if not any(files.readable(f) for f in mates) and ev.borrowed.ioctl_int(FIONREAD):
        yield Refusal(
            "fd.pipe.unread",
            f"{files.who(ev)} is a pipe with data in it whose reading end is closed",
            ev.where,
            "such data can only be read by a new reader, opened through /proc/PID/fd, and opening one would change the pipe",
            "close it, or keep the reading end open",
        )
    yield from files.mixed(ev, "fd.pipe")
    if -1 in files.owner(ev.process, ev.stat):
        yield Refusal(
            "fd.pipe.owner",
            f"{files.who(ev)} belongs to user {ev.stat.st_uid}, group {ev.stat.st_gid}, which its user namespace does not know",
            ev.where,
            "user_namespaces(7)",
            "dump it from the user namespace that made it",
        )


def dump(ev: FileEvidence) -> Pipe:
    first = files.first_id(ev)
    if first != ev.id:
        return Pipe(first, files.names(ev.flags))
    data, packets, rest = files.waiting(ev)
    uid, gid = files.owner(ev.process, ev.stat)
    size = int(ev.borrowed.fcntl(F_GETPIPE_SZ))
    return Pipe(first, files.names(ev.flags), size, data, packets, uid, gid, ev.stat.st_mode & 0o7777, rest)


def restore(rec: Pipe, steps: Steps) -> None:
    rec = next(mate.record for mate in steps.mates if mate.id == rec.pipe)
    part = steps.part(needs=("born", "caps"))
    pair = Out(16)
    part.call("pipe2", pair, files.NONBLOCK | (files.DIRECT if rec.packets else 0), check=0)
    reader, writer = Word(pair, 0), Word(pair, 4)
    part.call("fcntl", writer, F_SETPIPE_SZ, rec.capacity, check=rec.capacity)
    for n, data in enumerate(rec.data, 1):
        if rec.rest and n == len(rec.data):
            part.call("fcntl", writer, files.F_SETFL, files.NONBLOCK)
        part.call("write", writer, data, len(data), check=len(data))
    files.set_owner(part, reader, rec.uid, rec.gid, rec.mode)
    _open(rec, steps, part, reader, writer)


def _open(rec: Pipe, steps: Steps, part: Part, reader: Arg, writer: Arg) -> None:
    # pipe2 made one file on each end; the kernel sets O_LARGEFILE on every other, for those can only be opened by openat
    given: list[Entry] = []
    later: list[Entry] = []
    for mate in steps.mates:
        flags = files.bits(mate.record.flags)
        if flags & files.LARGEFILE:
            later.append(mate)
            continue
        end = writer if flags & files.WRONLY else reader
        part.call("fcntl", end, files.F_SETFL, flags & files.SETTABLE)
        part.opened(end, mate.id)
        given.append(mate)
    writes = [bool(files.bits(mate.record.flags) & files.WRONLY) for mate in given]
    if True not in writes:
        part.call("close", writer)
    if False not in writes:
        part.call("close", reader)
    for mate in later:
        again = steps.part(needs=("born", given[0].id))
        # O_NONBLOCK, or an end that finds nobody at the other would wait for it; O_DIRECT a pipe takes only from F_SETFL
        flags = files.bits(mate.record.flags) & ~(files.ASYNC | files.DIRECT) | files.NONBLOCK
        fd = files.reopen(again, again.slot(given[0].id), flags)
        files.set_flags(again, fd, mate.record.flags, made=flags)
        again.opened(fd, mate.id)


def compare(before: Pipe, after: Pipe, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.pipe", where, before, after)


KIND = Kind("fd.pipe", record=Pipe, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__), group=lambda rec: rec.pipe)
