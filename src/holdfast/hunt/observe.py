"""What can be seen of a subject from outside: /proc text and memory, as paths and values that two runs of one recipe share.

A path begins with the label of a task (`leader`, `child`, `child/1` for its second thread). Numbers that a kernel gives anew in every run
(pids, inodes of nameless objects) become the name they have in the recipe, or their rank of first appearance.

Source:  proc(5) and its pages for each file
"""

from __future__ import annotations

import hashlib
import os
import re

from holdfast.kernel.procfs.stat import parse_stat
from holdfast.model.record import Record
from holdfast.tracee.arch import x86_64
from holdfast.tracee.pagemap import own_pages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Sight(Record):
    """One value, and by what name the ledger knows its place.

    Shape:   `topic` is a struct for the oracle `kernel`, a table of ledger/facts or a file of /proc for `proc`; `type` as BTF says it
    """

    oracle: str
    topic: str
    name: str
    value: str
    type: str = ""

    @property
    def signature(self) -> str:
        """The place without the numbers of a recipe."""
        return f"{self.topic}.{self.name}"


_STAT = (
    "ppid pgrp session tty_nr tpgid priority nice num_threads startcode endcode startstack start_data end_data start_brk arg_start arg_end "
    "env_start env_end exit_signal rt_priority policy exit_code state"
).split()
_TEXTS = (
    "oom_score_adj",
    "coredump_filter",
    "personality",
    "cmdline",
    "environ",
    "auxv",
    "setgroups",
    "loginuid",
    "sessionid",
)
_MAPS = ("uid_map", "gid_map", "projid_map", "timens_offsets", "cgroup", "attr/current", "autogroup")
_LINKS = ("cwd", "root", "exe")
# of /proc/PID/status, told better elsewhere: by field of stat, or as a time that only grows
_PID_KEYS = frozenset(("Tgid", "Pid", "PPid", "NStgid", "NSpid", "NSpgid", "NSsid", "TracerPid", "Ngid"))
_NUMBERED = re.compile(r"(pipe|socket|anon_inode|mnt|net|pid|user|ipc|uts|cgroup|time|pidfd|nsfs):\[(\d+)\]")
_MEMORY_MOST = 4 << 20


def proc_sights(tasks: Mapping[str, int]) -> dict[str, Sight]:
    """Everything that /proc tells of these processes, by path.

    Raises:  OSError: a process is gone
    """
    pids = {str(p): f"@{label}" for label, p in tasks.items()}
    ranks: dict[str, str] = {}
    for name in os.listdir("/proc/self/ns"):
        ranks[_link(f"/proc/self/ns/{name}")] = "own"
    out: dict[str, Sight] = {}
    for label, pid in tasks.items():
        for rank, tid in enumerate(sorted(map(int, os.listdir(f"/proc/{pid}/task")))):
            who = label if rank == 0 else f"{label}/{rank}"
            if rank:
                pids[str(tid)] = f"@{who}"
        for path, sight in _process(label, pid):
            out[path] = sight.replace(value=_canonical(sight.value, ranks))
    return {k: v.replace(value=_named(v, pids)) for k, v in out.items()}


def _named(sight: Sight, pids: Mapping[str, str]) -> str:
    # a whole word that is a pid of ours, where the place can hold one
    if (
        sight.name in ("ppid", "pgrp", "session", "tpgid", "lock", "Pid", "NSpid", "owner")
        or sight.name in _PID_KEYS
        or sight.topic == "timers"
    ):
        return re.sub(r"\d+", lambda m: pids.get(m[0], m[0]), sight.value)
    return sight.value


# A namespace is ours or another: its number says nothing more, and is used again as soon as it is free.
def _canonical(value: str, ranks: dict[str, str]) -> str:
    return _NUMBERED.sub(lambda m: f"{m[1]}:[{_rank(ranks, m[1], m[0])}]", value)


# Counted by sort: one more namespace does not give every socket another name.
def _rank(ranks: dict[str, str], sort: str, link: str) -> str:
    return ranks.setdefault(link, f"#{sum(r != 'own' and known.startswith(f'{sort}:') for known, r in ranks.items()) + 1}")


def _process(label: str, pid: int) -> Iterator[tuple[str, Sight]]:
    root = f"/proc/{pid}"
    for rank, tid in enumerate(sorted(map(int, os.listdir(f"{root}/task")))):
        who, here = (label, root) if rank == 0 else (f"{label}/{rank}", f"{root}/task/{tid}")
        yield from _thread(who, here, tid)
    if _read(f"{root}/cmdline") == "" and "\nState:\tZ" in _read(f"{root}/status"):
        return
    for name in _TEXTS + _MAPS:
        text = _read(f"{root}/{name}")
        if name == "auxv":
            text = _digest(text.encode("latin1"))
        elif name == "autogroup":
            text = re.sub(r"autogroup-\d+", "autogroup", text)  # every session has one of its own, with a number
        yield f"{label}.{name}", Sight("proc", "proc", name, text.strip().replace("\0", "\\0"))
    for name in _LINKS:
        yield f"{label}.{name}", Sight("proc", "proc", name, _link(f"{root}/{name}"))
    for name in sorted(os.listdir(f"{root}/ns")):
        yield f"{label}.ns.{name}", Sight("proc", "ns", name, _link(f"{root}/ns/{name}"))
    for line in _read(f"{root}/limits").splitlines()[1:]:
        yield f"{label}.limits.{line[:26].strip()}", Sight("proc", "limits", line[:26].strip(), " ".join(line[26:].split()))
    for block in _read(f"{root}/timers").split("ID: ")[1:]:
        number, _, rest = block.partition("\n")
        for line in rest.splitlines():
            key, _, value = line.partition(":")
            yield f"{label}.timers[{number}].{key}", Sight("proc", "timers", key, value.strip())
    yield from _files(label, root)
    yield from _areas(label, root)


def _thread(who: str, here: str, tid: int) -> Iterator[tuple[str, Sight]]:
    for line in _read(f"{here}/status").splitlines():
        key, _, value = line.partition(":")
        if key not in _PID_KEYS:
            yield f"{who}.status.{key}", Sight("proc", "status-keys", key, " ".join(value.split()))
    raw = _bytes(f"{here}/stat")
    if raw:
        stat = parse_stat(raw)
        for name in _STAT:
            yield f"{who}.stat.{name}", Sight("proc", "stat", name, str(getattr(stat, name)))
    slack = _read(f"/proc/{tid}/timerslack_ns")
    yield f"{who}.timerslack_ns", Sight("proc", "proc", "timerslack_ns", slack.strip())


def _files(label: str, root: str) -> Iterator[tuple[str, Sight]]:
    for number in sorted(map(int, os.listdir(f"{root}/fd"))):
        at = f"{label}.fd[{number}]"
        link = re.sub(r"/#\d+ \(deleted\)$", "/# (deleted)", _link(f"{root}/fd/{number}"))  # O_TMPFILE: it is called by its inode's number
        yield f"{at}.link", Sight("proc", "fd", "link", link)
        try:
            yield f"{at}.mode", Sight("proc", "fd", "mode", oct(os.lstat(f"{root}/fd/{number}").st_mode & 0o777))
            seen = os.stat(f"{root}/fd/{number}")
            for name in ("st_mode", "st_uid", "st_gid", "st_size", "st_nlink", "st_rdev"):
                yield f"{at}.{name}", Sight("proc", "inode", name, str(getattr(seen, name)))
        except OSError:
            pass
        count: dict[str, int] = {}
        told: set[str] = set()
        for line in _read(f"{root}/fdinfo/{number}").splitlines():
            key, _, value = line.partition(":") if ":" in line else line.partition(" ")
            nth = count[key] = count.get(key, -1) + 1
            value = re.sub(r"\bino:\s*[0-9a-f]+|\bsdev:\s*[0-9a-f]+", "", value) if key.strip() == "tfd" else value
            if key == "lock":  # its number in /proc/locks, and the inode that this very descriptor is of
                value = re.sub(r"^\s*\d+:|\b[0-9a-f]+:[0-9a-f]+:\d+\b", "", value)
            elif key.strip() == "tfd":  # in the order of the tree of entries, which is that of kernel addresses
                nth = 0
                while f"{at}.tfd[{value.split()[0]}.{nth}]" in told:
                    nth += 1
                told.add(f"{at}.tfd[{value.split()[0]}.{nth}]")
                yield f"{at}.tfd[{value.split()[0]}.{nth}]", Sight("proc", "fdinfo-keys", "tfd", " ".join(value.split()))
                continue
            yield f"{at}.{key.strip()}[{nth}]", Sight("proc", "fdinfo-keys", key.strip(), " ".join(value.split()))


def _areas(label: str, root: str) -> Iterator[tuple[str, Sight]]:
    at = ""
    for line in _read(f"{root}/smaps").splitlines():
        head = line.split(maxsplit=5)
        if "-" in head[0] and not head[0].endswith(":"):
            start, _, end = head[0].partition("-")
            at = f"{label}.area[{start}]"
            name = head[5] if len(head) > 5 else ""
            for key, value in (("end", end), ("perms", head[1]), ("offset", head[2]), ("name", name)):
                yield f"{at}.{key}", Sight("proc", "maps", key, value)
        else:
            key, _, value = line.partition(":")
            yield f"{at}.{key}", Sight("proc", "smaps-keys", key, " ".join(value.split()))


class Hole(Record):
    """Bytes that the kernel itself writes into a task's memory, and that say nothing: struct rseq, what remains of a time limit."""

    label: str
    start: int
    end: int


_LIMITS = {23: 4, 270: 4, 271: 2}  # select, pselect6, ppoll, and which argument is the limit


def limits(tasks: Mapping[str, int]) -> list[Hole]:
    """Where the kernel writes what remains of a wait: when it ends, and at any stop before. What it waits for is seen when it returns.

    Source:  select(2), poll(2), "C library/kernel differences"; Linux fs/select.c poll_select_finish
    """
    out = []
    for label, pid in tasks.items():
        for tid in os.listdir(f"/proc/{pid}/task"):
            words = _read(f"/proc/{pid}/task/{tid}/syscall").split()
            if len(words) > 6 and int(words[0]) in _LIMITS and (at := int(words[1 + _LIMITS[int(words[0])]], 16)):
                out.append(Hole(label, at, at + 16))
    return out


def memory_sights(tasks: Mapping[str, int], holes: Iterable[Hole] = (), like: Mapping[str, Sight] | None = None) -> dict[str, Sight]:
    """A digest of every page that an area has of its own and that is not all zeros; none is made present by looking.

    Shape:   areas above 4 MiB are left out, and so are buffers of lines that only look. With `like`, an earlier look, the pages that it
             has are read whether they are present or not
    """
    out: dict[str, Sight] = {}
    passing = range(x86_64.SUBJECT_SCRATCH + x86_64.SUBJECT_SCRATCH_SIZE * 3 // 4, x86_64.SUBJECT_SCRATCH + x86_64.SUBJECT_SCRATCH_SIZE)
    for label, pid in tasks.items():
        areas, files = [], []
        for line in _read(f"/proc/{pid}/maps").splitlines():
            head = line.split(maxsplit=5)
            start, _, end = head[0].partition("-")
            name = head[5] if len(head) > 5 else ""
            if head[1][0] == "r" and name not in ("[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]") and not name.startswith("/dev/"):
                areas.append((int(start, 16), int(end, 16), head[1][3] == "s"))
                if name.startswith("/") or areas[-1][2]:
                    files.append(areas[-1][:2])
        pages: dict[int, bool] = {}
        for shared in (False, True):
            mine = [(a, b) for a, b, s in areas if s == shared and b - a <= _MEMORY_MOST]
            for a, b in own_pages(pid, mine, shared) if mine else ():
                pages.update((at, shared) for at in range(a, b, 4096))
        if like is not None:
            then = {int(p[len(label) + 8 : -1], 16): s.name == "shared" for p, s in like.items() if p.startswith(f"{label}.memory[")}
            # a page of a file that was not present then held what the file holds: nothing that a look could have told
            pages = {at: shared for at, shared in pages.items() if at in then or not any(a <= at < b for a, b in files)} | then
        if not pages:
            continue  # a zombie has no memory to open
        own = [h for h in holes if h.label == label]
        with open(f"/proc/{pid}/mem", "rb", 0) as f:
            for at in sorted(pages):
                if at in passing:
                    continue
                try:
                    page = os.pread(f.fileno(), 4096, at)
                except OSError:
                    continue
                for hole in own:
                    if at < hole.end and hole.start < at + 4096:
                        a, b = max(hole.start - at, 0), min(hole.end - at, 4096)
                        page = page[:a] + bytes(b - a) + page[b:]
                if page.strip(b"\0"):
                    name = "shared" if pages[at] else "private"
                    out[f"{label}.memory[{at:x}]"] = Sight("memory", "memory", name, hashlib.blake2b(page, digest_size=8).hexdigest())
    return out


def _read(path: str) -> str:
    return _bytes(path).decode("latin1")


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError as error:
        return f"({os.strerror(error.errno or 0)})"


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()
