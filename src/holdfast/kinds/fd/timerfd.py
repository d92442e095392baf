"""fd.timerfd: a timer behind a descriptor.

Carries:  clock, what is left or, for a timer set to a point in time, that point; interval, expirations not yet read, settings, flags.
Loses:    the point in time to within the time that reading two clocks takes. A timer set to a point in time goes by the clock that the
          restored process sees. That nobody has asked for the expirations of a periodic timer yet, so that /proc/PID/fdinfo counts only
          the first: a read gives the same.
Sources:  timerfd_create(2), proc_pid_fdinfo(5), Linux fs/timerfd.c.
"""

from __future__ import annotations

from holdfast.kernel.procfs import fdinfo
from holdfast.kinds import files
from holdfast.kinds.contract import Claim, FdinfoKey, Kind, Link, Refusal, Struct, compare_fields, verbs
from holdfast.model.difference import Difference
from holdfast.model.record import Record
from holdfast.prog.call import Out, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Answers

CLOCKS = {0: "CLOCK_REALTIME", 1: "CLOCK_MONOTONIC", 7: "CLOCK_BOOTTIME", 8: "CLOCK_REALTIME_ALARM", 9: "CLOCK_BOOTTIME_ALARM"}
NUMBERS = {name: number for number, name in CLOCKS.items()}
ABSTIME, CANCEL_ON_SET = 1, 2
TFD_IOC_SET_TICKS = 0x40085400
NSEC = 1_000_000_000
APART_NS = NSEC  # how far a point in time may be off: the two clock readings have a scheduler between them


class Timerfd(Record):
    """A timer; one of `left_ns` and `expires_ns` is 0, both are where it is not armed."""

    clock: str
    left_ns: int
    expires_ns: int  # on its clock
    interval_ns: int
    ticks: int  # expirations not yet read
    absolute: bool = False  # TFD_TIMER_ABSTIME
    cancel_on_set: bool = False  # TFD_TIMER_CANCEL_ON_SET
    flags: tuple[str, ...] = ()


LINK = b"anon_inode:[timerfd]"
WATCHES = (
    Struct("timerfd_ctx"),
    Link("anon_inode:[timerfd]"),
    FdinfoKey("clockid"),
    FdinfoKey("ticks"),
    FdinfoKey("settime flags"),
    FdinfoKey("it_value"),
    FdinfoKey("it_interval"),
)


def detect(ev: FileEvidence) -> Claim | None:
    return Claim() if ev.link == LINK else None


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.timerfd")
    seen = fdinfo.timerfd(ev.info)
    if seen.clockid not in CLOCKS or seen.settime_flags & ~(ABSTIME | CANCEL_ON_SET):
        yield Refusal(
            "fd.timerfd.unknown",
            f"{files.who(ev)} is a timer of clock {seen.clockid} with settings {seen.settime_flags:#o}, which Holdfast does not know",
            ev.where,
            "timerfd_create(2)",
            "see `holdfast drift`; teach it to kinds/fd/timerfd.py",
        )
    if seen.settime_flags & CANCEL_ON_SET and seen.ticks:
        yield Refusal(
            "fd.timerfd.cancelled",
            f"{files.who(ev)} is a timer that a change of the clock cancels, and it has ticks that were not read",
            ev.where,
            "whether the next read gives ECANCELED cannot be seen; Linux fs/timerfd.c timerfd_canceled",
            "let the process read it and retry",
        )


def dump(ev: FileEvidence) -> Generator[Program, Answers, Timerfd]:
    seen = fdinfo.timerfd(ev.info)
    absolute = bool(seen.settime_flags & ABSTIME)
    expires = 0
    if (absolute and seen.value_ns) or (seen.ticks and seen.interval_ns):
        # A periodic timer that has expired stands still until it is read; timerfd_gettime counts what it missed and starts it again,
        # which no reader can tell, and only then it has a time left. A point in time is the clock plus what is left.
        number, p = seen.clockid if seen.clockid < 8 else (0, 7)[seen.clockid - 8], Program()
        before, left, after = Out(16), Out(32), Out(16)
        p.call("clock_gettime", number, before)
        p.call("timerfd_gettime", int(ev.fd), left)
        p.call("clock_gettime", number, after)
        answers = yield p
        seen = fdinfo.timerfd(fdinfo.parse_fdinfo(ev.process.source.read(f"fdinfo/{int(ev.fd)}")))
        remains = _ns(answers.data(left)[16:])
        if absolute and remains:
            expires = (_ns(answers.data(before)) + _ns(answers.data(after))) // 2 + remains
    return Timerfd(
        CLOCKS[seen.clockid],
        0 if absolute else seen.value_ns,
        expires,
        seen.interval_ns,
        seen.ticks,
        absolute,
        bool(seen.settime_flags & CANCEL_ON_SET),
        files.names(ev.flags),
    )


def _ns(timespec: bytes) -> int:
    return int.from_bytes(timespec[:8], "little", signed=True) * NSEC + int.from_bytes(timespec[8:16], "little")


def restore(rec: Timerfd, steps: Steps) -> None:
    part = steps.part(needs=("born", "caps"))  # CAP_WAKE_ALARM, for the alarm clocks
    flags = files.bits(rec.flags) & files.NONBLOCK
    fd = part.call("timerfd_create", NUMBERS[rec.clock], flags)
    settings = ABSTIME * rec.absolute | CANCEL_ON_SET * rec.cancel_on_set
    when = files.timespec(rec.expires_ns or rec.left_ns)
    if settings or rec.interval_ns or rec.expires_ns or rec.left_ns:
        part.call("timerfd_settime", fd, settings, files.timespec(rec.interval_ns) + when, 0)
    if rec.ticks:
        part.call("ioctl", fd, TFD_IOC_SET_TICKS, rec.ticks.to_bytes(8, "little"))  # CONFIG_CHECKPOINT_RESTORE
    files.set_flags(part, fd, rec.flags, made=flags)
    part.opened(fd)


def compare(before: Timerfd, after: Timerfd, where: ObjectId) -> Iterator[Difference]:
    # it runs: less is left, or it has expired since
    yield from compare_fields("fd.timerfd", where, before, after, ignore=("left_ns", "expires_ns", "ticks"))
    if after.ticks > before.ticks and (before.left_ns or before.expires_ns):
        return
    if after.ticks != before.ticks:
        yield Difference("fd.timerfd", where, "ticks", before.ticks, after.ticks)
    if after.left_ns > before.left_ns or (before.left_ns and not after.left_ns):
        yield Difference("fd.timerfd", where, "left_ns", before.left_ns, after.left_ns)
    if abs(after.expires_ns - before.expires_ns) > APART_NS:
        yield Difference("fd.timerfd", where, "expires_ns", before.expires_ns, after.expires_ns)


KIND = Kind("fd.timerfd", record=Timerfd, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
