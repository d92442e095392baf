"""fd.proc: a file of /proc that is open for reading: of a process of the tree, or of the whole system.

Carries:  whose file it is, its name, flags.
Loses:    a change of mounts that was announced to poll and not looked at yet. Only files that keep nothing for a reader are
          claimed, and only one that stands at its beginning: what was read of a text that changes is not to be joined to a later one.
Sources:  proc(5), Linux fs/seq_file.c.
"""

from __future__ import annotations

from stat import S_ISREG

from holdfast.kinds import files
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, compare_fields, verbs
from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId

OF_PROCESS = frozenset(
    b"cgroup cmdline comm environ io limits maps mountinfo mounts mountstats oom_adj oom_score oom_score_adj sched schedstat smaps "
    b"smaps_rollup stat statm status wchan".split()
)
OF_SYSTEM = frozenset(
    b"buddyinfo cmdline cpuinfo devices diskstats filesystems interrupts iomem ioports loadavg meminfo misc modules pagetypeinfo "
    b"partitions slabinfo softirqs stat swaps uptime version vmallocinfo vmstat zoneinfo".split()
)


class Proc(Record):
    """An open file of /proc; without `process` it is of the whole system."""

    name: bytes
    flags: tuple[str, ...]
    process: ObjectId | None = field(default=None)


def _which(ev: FileEvidence) -> tuple[bytes, ObjectId | None] | None:
    parts = ev.link.split(b"/")
    if len(parts) == 3 and parts[2] in OF_SYSTEM:
        return parts[2], None
    if len(parts) == 4 and parts[2].isdigit() and parts[3] in OF_PROCESS:
        # as its own namespace counts: the name is one of the /proc that it has mounted
        owner = ev.tree.by_nspid.get(int(parts[2]))
        return None if owner is None else (parts[3], owner.id)
    return None


def detect(ev: FileEvidence) -> Claim | None:
    if not ev.link.startswith(b"/proc/") or ev.flags & (files.PATH | files.ACCESS) or not S_ISREG(ev.stat.st_mode):
        return None
    if ev.borrowed.filesystem != files.PROC_SUPER_MAGIC or _which(ev) is None:
        return None
    return Claim(files.shown(ev.link))


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.proc")
    yield from files.lost_name(ev, "fd.proc")
    if ev.info.pos:
        yield Refusal(
            "fd.proc.pos",
            f"{files.who(ev)} has read {ev.info.pos} bytes of {files.shown(ev.link)}",
            ev.where,
            "the text is made anew for each reader, and changes; Linux fs/seq_file.c",
            "let the program read it to the end and close or rewind it, and retry",
        )


def dump(ev: FileEvidence) -> Proc:
    which = _which(ev)
    assert which is not None
    return Proc(which[0], files.names(ev.flags), which[1])


def restore(rec: Proc, steps: Steps) -> None:
    needs = {"born", "paths", "caps"}
    path = b"/proc/"
    if rec.process is not None:
        needs.add(steps.key("born", rec.process))
        path += rec.process.partition(":")[2].encode() + b"/"
    part = steps.part(needs=needs)
    part.opened(files.open_again(part, path + rec.name, files.bits(rec.flags) & ~files.ASYNC))


def compare(before: Proc, after: Proc, where: ObjectId) -> Iterator[Difference]:
    return compare_fields("fd.proc", where, before, after)


KIND = Kind("fd.proc", record=Proc, subject="file", claims=True, watches=(Struct("file"), Struct("seq_file")), verbs=verbs(__name__))
