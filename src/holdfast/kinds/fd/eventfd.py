"""fd.eventfd: a 64-bit counter behind a descriptor.

Carries:  count, semaphore mode, status flags.
Loses:    the number that fdinfo shows as eventfd-id; sharing with a process outside the tree, which gets a counter of its own.
          Before Linux 6.5 the mode is found by writing and reading, which ends with the same count but wakes those who poll it.
Sources:  eventfd(2), proc_pid_fdinfo(5), Linux fs/eventfd.c.
"""

from __future__ import annotations

from holdfast.kernel.procfs import fdinfo
from holdfast.kinds import files
from holdfast.kinds.contract import Claim, FdinfoKey, Kind, Link, Struct, compare_fields, verbs
from holdfast.model.record import Record
from holdfast.prog.call import ANY, Out, Program
from holdfast.prog.call import Struct as Pointers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Answers

EFD_SEMAPHORE = 1
RWF_NOWAIT = 8


class Eventfd(Record):
    """An eventfd."""

    count: int  # wake-ups, 0 .. 2**64-2
    semaphore: bool = False  # a read takes 1, not all
    flags: tuple[str, ...] = ()


LINK = b"anon_inode:[eventfd]"
WATCHES = (
    Struct("eventfd_ctx"),
    Link("anon_inode:[eventfd]"),
    FdinfoKey("eventfd-count"),
    FdinfoKey("eventfd-id"),
    FdinfoKey("eventfd-semaphore"),
)


def detect(ev: FileEvidence) -> Claim | None:
    return Claim() if ev.link == LINK else None


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.eventfd")


def dump(ev: FileEvidence) -> Generator[Program, Answers, Eventfd]:
    seen = fdinfo.eventfd(ev.info)
    semaphore = seen.semaphore
    if semaphore is None:
        program, first = _ask(int(ev.fd), seen.count)
        answers = yield program
        semaphore = int.from_bytes(answers.data(first), "little") == 1
    return Eventfd(seen.count, semaphore, files.names(ev.flags))


def _ask(fd: int, count: int) -> tuple[Program, Out]:
    # A read of a count of at least 2 tells: it gives 1 from a semaphore, else all. Whatever it gave is written back, or, where
    # the count had to be raised to 2 first, a second read takes the rest: either way the program ends with the same count.
    p = Program()
    first, rest = Out(8), Out(8)
    if count >= 2:
        p.call("read", fd, first, 8, check=8)
        p.call("write", fd, first, 8, check=8)
        return p, first
    p.call("write", fd, (2 - count).to_bytes(8, "little"), 8, check=8)
    p.call("read", fd, first, 8, check=8)
    # EAGAIN where the first read has taken all; RWF_NOWAIT: Linux 5.7 (12aceb89b0bc, "eventfd: convert to f_op->read_iter()")
    p.call("preadv2", fd, Pointers(rest, (8).to_bytes(8, "little")), 1, -1, 0, RWF_NOWAIT, check=ANY)
    if count:
        p.call("write", fd, count.to_bytes(8, "little"), 8, check=8)
    return p, first


def restore(rec: Eventfd, steps: Steps) -> None:
    part = steps.part(needs=("born",))
    small = min(rec.count, (1 << 32) - 1)  # eventfd2 takes an unsigned int
    flags = files.bits(rec.flags) & files.NONBLOCK
    fd = part.call("eventfd2", small, flags | (EFD_SEMAPHORE if rec.semaphore else 0))
    if rec.count > small:
        part.call("write", fd, (rec.count - small).to_bytes(8, "little"), 8, check=8)
    files.set_flags(part, fd, rec.flags, made=flags)
    part.opened(fd)


def compare(before: Eventfd, after: Eventfd, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.eventfd", where, before, after)


KIND = Kind("fd.eventfd", record=Eventfd, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
