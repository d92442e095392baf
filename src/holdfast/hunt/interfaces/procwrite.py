"""Recipes of what a process sets by writing files of its own in /proc: scores, filters, names, maps of ids, labels, offsets of clocks.

Every file of /proc/self that can be written is tried with small numbers, so that a file that a kernel adds is tried; a table gives those
that are known better values.

Source:  proc_pid_oom_score_adj(5), proc_pid_coredump_filter(5), proc_pid_uid_map(5), proc_pid_attr(5), proc_pid_clear_refs(5), proc(5)
"""

from __future__ import annotations

import os
import stat

from holdfast.hunt.actors import ACTORS, and_then, by, told
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

VALUES: dict[str, tuple[str, ...]] = {
    "oom_score_adj": ("-1000", "-999", "-1", "1", "500", "1000"),
    "oom_adj": ("-17", "-1", "15"),
    "coredump_filter": ("0", *(f"{1 << bit:#x}" for bit in range(9)), "0x33", "0x1ff", "0xffffffff"),
    "autogroup": ("-20", "-1", "5", "19"),
    "timerslack_ns": ("1", "50001", "1000000000", "4294967296"),
    "comm": ("x", "fifteen-letters", "longer than a name can be", "(a) R 1", "a\\nb"),
    "clear_refs": ("1", "2", "3", "4", "5"),
    "loginuid": ("0", "1000", "4294967295"),
    "sched": ("0",),
    "timens_offsets": (),
    "setgroups": (),
    "uid_map": (),
    "gid_map": (),
    "projid_map": (),
    "mem": (),
    "make-it-fail": (),
    "fail-nth": (),
}
"""What is written to a file; an empty row has a table of its own below, or is no state."""
UNKNOWN = ("0", "1")
SECURITY = ("loginuid", "attr", "setgroups", "map", "coredump_filter")
SECOND_FILES = ("oom_score_adj", "comm", "timerslack_ns", "autogroup", "coredump_filter")
LINES_OF_MAPS: dict[str, str] = {
    "root": "0 0 1",
    "same": "1000 0 1",
    "highest": "4294967294 0 1",
    "range": "0 0 4294967295",
    "two": "0 0 1\\n1 1 10",
}
OFFSETS = ("monotonic 1 0", "monotonic -1 0", "boottime 1000000 999999999", "boottime -1 1", "monotonic 86400 0\\nboottime 86400 0")


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Files of every process, of a thread, of a child, and of a user and a time namespace of its own."""
    script = Script(constants)
    yield from script.recipes("proc", _files(writable("/proc/self")))
    yield from script.recipes("proc", _maps())
    yield from script.recipes("proc", _clocks())


def writable(folder: str) -> list[str]:
    """The names of files that their owner may write, and of those in attr/."""
    out = []
    for below in ("", "attr/"):
        try:
            names = sorted(os.listdir(f"{folder}/{below}"))
        except OSError:
            continue
        for name in names:
            mode = os.lstat(f"{folder}/{below}{name}").st_mode
            if stat.S_ISREG(mode) and mode & 0o222:
                out.append(below + name)
    return out


def write(path: str, text: str) -> str:
    """Lines that write a text to a file and leave no descriptor."""
    size = len(text.encode().decode("unicode_escape"))
    return f"file = openat(AT_FDCWD, b'{path}\\0', O_WRONLY|O_CLOEXEC, 0) ; write($file, b'{text}', {size}) ; close($file)"


def read(path: str) -> str:
    """Lines that read a file from its start and leave no descriptor."""
    return f"look = openat(AT_FDCWD, b'{path}\\0', O_RDONLY|O_CLOEXEC, 0) ; read($look, [128], 128) ; close($look)"


def _files(names: list[str]) -> Iterator[Row]:
    for name in names:
        secure = any(word in name for word in SECURITY)
        get = "" if name in ("clear_refs", "sched") else read(f"/proc/self/{name}")
        for value in VALUES.get(name, UNKNOWN):
            yield Row(f"self.{name}={value}", "getpid()", write(f"/proc/self/{name}", value), get, told(get) if get else "", secure)
    for name in SECOND_FILES:
        for actor in ("thread", "child"):
            where = f"/proc/thread-self/{name}" if actor == "thread" and name in ("comm", "oom_score_adj") else f"/proc/self/{name}"
            yield Row(f"{actor}.{name}={VALUES[name][1]}", ACTORS[actor], by(actor, write(where, VALUES[name][1])), by(actor, read(where)))


def _maps() -> Iterator[Row]:
    alone = "unshare(CLONE_NEWUSER)"
    denied = write("/proc/self/setgroups", "deny")
    look = " ; ".join(("getresuid([4], [4], [4])", "getresgid([4], [4], [4])", read("/proc/self/uid_map"), read("/proc/self/gid_map")))
    yield Row("user.setgroups=deny", alone, denied, read("/proc/self/setgroups"), "setgroups(0, 0)", True)
    yield Row("user.setgroups=allow", alone, write("/proc/self/setgroups", "allow"), read("/proc/self/setgroups"), "setgroups(0, 0)", True)
    for file in ("uid_map", "gid_map", "projid_map"):
        for name, line in LINES_OF_MAPS.items():
            yield Row(
                f"user.{file}={name}",
                and_then(alone, denied),
                write(f"/proc/self/{file}", line),
                look,
                "setresuid(0, 0, 0) ; setresgid(0, 0, 0)",
                True,
            )
    both = and_then(write("/proc/self/uid_map", "0 0 1"), write("/proc/self/gid_map", "0 0 1"))
    yield Row("user.both=root", and_then(alone, denied), both, look, "setresuid(0, 0, 0) ; setgroups(0, 0)", True)


def _clocks() -> Iterator[Row]:
    for text in OFFSETS:
        yield Row(
            f"time.offsets={text[:20]}",
            "unshare(CLONE_NEWTIME)",
            write("/proc/self/timens_offsets", text),
            read("/proc/self/timens_offsets"),
        )
        joined = and_then(write("/proc/self/timens_offsets", text), "child = clone(SIGCHLD, 0, 0, 0, 0)")
        yield Row(f"time.child={text[:20]}", "unshare(CLONE_NEWTIME)", joined, by("child", read("/proc/self/timens_offsets")))
