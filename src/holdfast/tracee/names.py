"""From a pid of another namespace to ours."""

from __future__ import annotations

import os

from holdfast.errors import TargetChanged


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


def global_tid(nstid: int, pid: int) -> int:
    """Our id of the thread of a process that its own namespace calls `nstid`.

    Raises:  target_changed.died: there is no such thread
    """
    for tid in sorted((int(n) for n in os.listdir(f"/proc/{pid}/task")), reverse=True):
        if _innermost(tid) == nstid:
            return tid
    raise TargetChanged("died", f"process {pid} has no thread {nstid}", where=f"/proc/{pid}/task", do="try again")


def _innermost(pid: int) -> int:
    with open(f"/proc/{pid}/status", "rb", 0) as f:
        for line in f.read(4096).split(b"\n"):
            if line.startswith(b"NSpid:"):
                return int(line.split()[-1])
    return -1
