"""What is mounted where: /proc/PID/mountinfo."""

from __future__ import annotations

from holdfast.kernel.procfs.malformed import malformed
from holdfast.model.record import Record

_SOURCE = "proc_pid_mountinfo(5), Linux fs/proc_namespace.c show_mountinfo"


class Mount(Record):
    """One mount as seen from the process's root; paths are bytes with the kernel's escapes undone."""

    id: int
    parent: int
    major: int
    minor: int
    root: bytes  # the part of the filesystem that is mounted
    point: bytes
    options: tuple[bytes, ...]  # of this mount
    tags: tuple[tuple[str, int], ...]  # shared, master, propagate_from: peer group; unbindable: 0
    fstype: str
    source: bytes  # may be empty
    super_options: tuple[bytes, ...]  # of the filesystem; escaped as its author saw fit

    def tag(self, name: str) -> int | None:
        """The peer group of `shared`, `master` or `propagate_from`, or None."""
        for key, value in self.tags:
            if key == name:
                return value
        return None


def unescape(text: bytes) -> bytes:
    """A path with `\\ooo` read back; a backslash is itself escaped here, so that it can mean only one thing.

    Source:  Linux fs/seq_file.c mangle_path
    """
    if b"\\" not in text:
        return text
    first, *rest = text.split(b"\\")
    return first + b"".join(bytes((int(part[:3], 8),)) + part[3:] for part in rest)


def _tag(text: bytes) -> tuple[str, int]:
    name, _, value = text.partition(b":")
    return name.decode("ascii"), int(value) if value else 0


def parse_mountinfo(data: bytes) -> list[Mount]:
    """The mounts of /proc/PID/mountinfo, in the kernel's order.

    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  proc_pid_mountinfo(5), Linux fs/proc_namespace.c show_mountinfo
    """
    out = []
    line = b""
    try:
        for line in data.split(b"\n"):
            if not line:
                continue
            words = line.split(b" ")  # one space each: a source may be empty
            dash = words.index(b"-", 6)
            if len(words) < dash + 4:
                raise ValueError(line)
            major, minor = words[2].split(b":")
            out.append(
                Mount(
                    int(words[0]),
                    int(words[1]),
                    int(major),
                    int(minor),
                    unescape(words[3]),
                    unescape(words[4]),
                    tuple(words[5].split(b",")),
                    tuple(map(_tag, words[6:dash])),
                    unescape(words[dash + 1]).decode("ascii", "backslashreplace"),
                    unescape(words[dash + 2]),
                    tuple(b" ".join(words[dash + 3 :]).split(b",")),
                )
            )
    except (ValueError, IndexError) as cause:
        raise malformed("mountinfo", line, _SOURCE) from cause
    return out
