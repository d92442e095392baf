"""What is denied and what is not: one line of each row, and its harmless neighbour."""

from __future__ import annotations

import pytest

from holdfast.hunt import deny
from holdfast.hunt.recipe import Recipe
from holdfast.kernel.uapi.syscalls import X86_64
from holdfast.prog.text import parse_line


def judged(*lines: str) -> str | None:
    return deny.denied(Recipe("x/y.Z=1", "x", tuple(map(parse_line, lines))))


HARM = [
    ["reboot(0xfee1dead, 672274793, 0x1234567, 0)"],
    ["kexec_file_load(3, 4, 0, 0, 0)"],
    ["settimeofday(b'\\0', 0)"],
    ["clock_settime(CLOCK_REALTIME=0, b'\\0')"],
    ["adjtimex([208])"],
    ["swapoff(b'/swap\\0')"],
    ["finit_module(3, b'\\0', 0)"],
    ["iopl(3)"],
    ["quotactl(0, 0, 0, 0)"],
    ["syslog(SYSLOG_ACTION_CLEAR=5, 0, 0)"],
    ["acct(b'/tmp/x\\0')"],
    ["vhangup()"],
    ["sync()"],
    ["bpf(BPF_PROG_ATTACH=8, [64], 64)"],
    ["bpf(BPF_LINK_CREATE=28, [64], 64)"],
    ["perf_event_open([128], -1, 0, -1, 0)"],
    ["perf_event_open([128], 1, -1, -1, 0)"],
    ["kill(1, 9)"],
    ["kill(-1, 9)"],
    ["boss = getppid()", "kill($boss, 9)"],
    ["child = clone(SIGCHLD=17, 0, 0, 0, 0)", "kill($child+1, 9)"],
    ["tgkill(1, 1, 9)"],
    ["fd = pidfd_open(1, 0)"],
    ["fd = openat(-100, b'/proc/1\\0', 0, 0)", "pidfd_send_signal($fd, 9, 0, 0)"],
    ["ptrace(PTRACE_ATTACH=16, 1, 0, 0)"],
    ["setpgid(0, 1)"],
    ["execveat(-100, b'/bin/sh\\0', 0, 0, 0)"],
    ["mkdirat(-100, b'/etc/x\\0', 0x1ff)"],
    ["symlinkat(b'/tmp/a\\0', -100, b'/etc/a\\0')"],
    ["mknodat(-100, b'/tmp/sda\\0', 0x61b0, 0x800)"],
    ["m = mmap(0, 4096, 3, 0x22, -1, 0)", "mremap($m, 4096, 0x80000000, 1)"],
    ["fspick(-100, b'/\\0', 0)"],
    ["process_vm_writev(1, 0, 0, 0, 0, 0)"],
    ["prlimit64(1, 7, b'\\0', 0)"],
    ["sched_setaffinity(1, 8, b'\\1')"],
    ["setpriority(PRIO_USER=2, 0, 10)"],
    ["setpriority(PRIO_PROCESS=0, 1, 10)"],
    ["ioprio_set(IOPRIO_WHO_USER=3, 0, 0)"],
    ["fcntl(0, F_SETOWN=8, 1)"],
    ["execve(b'/bin/sh\\0', 0, 0)"],
    ["open(b'/etc/passwd\\0', O_RDWR=2, 0)"],
    ["openat(-100, b'/proc/sys/kernel/panic\\0', O_WRONLY=1, 0)"],
    ["openat(-100, b'/tmp/../etc/shadow\\0', O_WRONLY=1, 0)"],
    ["openat(-100, b'/dev/watchdog\\0', O_RDONLY=0, 0)"],
    ["openat(-100, b'/dev/sda\\0', O_RDONLY=0, 0)"],
    ["openat(-100, b'/proc/kmsg\\0', O_RDONLY=0, 0)"],
    ["m = mmap(0, 4096, 3, 0x22, -1, 0)", "openat(-100, $m, O_WRONLY=1, 0)"],
    ["openat2(-100, b'/etc/motd\\0', {b'\\x02\\0\\0\\0\\0\\0\\0\\0', b'\\0'}, 24)"],
    ["chdir(b'/etc\\0')", "openat(-100, b'motd\\0', O_WRONLY=1, 0)"],
    ["unlink(b'/etc/motd\\0')"],
    ["rename(b'/tmp/a\\0', b'/usr/a\\0')"],
    ["renameat(-100, b'/tmp/a\\0', -100, b'/usr/a\\0')"],
    ["symlink(b'/tmp/a\\0', b'/etc/a\\0')"],
    ["mknod(b'/tmp/sda\\0', 0x61b0, 0x800)"],
    ["fallocate(3, 0, 0, 0x10000000)"],
    ["mmap(0, 0x80000000, 3, 0x22, -1, 0)"],
    ["mmap(0, 0x8000000, 3, 0x8022, -1, 0)"],
    ["fanotify_mark(3, 0x101, 0x10000, -100, b'/\\0')"],
    ["pivot_root(b'/tmp\\0', b'/tmp\\0')"],
    ["mount(b'none\\0', b'/tmp\\0', b'tmpfs\\0', 0, 0)"],
    ["unshare(CLONE_NEWNS=0x20000)", "mount(b'none\\0', b'/\\0', 0, MS_REMOUNT=32, 0)"],
    ["unshare(CLONE_NEWNS=0x20000)", "umount2(b'/\\0', 0)"],
    ["sethostname(b'x', 1)"],
    ["unshare(CLONE_NEWNS=0x20000)", "sethostname(b'x', 1)"],
    ["fd = socket(2, 2, 0)", "connect($fd, b'\\x02\\0\\0\\x35\\x08\\x08\\x08\\x08\\0\\0\\0\\0\\0\\0\\0\\0', 16)"],
    [
        "fd = socket(10, 2, 0)",
        "connect($fd, {b'\\x0a\\0\\0\\x35\\0\\0\\0\\0', b'\\x20\\x01\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\1', b'\\0\\0\\0\\0'}, 28)",
    ],
    ["fd = socket(1, 1, 0)", "connect($fd, b'\\x01\\0/etc/socket\\0', 14)"],
    ["fd = socket(40, 1, 0)", "connect($fd, b'\\x28\\0\\0\\0\\x01\\0\\0\\0\\x02\\0\\0\\0\\0\\0\\0\\0', 16)"],
    ["sendto(3, b'x', 1, 0, b'\\x02\\0\\0\\x35\\x08\\x08\\x08\\x08\\0\\0\\0\\0\\0\\0\\0\\0', 16)"],
    ["sendmsg(3, {&b'\\x02\\0\\0\\x35\\x08\\x08\\x08\\x08\\0\\0\\0\\0\\0\\0\\0\\0', b'\\0'}, 0)"],
    ["bind(3, b'\\x01\\0/etc/socket\\0', 14)"],
    ["ioctl(0, TIOCSTI=0x5412, b'x')"],
    ["ioctl(0, KDSETMODE=0x4b3a, 1)"],
    ["ioctl(3, BLKRRPART=0x125f, 0)"],
    ["ioctl(3, FIFREEZE=0xc0045877, 0)"],
    ["ioctl(3, BTRFS_IOC_BALANCE=0x5000940c, 0)"],
    ["ioctl(3, RTC_SET_TIME=0x4024700a, 0)"],
    ["ioctl(3, WDIOC_KEEPALIVE=0x80045705, 0)"],
    ["keyctl(KEYCTL_CLEAR=7, KEY_SPEC_USER_KEYRING=-4)"],
    ["keyctl(KEYCTL_REVOKE=3, 1234)"],
    ["keyctl(KEYCTL_SESSION_TO_PARENT=18)"],
    ["keyctl(KEYCTL_LINK=8, -3, -5)"],
    ["add_key(b'user\\0', b'x\\0', b'y', 1, KEY_SPEC_USER_SESSION_KEYRING=-5)"],
    ["request_key(b'user\\0', b'x\\0', b'info\\0', -3)"],
]

HARMLESS = [
    ["bpf(BPF_MAP_CREATE=0, [64], 64)"],
    ["perf_event_open([128], 0, -1, -1, 0)"],
    ["child = clone(SIGCHLD=17, 0, 0, 0, 0)", "kill($child, 9)", "fd = pidfd_open($child, 0)", "pidfd_send_signal($fd, 9, 0, 0)"],
    ["me = getpid()", "tgkill($me, $me, 10)"],
    ["kill(0, 0)"],
    ["prlimit64(0, 7, b'\\0', 0)"],
    ["setpriority(PRIO_PROCESS=0, 0, 10)"],
    ["fcntl(0, F_SETFL=4, 1)"],
    ["execve(b'/proc/self/exe\\0', 0, 0)"],
    ["openat(-100, b'/tmp/a\\0', 0x42, 0x1a4)"],
    ["openat(-100, b'/etc/passwd\\0', O_RDONLY=0, 0)"],
    ["openat(-100, b'/etc/passwd\\0', O_PATH=0x200000, 0)"],
    ["openat(-100, b'/proc/self/oom_score_adj\\0', O_WRONLY=1, 0)"],
    ["openat(-100, b'/dev/ptmx\\0', O_RDWR=2, 0)"],
    ["d = openat(-100, b'/tmp\\0', 0x10000, 0)", "openat($d, b'a\\0', 0x42, 0x1a4)", "unlinkat($d, b'a\\0', 0)"],
    ["chdir(b'/tmp\\0')", "open(b'a\\0', 0x42, 0x1a4)"],
    ["mknod(b'/tmp/fifo\\0', 0x11a4, 0)"],
    ["utimensat(3, 0, b'\\0', 0)"],
    ["mmap(0, 0x1000000, 3, 0x22, -1, 0)"],
    ["fanotify_mark(3, 1, 0x10000, -100, b'/tmp/a\\0')"],
    ["unshare(CLONE_NEWNS=0x20000)", "mount(b'none\\0', b'/tmp\\0', b'tmpfs\\0', 0, 0)", "umount2(b'/tmp\\0', 0)"],
    ["unshare(CLONE_NEWUTS=0x4000000)", "sethostname(b'x', 1)"],
    ["fd = socket(2, 1, 0)", "connect($fd, b'\\x02\\0\\0\\x35\\x7f\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\0', 16)"],
    ["fd = socket(1, 1, 0)", "connect($fd, b'\\x01\\0\\0abstract', 11)"],
    ["sendto(3, b'x', 1, 0, 0, 0)"],
    ["ioctl(0, TCGETS=0x5401, [60])"],
    ["ioctl(3, FICLONE=0x40049409, 4)"],
    ["ioctl(3, FIONREAD=0x541b, [4])"],
    ["key = add_key(b'user\\0', b'x\\0', b'y', 1, KEY_SPEC_SESSION_KEYRING=-3)", "keyctl(KEYCTL_REVOKE=3, $key)"],
]  # fmt: skip


@pytest.mark.parametrize("lines", HARM, ids=lambda lines: lines[-1])
def test_harm_is_denied_and_says_why(lines: list[str]) -> None:
    why = judged(*lines)
    assert why is not None
    assert why.startswith(str(parse_line(lines[-1]))[:20])


@pytest.mark.parametrize("lines", HARMLESS, ids=lambda lines: lines[-1])
def test_what_stays_inside_is_not(lines: list[str]) -> None:
    assert judged(*lines) is None


def test_every_row_names_calls_that_exist_and_has_a_reason_and_a_source() -> None:
    for row in deny.DENIALS:
        assert [c for c in row.calls if c not in X86_64] == []
        assert row.why
        assert "(" in row.source


def test_the_name_of_a_row_in_the_answer_is_its_reason() -> None:
    assert judged("reboot(1, 2, 3, 0)") == "reboot(1, 2, 3, 0): it ends or restarts the machine, or the init of the sandbox"


def test_every_row_is_shown_by_an_example() -> None:
    shown = {parse_line(lines[-1]).call for lines in HARM}
    assert [row.calls for row in deny.DENIALS if not shown & set(row.calls)] == []


def test_too_many_lines_or_tasks() -> None:
    assert judged(*["getpid()"] * 257) is not None
    assert judged(*["fork()"] * 33) is not None
    assert judged(*["getpid()"] * 256) is None


def test_an_argument_that_is_not_given_is_denied_where_it_decides() -> None:
    assert judged("kill()") is not None
