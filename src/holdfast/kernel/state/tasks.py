"""Tasks: from a process id to the task_struct, its threads, its floating point permissions, its queued signals.

Source:  kernel/pid.c, lib/radix-tree.c, include/linux/sched/signal.h, arch/x86/include/asm/fpu/types.h, include/uapi/asm-generic/siginfo.h
"""

from __future__ import annotations

from holdfast.kernel.state.plan import LIST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kernel.state.walk import After, Walk

_SLOT_BITS = 6  # XA_CHUNK_SHIFT
_SI_USER, _SI_QUEUE, _SI_TIMER, _SI_MESGQ, _SI_TKILL = 0, -1, -2, -3, -6
_SIFIELDS = 16  # where si_pid and its like start in a siginfo of a 64-bit kernel


def namespace(walk: Walk) -> tuple[int, int]:
    """The process id namespace of the caller, and its level."""
    current = walk.memory.current()
    pid = walk.field(current, "task_struct.thread_pid")
    return namespace_of(walk, current), walk.number(pid + walk.layouts.at("pid.level"), 4)


def namespace_of(walk: Walk, task: int) -> int:
    """The process id namespace that a task is in.

    Raises:  OSError: it has given its id back
    """
    at = walk.layouts.at
    pid = walk.field(task, "task_struct.thread_pid")
    level = walk.number(pid + at("pid.level"), 4)
    return walk.number(pid + at("pid.numbers") + level * walk.layouts.size("upid") + at("upid.ns"))


def task_of(walk: Walk, space: int, number: int) -> int:
    """The task_struct of a process id in a namespace.

    Raises:  ProcessLookupError: nobody has this id; OSError: it went away
    """
    at = walk.layouts.at
    entry, left = walk.number(space + at("pid_namespace.idr")), number
    while entry & 3 == 2:
        node = entry - 2
        shift = walk.number(node + at("xa_node.shift"), 1)
        slot = left >> shift
        if slot >> _SLOT_BITS:
            raise ProcessLookupError(number)  # above what the tree holds
        left -= slot << shift
        entry = walk.number(node + at("xa_node.slots") + 8 * slot)
        if not shift:
            break
    if not entry or entry & 3:
        raise ProcessLookupError(number)
    first = walk.number(entry + at("pid.tasks"))
    if not first:
        raise ProcessLookupError(number)
    task = first - at("task_struct.pid_links")
    if walk.number(task + at("task_struct.thread_pid")) != entry:
        raise ProcessLookupError(number)  # the id was given to another in between
    return task


def threads(walk: Walk, task: int, level: int) -> list[tuple[int, int]]:
    """Id in the caller's namespace and task_struct of each thread of a task's process, by id.

    Raises:  OSError: the process went away
    """
    at = walk.layouts.at
    head = walk.number(task + at("task_struct.signal")) + at("signal_struct.thread_head")
    link = at("task_struct.thread_node")
    out = []
    for element in walk.elements(LIST, head):
        one = element - link
        pid = walk.number(one + at("task_struct.thread_pid"))
        if not pid:
            continue  # on its way out: it has given its id back
        number = walk.number(pid + at("pid.numbers") + level * walk.layouts.size("upid") + at("upid.nr"), 4)
        out.append((number, one))
    return sorted(out)


def fpu_of(walk: Walk, task: int) -> int:
    """The floating point state of a task."""
    layouts = walk.layouts
    if layouts.knows("thread_struct.fpu"):
        return task + layouts.at("task_struct.thread") + layouts.at("thread_struct.fpu")
    # behind the task since cb7ca40a3882 ("x86/fpu: Make task_struct::thread constant size") (v6.16); inside it before
    return task + layouts.size("task_struct")


def _task(walk: Walk, address: int, _data: bytes, path: str) -> None:
    if not walk.layouts.knows("thread_struct.fpu"):
        walk.reach(fpu_of(walk, address), "fpu", f"{path}.thread.fpu")


def _signal(walk: Walk, address: int, data: bytes, path: str) -> None:
    # which of the fields of a siginfo are live hangs on its code, and on its signal
    plan = walk.layouts.plan("sigqueue")
    code = plan.by_path["info.si_code"]
    value = int.from_bytes(data[code.offset : code.offset + code.size], "little", signed=True)
    start = walk.layouts.at("sigqueue.info") + _SIFIELDS
    fields = walk.memory.read(address + start, 32)
    if value in {_SI_USER, _SI_QUEUE, _SI_MESGQ, _SI_TKILL}:
        pid = int.from_bytes(fields[:4], "little")
        sender = walk.visible.get(pid)
        walk.put(f"{path}.info.si_pid", f"@{sender}" if sender else pid, "sigqueue", "info", "kernel_siginfo_t")
        walk.put(f"{path}.info.si_uid", int.from_bytes(fields[4:8], "little"), "sigqueue", "info", "kernel_siginfo_t")
        if value in {_SI_QUEUE, _SI_MESGQ}:
            walk.put(f"{path}.info.si_value", int.from_bytes(fields[8:16], "little"), "sigqueue", "info", "kernel_siginfo_t")
    else:
        walk.put(f"{path}.info.fields", fields, "sigqueue", "info", "kernel_siginfo_t")


AFTER: dict[str, After] = {"task_struct": _task, "sigqueue": _signal}
