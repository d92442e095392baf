"""/proc/PID/mountinfo. Text captured on Linux 6.18 but where a case says otherwise."""

from __future__ import annotations

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs.mountinfo import Mount, parse_mountinfo, unescape

LINES = [
    (
        b"24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,size=12334248k,mode=755",
        Mount(24, 27, 0, 6, b"/", b"/dev", (b"rw", b"relatime"), (), "devtmpfs", b"devtmpfs", (b"rw", b"size=12334248k", b"mode=755")),
    ),
    # a mount point with space, #, backslash; a source that is empty
    (
        b"63 43 0:39 / /tmp/a\\040b#\\134c rw,relatime shared:1 - tmpfs  rw",
        Mount(63, 43, 0, 39, b"/", b"/tmp/a b#\\c", (b"rw", b"relatime"), (("shared", 1),), "tmpfs", b"", (b"rw",)),
    ),
    (
        b"64 43 254:0 /sub\\012dir /mnt ro - tmpfs so\\040urce rw",
        Mount(64, 43, 254, 0, b"/sub\ndir", b"/mnt", (b"ro",), (), "tmpfs", b"so urce", (b"rw",)),
    ),
    # by hand, from proc_pid_mountinfo(5): all tags; a fuse subtype; a filesystem without source
    (
        b"36 35 98:0 / /m rw master:2 propagate_from:3 unbindable - fuse.sshfs none rw,x=a b",
        Mount(
            36,
            35,
            98,
            0,
            b"/",
            b"/m",
            (b"rw",),
            (("master", 2), ("propagate_from", 3), ("unbindable", 0)),
            "fuse.sshfs",
            b"none",
            (b"rw", b"x=a b"),
        ),
    ),
]


@pytest.mark.parametrize(("line", "mount"), LINES)
def test_a_line(line: bytes, mount: Mount) -> None:
    assert parse_mountinfo(line + b"\n") == [mount]


def test_tags_by_name() -> None:
    (mount,) = parse_mountinfo(LINES[3][0])
    assert (mount.tag("master"), mount.tag("unbindable"), mount.tag("shared")) == (2, 0, None)


@pytest.mark.parametrize(
    "line",
    [
        b"24 27 0:6 / /dev rw,relatime devtmpfs devtmpfs rw",
        b"24 27 0:6 / /dev rw - devtmpfs devtmpfs",
        b"24 27 06 / /dev rw - devtmpfs devtmpfs rw",
        b"x 27 0:6 / /dev rw - devtmpfs devtmpfs rw",
        b"24 27 0:6 / /d\\09v rw - devtmpfs devtmpfs rw",
        b"24 27 0:6 / /dev rw shared:x - devtmpfs devtmpfs rw",
    ],
)
def test_an_unknown_form_is_an_error(line: bytes) -> None:
    with pytest.raises(KernelLacks):
        parse_mountinfo(line)


@pytest.mark.parametrize(("text", "path"), [(b"/a", b"/a"), (b"\\134012", b"\\012"), (b"\\040\\011", b" \t"), (b"/\\043", b"/#")])
def test_unescape(text: bytes, path: bytes) -> None:
    assert unescape(text) == path


def test_this_process() -> None:
    with open("/proc/self/mountinfo", "rb") as file:
        mounts = parse_mountinfo(file.read())
    assert any(mount.fstype == "proc" for mount in mounts)
