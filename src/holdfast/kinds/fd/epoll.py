"""fd.epoll: an epoll instance: which open files it watches, under which numbers, for which events.

Carries:  number, open file, events, data of every entry; entries that EPOLLONESHOT has disarmed, exclusive ones, epolls in epolls; the
          busy-poll settings; status flags.
Loses:    which edge-triggered entries have been reported already: one whose file is ready is reported once more; in which order ready
          files are reported. A disarmed entry whose file is not ready is armed for errors and hang-ups (told as a loss).
Sources:  epoll(7), epoll_ctl(2), ioctl_eventpoll(2), kcmp(2), Linux fs/eventpoll.c.
"""

from __future__ import annotations

from errno import EINVAL, ENOTTY, EOPNOTSUPP

from holdfast.kernel import flags
from holdfast.kernel.epoll import watches
from holdfast.kernel.procfs import fdinfo
from holdfast.kinds import files
from holdfast.kinds.contract import Claim, FdinfoKey, FlagSet, Kind, Link, Loss, Refusal, Struct, compare_fields, verbs
from holdfast.model.ids import Fd
from holdfast.model.record import Record
from holdfast.prog.call import Out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kernel.procfs.fdinfo import EpollTarget
    from holdfast.kinds.contract import Difference, Part, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence, ProcessEvidence, TreeEvidence
    from holdfast.model.ids import ObjectId

CTL_ADD = 1
EPIOCGPARAMS, EPIOCSPARAMS = 0x80088A02, 0x40088A01
F_DUPFD_CLOEXEC = 1030
# fs/eventpoll.c EP_PRIVATE_BITS: what is left of an entry's events once EPOLLONESHOT has disarmed it
PRIVATE = 0xF0000000
ONESHOT = 0x40000000
# what poll can report of a file, without the two that every entry is armed for
ANYTHING = 0x23C7


class Entry(Record):
    """One entry."""

    fd: int  # the number that it was added under
    file: ObjectId
    events: tuple[str, ...]
    data: int
    ready: bool = False  # of a disarmed entry: the file has something to report


class Epoll(Record):
    """An epoll instance; entries are sorted by number, then file."""

    entries: tuple[Entry, ...]
    busy_poll_us: int = 0
    busy_poll_budget: int = 0
    prefer_busy_poll: bool = False
    flags: tuple[str, ...] = ()


LINK = b"anon_inode:[eventpoll]"
WATCHES = (Struct("eventpoll"), Struct("epitem"), Link("anon_inode:[eventpoll]"), FdinfoKey("tfd"), FlagSet("epoll"))


def detect(ev: FileEvidence) -> Claim | None:
    return Claim() if ev.link == LINK else None


# --- which file an entry means

_tree: TreeEvidence | None = None
_found: dict[ObjectId, list[tuple[EpollTarget, FileEvidence | None]]] = {}


def _entries(ev: FileEvidence) -> list[tuple[EpollTarget, FileEvidence | None]]:
    # asked once for a tree: refuse needs it and so does dump
    global _tree
    if _tree is not ev.tree:
        _tree = ev.tree
        _found.clear()
    known = _found.get(ev.id)
    if known is None:
        counts: dict[int, int] = {}
        known = _found[ev.id] = []
        for target in fdinfo.epoll_targets(ev.info):
            nth = counts.get(target.fd, 0)
            counts[target.fd] = nth + 1
            known.append((target, _file(ev, target, nth)))
    return known


def _file(ev: FileEvidence, target: EpollTarget, nth: int) -> FileEvidence | None:
    def same(process: ProcessEvidence, fd: int) -> bool:
        try:
            return watches(int(process.pid), int(fd), int(ev.process.pid), int(ev.fd), target.fd, nth)
        except OSError:
            return False  # it has gone, or a running target has closed it while we look

    # almost always the file that stands at that number in a process that holds the epoll
    tried = set()
    for process, _, _ in ev.holders:
        file = process.fds.get(Fd(target.fd))
        if file is not None and file.id not in tried:
            tried.add(file.id)
            if same(process, target.fd):
                return file
    for file in ev.tree.files:
        if file.id not in tried and file.info.ino in (target.ino, None) and same(file.process, file.fd):
            return file
    return None


def _reachable(ev: FileEvidence, file: FileEvidence) -> bool:
    # a process holds both: only such a one can add the entry
    pids = {p.id for p, _, _ in file.holders}
    return any(p.id in pids for p, _, _ in ev.holders)


def _disarmed(events: int) -> bool:
    return bool(events & ONESHOT) and not events & ~PRIVATE


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from files.unknown_flags(ev, "fd.epoll")
    for target, file in _entries(ev):
        if file is None or not _reachable(ev, file):
            yield Refusal(
                "fd.epoll.elsewhere",
                f"{files.who(ev)} watches a file that was descriptor {target.fd}, and no process that has the epoll open has it open",
                ev.where,
                "such an entry cannot be made again; kcmp(2) KCMP_EPOLL_TFD finds no descriptor of it",
                "remove the entry (EPOLL_CTL_DEL) before the descriptor is closed, and retry",
            )
            continue
        try:
            flags.names("epoll", target.events)
        except flags.UnknownFlag as e:
            yield Refusal(
                "fd.epoll.events",
                f"{files.who(ev)} watches descriptor {target.fd} for events that Holdfast does not know: {e}",
                ev.where,
                "epoll_ctl(2)",
                "see `holdfast drift`; teach the event to kernel/flagtables.py",
            )
        if target.more:
            yield Refusal(
                "fd.epoll.entry",
                f"{files.who(ev)} shows for descriptor {target.fd} what Holdfast does not know: {target.more!r}",
                ev.where,
                "Linux fs/eventpoll.c ep_show_fdinfo",
                "see `holdfast drift`",
            )
        if _disarmed(target.events) and not _is_ready(file):
            yield Loss(
                "fd.epoll",
                ev.id,
                f"the disarmed entry of descriptor {target.fd} will report an error or a hang-up of its file",
                "only a report disarms an entry, and its file has nothing to report; EPOLLONESHOT in epoll_ctl(2)",
            )


def _is_ready(file: FileEvidence) -> bool:
    if file.link == b"anon_inode:[signalfd]":
        return False  # it reports the signals of whoever asks, fs/signalfd.c signalfd_poll: ours, not the target's
    return bool(file.borrowed.poll(ANYTHING))


def dump(ev: FileEvidence) -> Epoll:
    entries = []
    for target, file in _entries(ev):
        assert file is not None
        ready = _disarmed(target.events) and _is_ready(file)
        entries.append(Entry(target.fd, file.id, flags.names("epoll", target.events), target.data, ready))
    entries.sort(key=lambda e: (e.fd, e.file))
    usecs = budget = prefer = 0
    try:
        raw = ev.borrowed.ioctl_bytes(EPIOCGPARAMS, bytes(8))  # Linux 6.9 (18e2bf0edf4d, "eventpoll: Add epoll ioctl for epoll_params")
        usecs, budget, prefer = int.from_bytes(raw[:4], "little"), int.from_bytes(raw[4:6], "little"), raw[6]
    except OSError as e:
        if e.errno not in (ENOTTY, EINVAL, EOPNOTSUPP):
            raise
    return Epoll(tuple(entries), usecs, budget, bool(prefer), files.names(ev.flags))


# --- restore


def restore(rec: Epoll, steps: Steps) -> None:
    part = steps.part(needs=("born",))
    fd = part.call("epoll_create1", 0)
    files.set_flags(part, fd, rec.flags)
    part.opened(fd)
    if rec.busy_poll_us or rec.busy_poll_budget or rec.prefer_busy_poll:
        late = steps.part(needs=("fds", "caps"))
        params = rec.busy_poll_us.to_bytes(4, "little") + rec.busy_poll_budget.to_bytes(2, "little") + bytes((rec.prefer_busy_poll, 0))
        late.call("ioctl", steps.holders(steps.subject)[0][1], EPIOCSPARAMS, params)
    # Entries are added once the descriptor tables are final, by a process that has both files open. Disarmed ones first: until
    # others are there, the only report to come is theirs.
    parts: dict[ObjectId, Part] = {}
    mine: dict[ObjectId, int] = {}
    for process, number in steps.holders(steps.subject):
        mine.setdefault(process, number)
    for entry in sorted(rec.entries, key=lambda e: not e.ready):
        process, number = _adder(steps, entry, mine)
        if process not in parts:
            parts[process] = steps.part(task=process, needs=("fds", "caps", "limits"))
        _add(steps, process, parts[process], mine[process], number, entry)


def _adder(steps: Steps, entry: Entry, mine: dict[ObjectId, int]) -> tuple[ObjectId, int]:
    # the process that adds an entry and the file's number there: its own where that is possible
    holders = [(process, number) for process, number in steps.holders(entry.file) if process in mine]
    return next((h for h in holders if h[1] == entry.fd), holders[0])


def _add(steps: Steps, process: ObjectId, part: Part, epoll: int, number: int, entry: Entry) -> None:
    there = saved = None
    if number != entry.fd:
        # the entry's own number means something else now: lend it to the file for a moment
        there = next((d for d in steps.record_of(process, "task.descriptors").table if int(d.fd) == entry.fd), None)
        if there is not None:
            saved = part.call("fcntl", entry.fd, F_DUPFD_CLOEXEC, 0)
        part.call("dup3", number, entry.fd, files.CLOEXEC, check=entry.fd)
    events = flags.bits("epoll", entry.events)
    armed = events | ANYTHING if entry.ready else events
    event = armed.to_bytes(4, "little") + entry.data.to_bytes(8, "little")
    part.call("epoll_ctl", epoll, CTL_ADD, entry.fd, event, check=0)
    if entry.ready:
        part.call("epoll_wait", epoll, Out(12), 1, 0, check=1)
    if there is not None and saved is not None:
        part.call("dup3", saved, entry.fd, files.CLOEXEC if there.cloexec else 0, check=entry.fd)
        part.call("close", saved)
    elif number != entry.fd:
        part.call("close", entry.fd)


def compare(before: Epoll, after: Epoll, where: ObjectId) -> Iterator[Difference]:
    # an entry that was disarmed and had nothing to report is armed for errors and hang-ups: told as a loss
    idle = {(e.fd, e.file) for e in before.entries if e.events and not e.ready and all(name in _PRIVATE_NAMES for name in e.events)}
    entries = tuple(
        e.replace(events=tuple(n for n in e.events if n in _PRIVATE_NAMES), ready=False) if (e.fd, e.file) in idle else e
        for e in after.entries
    )
    return compare_fields("fd.epoll", where, before, after.replace(entries=entries))


_PRIVATE_NAMES = frozenset(flags.names("epoll", PRIVATE))


KIND = Kind("fd.epoll", record=Epoll, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__))
