"""What a process has, by number: threads, children, descriptors."""

from __future__ import annotations

from holdfast.model.ids import Fd, Pid, Tid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kernel.source import Source


def tids(process: Source) -> list[Tid]:
    """The threads of a process that are there now; sorted, and complete only if no thread can run.

    Raises:  OSError: the process is gone
    Source:  proc_pid_task(5)
    """
    return sorted(map(Tid, process.listdir("task")))


def children_of_thread(process: Source, tid: int) -> list[Pid]:
    """The children that one thread made; complete only if none of them can run or end.

    Raises:  OSError: the thread is gone, or the kernel lacks CONFIG_PROC_CHILDREN
    Source:  proc_pid_task(5), Linux fs/proc/array.c children_seq_show
    """
    return [Pid(word) for word in process.read(f"task/{int(tid)}/children").split()]


def children(process: Source) -> list[Pid]:
    """The children of all threads; sorted, and complete only if neither they nor the process can run.

    Raises:  OSError: the process is gone, or the kernel lacks CONFIG_PROC_CHILDREN
    Source:  proc_pid_task(5)
    """
    out: list[Pid] = []
    for tid in process.listdir("task"):
        out += children_of_thread(process, int(tid))
    out.sort()
    return out


def fds(process: Source) -> list[Fd]:
    """The open descriptors of the process; sorted.

    Raises:  OSError: the process is gone or may not be looked into
    Source:  proc_pid_fd(5)
    """
    return sorted(map(Fd, process.listdir("fd")))
