"""task.fs: where a process is in the file system, and what it masks from the files that it makes.

Carries:  working directory, root directory, umask.
Loses:    nothing: a directory without a name, or of a process in /proc, is refused.
Sources:  chdir(2), chroot(2), umask(2), proc_pid_cwd(5), proc_pid_root(5), Linux fs/d_path.c.
"""

from __future__ import annotations

import stat

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Refusal, StatusKey, Struct, Unchecked, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Host, Probes, Steps, Verdict
    from holdfast.kinds.evidence import ProcessEvidence

DELETED = b" (deleted)"  # a directory whose name ends like this is refused too: the two cannot be told apart
TOP = b"/"


class Fs(Record):
    """A process's directories, as paths from the restorer's root, and its umask."""

    cwd: bytes
    root: bytes
    umask: int


def detect(ev: ProcessEvidence) -> Claim | None:
    return None if ev.zombie else Claim()


def refuse(ev: ProcessEvidence, kernel: Probes) -> Iterator[Verdict]:
    for link, name in (("cwd", "working directory"), ("root", "root directory")):
        try:
            path = ev.readlink(link)
        except PermissionError:
            yield Unchecked("task.fs", f"the {name} of {tasks.who(ev)}", "only its owner or root may read it, proc_pid_cwd(5)")
            continue
        if path.endswith(DELETED) or not path.startswith(TOP):
            yield Refusal(
                "task.fs",
                f"{tasks.who(ev)} cannot be dumped: its {name} has no name any more",
                f"{tasks.where(ev, link)} -> {path.decode('utf-8', 'backslashreplace')}",
                "a directory that was removed, or lies outside the root, cannot be found by name",
                "let the program change its directory and retry",
            )
        elif _of_a_process(path):
            yield Refusal(
                "task.fs_proc",
                f"{tasks.who(ev)} cannot be dumped: its {name} is a process's folder in /proc",
                f"{tasks.where(ev, link)} -> {path.decode('utf-8', 'backslashreplace')}",
                "the folder goes with its process, and is another one when a process has that number again; proc(5)",
                "let the program change its directory and retry",
            )


def _of_a_process(path: bytes) -> bool:
    _, proc, rest = path.partition(b"/proc/")  # wherever it is mounted by that name
    return bool(proc) and rest.partition(b"/")[0].isdigit()


def dump(ev: ProcessEvidence) -> Fs:
    return Fs(ev.readlink("cwd"), ev.readlink("root"), ev.status.umask)


def ready(rec: Fs, host: Host) -> Iterator[Refusal]:
    for name, path in (("working directory", rec.cwd), ("root directory", rec.root)):
        found = host.stat(path)
        if found is None or not stat.S_ISDIR(found.st_mode):
            yield Refusal(
                "task.fs_gone",
                f"the {name} {path.decode('utf-8', 'backslashreplace')} is not there",
                path.decode("utf-8", "backslashreplace"),
                "chdir(2)",
                "make it, or restore where it is",
            )


def restore(rec: Fs, steps: Steps) -> None:
    part = steps.part(needs=("mm", "caps"), ends=("paths",))
    part.call("chdir", rec.cwd + b"\0")
    if rec.root != TOP:
        part.call("chroot", rec.root + b"\0")
    part.call("umask", rec.umask)


KIND = Kind("task.fs", record=Fs, subject="process", watches=(Struct("fs_struct"), StatusKey("Umask")), verbs=verbs(__name__))
