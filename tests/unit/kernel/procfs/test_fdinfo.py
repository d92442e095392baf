"""/proc/PID/fdinfo/FD. Text captured on Linux 6.18 but where a case says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs import fdinfo
from holdfast.kernel.procfs.fdinfo import EpollTarget, Eventfd, Fanotify, FanotifyMark, FdInfo, InotifyWatch, Pidfd, Timerfd, parse_fdinfo
from holdfast.kernel.procfs.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = b"pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t2062\n"


@pytest.mark.parametrize(
    ("data", "info"),
    [
        (HEAD, FdInfo(0, 2, 17, 2062, ())),
        (b"pos:\t-7\nflags:\t02100002\nmnt_id:\t27\nino:\t4026531833\n", FdInfo(-7, 0o2100002, 27, 4026531833, ())),
        # Linux 5.10: no ino
        (b"pos:\t9223372036854775807\nflags:\t0100000\nmnt_id:\t27\n", FdInfo(2**63 - 1, 0o100000, 27, None, ())),
        # the order is not part of the form, and what is unknown is kept
        (b"new key: 1 \nino:\t1\nmnt_id:\t2\nflags:\t03\npos:\t4\nno colon\n", FdInfo(4, 3, 2, 1, (("new key", b"1 "), ("no colon", b"")))),
        (HEAD + b"scm_fds: 0\n", FdInfo(0, 2, 17, 2062, (("scm_fds", b"0"),))),
        (HEAD + b"PollList:\nNAPI:\tdisabled\n", FdInfo(0, 2, 17, 2062, (("PollList", b""), ("NAPI", b"disabled")))),
    ],
)
def test_lines(data: bytes, info: FdInfo) -> None:
    assert parse_fdinfo(data) == info


@pytest.mark.parametrize("data", [b"", b"pos:\t0\n", b"pos:\t0\nflags:\t09\nmnt_id:\t1\n", b"pos:\tx\nflags:\t0\nmnt_id:\t1\n"])
def test_an_unknown_form_is_an_error(data: bytes) -> None:
    with pytest.raises(KernelLacks):
        parse_fdinfo(data)


HANDLE = (1, bytes.fromhex("e8f7030000000000"))
KINDS: list[tuple[Callable[[FdInfo], Any], bytes, Any]] = [
    (fdinfo.eventfd, b"eventfd-count:                7\neventfd-id: 1\neventfd-semaphore: 1\n", Eventfd(7, 1, True)),
    (fdinfo.eventfd, b"eventfd-count: fffffffffffffffe\neventfd-id: 31\neventfd-semaphore: 0\n", Eventfd(2**64 - 2, 31, False)),
    # Linux 5.1 and older; 5.2 to 6.4
    (fdinfo.eventfd, b"eventfd-count:               10\n", Eventfd(16, None, None)),
    (fdinfo.eventfd, b"eventfd-count:               10\neventfd-id: 9\n", Eventfd(16, 9, None)),
    (
        fdinfo.epoll_targets,
        (
            b"tfd:        5 events:       19 data:     7f6e00000005  pos:0 ino:2bde sdev:f\n"
            b"tfd:        3 events: 80000019 data:                3  pos:-1 ino:80e sdev:fe00001 prio:7\n"
        ),
        [EpollTarget(5, 0x19, 0x7F6E00000005, 0, 0x2BDE, 15, ()), EpollTarget(3, 0x80000019, 3, -1, 0x80E, 0xFE00001, (("prio", b"7"),))],
    ),
    # Linux 4.12 and older
    (fdinfo.epoll_targets, b"tfd:        5 events:       19 data:                5\n", [EpollTarget(5, 0x19, 5, None, None, None, ())]),
    (fdinfo.epoll_targets, b"", []),
    (
        fdinfo.timerfd,
        b"clockid: 1\nticks: 0\nsettime flags: 00\nit_value: (6, 999983151)\nit_interval: (5, 6)\n",
        Timerfd(1, 0, 0, 6_999_983_151, 5_000_000_006),
    ),
    (
        fdinfo.timerfd,
        b"clockid: 0\nticks: 12\nsettime flags: 013\nit_value: (0, 0)\nit_interval: (0, 1)\n",
        Timerfd(0, 12, 0o13, 0, 1),
    ),
    (fdinfo.signalfd_mask, b"sigmask:\t8000000000000201\n", 0x8000000000000201),
    (
        fdinfo.inotify_watches,
        b"inotify wd:1 ino:3f7e8 sdev:fe00000 mask:fff ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:e8f7030000000000\n",
        [InotifyWatch(1, 0x3F7E8, 0xFE00000, 0xFFF, HANDLE, ())],
    ),
    # by hand, from fs/notify/fdinfo.c: a handle of 16 bytes and of type 0x81, as btrfs and overlayfs have longer ones
    (
        fdinfo.inotify_watches,
        b"inotify wd:1 ino:1 sdev:1 mask:1 ignored_mask:0 fhandle-bytes:10 fhandle-type:81 f_handle:000102030405060708090a0b0c0d0e0f\n",
        [InotifyWatch(1, 1, 1, 1, (0x81, bytes(range(16))), ())],
    ),
    # by hand, from fs/notify/fdinfo.c: a filesystem that cannot make handles
    (fdinfo.inotify_watches, b"inotify wd:a ino:1 sdev:1f mask:2 ignored_mask:0 \n", [InotifyWatch(10, 1, 0x1F, 2, None, ())]),
    (
        fdinfo.fanotify,
        (
            b"fanotify flags:3 event-flags:8000\n"
            b"fanotify mnt_id:1b mflags:0 mask:2 ignored_mask:0\n"
            b"fanotify ino:3f7e8 sdev:fe00000 mflags:0 mask:2 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:e8f7030000000000\n"
        ),
        Fanotify(
            3,
            0x8000,
            (
                FanotifyMark("mount", None, None, 0x1B, None, 0, 2, 0, None, ()),
                FanotifyMark("inode", 0x3F7E8, 0xFE00000, None, None, 0, 2, 0, HANDLE, ()),
            ),
        ),
    ),
    # by hand, from Linux 6.18 fs/notify/fdinfo.c: a filesystem mark, a mount namespace mark
    (
        fdinfo.fanotify,
        (
            b"fanotify flags:0 event-flags:0\n"
            b"fanotify sdev:1f mflags:40 mask:10 ignored_mask:20\n"
            b"fanotify mnt_ns:4026531841 mflags:0 mask:1000000 ignored_mask:0\n"
        ),
        Fanotify(
            0,
            0,
            (
                FanotifyMark("filesystem", None, 0x1F, None, None, 0x40, 0x10, 0x20, None, ()),
                FanotifyMark("namespace", None, None, None, 4026531841, 0, 0x1000000, 0, None, ()),
            ),
        ),
    ),
    (fdinfo.pidfd, b"Pid:\t7067\nNSpid:\t7067\t4\n", Pidfd(7067, (7067, 4))),
    (fdinfo.pidfd, b"Pid:\t-1\n", Pidfd(-1, ())),
    (fdinfo.tun_name, b"iff:\thftest\n", b"hftest"),
    (fdinfo.tun_name, b"", b""),
]


@pytest.mark.parametrize(("reader", "lines", "value"), KINDS)
def test_a_kind(reader: Callable[[FdInfo], Any], lines: bytes, value: object) -> None:
    assert reader(parse_fdinfo(HEAD + lines)) == value


@pytest.mark.parametrize(
    ("reader", "lines"),
    [
        (fdinfo.eventfd, b""),
        (fdinfo.eventfd, b"eventfd-count: z\n"),
        (fdinfo.epoll_targets, b"tfd: 5 events: 19\n"),
        (fdinfo.epoll_targets, b"tfd: 5 events: 19 data: 5 pos\n"),
        (fdinfo.timerfd, b"clockid: 1\nticks: 0\n"),
        (fdinfo.timerfd, b"clockid: 1\nticks: 0\nsettime flags: 00\nit_value: 6\nit_interval: (5, 6)\n"),
        (fdinfo.signalfd_mask, b""),
        (fdinfo.signalfd_mask, b"sigmask:\t-\n"),
        (fdinfo.inotify_watches, b"inotify wd:1 ino:1 sdev:1 mask:1 ignored_mask:4\n"),
        (fdinfo.inotify_watches, b"inotify wd:1 ino:1 sdev:1\n"),
        (fdinfo.inotify_watches, b"inotify wd:1 ino:1 sdev:1 mask:1 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:e8\n"),
        (fdinfo.fanotify, b""),
        (fdinfo.fanotify, b"fanotify flags:3 event-flags:8000\nfanotify planet:3 mflags:0 mask:2 ignored_mask:0\n"),
        (fdinfo.pidfd, b""),
        (fdinfo.pidfd, b"Pid:\tnobody\n"),
    ],
)
def test_a_line_of_unknown_form_is_an_error(reader: Callable[[FdInfo], Any], lines: bytes) -> None:
    with pytest.raises(KernelLacks):
        reader(parse_fdinfo(HEAD + lines))


def test_locks() -> None:
    info = parse_fdinfo(
        HEAD + b"lock:\t1: FLOCK  ADVISORY  WRITE 7067 fe:00:2173163 0 EOF\nlock:\t2: POSIX  ADVISORY  WRITE 7067 fe:00:2173163 0 9\n"
    )
    assert info.locks() == [
        Lock("FLOCK", "ADVISORY", "WRITE", 7067, 0xFE, 0, 2173163, 0, None, False),
        Lock("POSIX", "ADVISORY", "WRITE", 7067, 0xFE, 0, 2173163, 0, 9, False),
    ]


def test_keys_tell_what_the_kernel_printed() -> None:
    info = parse_fdinfo(HEAD + b"inotify wd:1\ninotify wd:2\nmap_type:\t2\n")
    assert info.keys() == ["inotify", "map_type"]
    assert info.all("inotify") == [b"wd:1", b"wd:2"]


@pytest.mark.parametrize(("number", "parts"), [(0xFE00000, (0xFE, 0)), (0xF, (0, 15)), (0x810FFFFF, (0x810, 0xFFFFF))])
def test_device(number: int, parts: tuple[int, int]) -> None:
    assert fdinfo.device(number) == parts
