"""From a pid of another namespace to ours."""

from __future__ import annotations

import os

from holdfast.errors import TargetChanged


class Names:
    """What the tasks below one process are called here, by the numbers that their own namespace gives them.

    Each task is read once. A process is looked for among the children of the processes that are likely to have made it: the one that
    made the last, the last that was made, then all others; so a tree of n processes costs about n looks, not n for each.
    """

    def __init__(self, top: int) -> None:
        self._ours: dict[int, int] = {}
        self._seen: set[int] = set()
        self._parents = [top]
        self._threads: dict[int, dict[int, int]] = {}

    def process(self, nspid: int) -> int:
        """Our pid of a process.

        Raises:  target_changed.died: there is no such process
        """
        found = self._ours.get(nspid)
        if found is not None and _innermost(found) == nspid:
            return found
        for parent in list(reversed(self._parents)):
            for child in _children(parent):
                if child in self._seen:
                    continue
                number = _innermost(child)
                self._ours[number] = child
                self._seen.add(child)
                self._parents.insert(0, child)
                if number == nspid:
                    self._parents.remove(parent)
                    self._parents.remove(child)
                    self._parents += [child, parent]
                    return child
        raise TargetChanged("died", f"no process is called {nspid} there", where=f"/proc/{self._parents[0]}/task", do="try again")

    def thread(self, nstid: int, pid: int) -> int:
        """Our id of a thread of a process of ours.

        Raises:  target_changed.died: there is no such thread
        """
        mine = self._threads.setdefault(pid, {})
        if nstid not in mine:
            known = set(mine.values())
            for tid in map(int, os.listdir(f"/proc/{pid}/task")):
                if tid not in known:
                    mine[_innermost(tid)] = tid
        if nstid not in mine:
            raise TargetChanged("died", f"process {pid} has no thread {nstid}", where=f"/proc/{pid}/task", do="try again")
        return mine[nstid]


def global_pid(nspid: int, relative: int) -> int:
    """Our pid of the task that the pid namespace of `relative` calls `nspid`; newest tasks are looked at first.

    Raises:  target_changed.died: there is no such task
    """
    wanted = os.stat(f"/proc/{relative}/ns/pid")
    for pid in sorted((int(n) for n in os.listdir("/proc") if n.isdigit()), reverse=True):
        try:
            if _innermost(pid) == nspid and os.path.samestat(os.stat(f"/proc/{pid}/ns/pid"), wanted):
                return pid
        except OSError:
            continue
    raise TargetChanged(
        "died", f"no task has the pid {nspid} in the namespace of {relative}", where=f"/proc/{relative}/ns/pid", do="try again"
    )


def below(pid: int) -> list[tuple[int, int]]:
    """Every task below a process, as process and thread id; complete if none of them can run."""
    out: list[tuple[int, int]] = []
    todo = _children(pid)
    while todo:
        child = todo.pop()
        todo += _children(child)
        try:
            out += [(child, int(tid)) for tid in os.listdir(f"/proc/{child}/task")]
        except OSError:
            continue  # it ended
    return out


def _children(pid: int) -> list[int]:
    out: list[int] = []
    try:
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/children", "rb", 0) as f:
                while part := f.read(1 << 16):
                    out += map(int, part.split())
    except FileNotFoundError:
        return out  # it ended
    return out


def _innermost(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", "rb", 0) as f:
            for line in f.read(4096).split(b"\n"):
                if line.startswith(b"NSpid:"):
                    return int(line.split()[-1])
    except OSError:
        return -1
    return -1
