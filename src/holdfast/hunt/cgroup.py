"""A control group for each sandbox: how much memory and how many tasks it may have, where the machine lets us say so.

A group lies below our own, in every hierarchy that can limit memory or tasks (version 1), or in the one of version 2. It is named
after the process that made it, so that a later campaign finds and removes what a killed one left.
Source:  cgroups(7), Linux Documentation/admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst
"""

from __future__ import annotations

import os

from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "holdfast-hunt."
LIMITS = {
    ("cgroup", "memory"): "memory.limit_in_bytes",
    ("cgroup", "pids"): "pids.max",
    ("cgroup2", "memory"): "memory.max",
    ("cgroup2", "pids"): "pids.max",
}


class Entered(Record):
    """The groups that this process was moved into.

    Shape:   `missing`: what could not be limited, as words: memory, tasks; `homes`: open folders of the groups that it was in before
    """

    missing: tuple[str, ...]
    homes: tuple[int, ...]


def enter(memory: int, tasks: int) -> Entered:
    """Move this process into a group with limits.

    Unit:    memory in bytes
    """
    missing, homes = [], []
    wanted = {"memory": memory, "pids": tasks}
    for controller, limit in wanted.items():
        for home, kind in _homes(controller):
            if _enter(home, kind, controller, limit):
                homes.append(os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
                break
        else:
            missing.append("tasks" if controller == "pids" else controller)
    return Entered(tuple(missing), tuple(homes))


def leave(entered: Entered) -> None:
    """Move this process back, and remove its groups, in which nothing else lives any more.

    The open folders lead through the mounts that were there before the sandbox's own.
    """
    for home in entered.homes:
        try:
            fd = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=home)
            try:
                os.write(fd, b"%d" % os.getpid())
            finally:
                os.close(fd)
            os.rmdir(f"{PREFIX}{os.getpid()}", dir_fd=home)
        except OSError:
            continue  # whoever waits for us removes it, or the next campaign does


def _enter(home: str, kind: str, controller: str, limit: int) -> bool:
    group = f"{home}/{PREFIX}{os.getpid()}"
    try:
        os.makedirs(group, exist_ok=True)
        _write(f"{group}/{LIMITS[kind, controller]}", limit)
        _write(f"{group}/cgroup.procs", os.getpid())
    except OSError:
        _remove(group)
        return False
    return True


def _write(path: str, value: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"%d" % value)
    finally:
        os.close(fd)


# Our own group in the hierarchy that has a controller, and the type of its file system.
def _homes(controller: str) -> Iterator[tuple[str, str]]:
    with open("/proc/self/cgroup", encoding="utf-8") as f:
        mine = {part: path for _, names, path in (line.rstrip("\n").split(":", 2) for line in f) for part in names.split(",")}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        for line in f:
            left, _, right = line.partition(" - ")
            kind, _, options = right.split()[:3]
            root, point = left.split()[3:5]
            name = controller if kind == "cgroup" else ""
            if kind not in ("cgroup", "cgroup2") or name not in mine or (name and name not in options.split(",")):
                continue
            path = mine[name]
            if path.startswith(root.rstrip("/") + "/") or path == root:
                yield point + "/" + path[len(root.rstrip("/")) :].strip("/"), kind


def forget(pid: int) -> None:
    """Remove the groups that a process made which has ended, with all that lived in them."""
    for controller in ("memory", "pids"):
        for home, _ in _homes(controller):
            _remove(f"{home}/{PREFIX}{pid}")


def sweep() -> None:
    """Remove the groups of processes that have ended without removing them."""
    for controller in ("memory", "pids"):
        for home, _ in _homes(controller):
            for name in os.listdir(home):
                digits = name.removeprefix(PREFIX)
                if name.startswith(PREFIX) and digits.isdecimal() and not os.path.exists(f"/proc/{digits}"):
                    _remove(f"{home}/{name}")


def _remove(group: str) -> None:
    try:
        os.rmdir(group)
    except OSError:
        return  # it is not there, or something still lives in it
